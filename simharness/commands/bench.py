# SPDX-License-Identifier: MIT
"""`simharness bench kernels`: our kernels beside other engines', or yours beside ours."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from simharness.commands.talk import Commands, Talk, add_talk_options
from simharness.errors import UsageError, translated


def add(commands: Commands) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "bench", help="instructions, cycles and bytes of single kernels, beside other engines'",
        description="Kernels on the layers of published baselines: instructions counted, cycles "
        "modelled with zero-wait memory, results checked.",
    )  # fmt: skip
    parser.add_argument("subject", choices=("kernels",))
    parser.add_argument("layers", nargs="*", metavar="LAYER", help="L1, F2...; all by default")
    parser.add_argument("--core", choices=("m0plus", "m3", "m4", "m7", "m33"), default="m4")
    parser.add_argument("--optimize", choices=("speed", "balanced", "size"), default="speed")
    parser.add_argument(
        "--toolchain", choices=("auto", "gcc", "zig", "all"), default="auto",
        help="the cross-compiler (default: arm-none-eabi-gcc where installed, else zig); all: each",
    )  # fmt: skip
    parser.add_argument(
        "--with", dest="user_file", type=Path, metavar="FILE.c",
        help="your kernel in place of ours: C that defines user_<op>_<type> with the parameters of "
        "the plain kernel nn_<op>_<type>",
    )  # fmt: skip
    parser.add_argument(
        "--signatures", action="store_true",
        help="print what --with wants for these layers, as C, and measure nothing",
    )  # fmt: skip
    parser.add_argument("--format", choices=("table", "json"), default="table")
    add_talk_options(parser)
    parser.set_defaults(handler=handle)


def handle(arguments: argparse.Namespace, talk: Talk) -> int:
    """Measure and print; 1 when a result is wrong."""
    from simharness.bench import kernels
    from simharness.bench.layers import LAYERS
    from simharness.commands.listing import columns

    unknown = [name for name in arguments.layers if name not in LAYERS]
    if unknown:
        raise UsageError(f"no layer {unknown[0]!r}; known are {', '.join(LAYERS)}")
    if arguments.signatures:
        names = arguments.layers or LAYERS
        texts = (kernels.signature(LAYERS[n](n), arguments.core) for n in names)
        print("\n".join(dict.fromkeys(texts)), end="")
        return 0
    source = None
    if arguments.user_file is not None:
        try:
            source = arguments.user_file.read_text(encoding="utf-8")
        except OSError as error:
            raise UsageError(f"cannot read {arguments.user_file}: {error.strerror}") from None
    with translated():
        toolchains = ("gcc", "zig") if arguments.toolchain == "all" else (arguments.toolchain,)
        measured = [
            row
            for toolchain in toolchains
            for row in kernels.run(
                arguments.core, arguments.layers, optimize=arguments.optimize,
                toolchain=toolchain, user_source=source,
            )
        ]  # fmt: skip
    rows = kernels.table(measured, arguments.core)
    print(json.dumps(rows, indent=2) if arguments.format == "json" else columns(rows))
    return int(any(m.difference > (0 if "float32" not in m.what else 1e-5) for m in measured))
