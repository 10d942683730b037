#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Behaves like Renode where it misbehaves: answers XML-RPC on the port it is told.

FAKE_RENODE says how: "die" (exits at once), "deaf" (never answers), "garbage" (answers no sense),
"hang" (a RunFor never ends), "crash" (dies in RunFor), "old" (an old version).
"""

from __future__ import annotations

import os
import sys
import time
from xmlrpc.server import SimpleXMLRPCServer

HOW = os.environ["FAKE_RENODE"]
NUMBERS = ("cpu ExecutedInstructions", "cpu PC", "cpu GetRegister 0")


def run_keyword(name: str, arguments: list[str]) -> object:
    text = arguments[0] if arguments else ""
    if HOW == "garbage":
        return ["what?"]
    if "RunFor" in text:
        if HOW == "crash":
            os._exit(9)
        time.sleep(60)
    value = "True" if text == "cpu IsHalted" else "0x0" if text in NUMBERS else ""
    return {"status": "PASS", "return": value, "error": "", "traceback": ""}


def main() -> None:
    if "--version" in sys.argv:
        print("Renode v1.14.0.1" if HOW == "old" else "Renode v1.16.1.0")
        return
    if HOW == "die":
        sys.exit("cannot find a runtime")
    if HOW == "deaf":
        time.sleep(60)
    port = int(sys.argv[sys.argv.index("--robot-server-port") + 1])
    server = SimpleXMLRPCServer(("127.0.0.1", port), logRequests=False, allow_none=True)
    server.register_function(run_keyword)
    server.register_function(lambda: ["ExecuteCommand"], "get_keyword_names")
    server.serve_forever()


main()
