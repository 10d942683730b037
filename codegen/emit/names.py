# SPDX-License-Identifier: MIT
"""Names from a model file made safe: for C identifiers, for file names, and for C comments.

Nothing else may carry a name from the file into generated text.
"""

from __future__ import annotations

import re

# Names of C and system headers, which ours would hide on the include path; devices that Windows
# sees in every folder; prefixes of the kernels and of the firmware.
_RESERVED_WORDS = """
    assert complex ctype errno fenv float inttypes iso646 limits locale math memory setjmp signal
    stdalign stdarg stdatomic stdbool stddef stdint stdio stdlib stdnoreturn string strings tgmath
    threads time uchar wchar wctype unistd malloc alloca
    con prn aux nul com1 com2 com3 com4 com5 com6 com7 com8 com9
    lpt1 lpt2 lpt3 lpt4 lpt5 lpt6 lpt7 lpt8 lpt9
    nn sim arm
"""
_RESERVED = frozenset(_RESERVED_WORDS.split())
_PREFIXES = ("nn_", "sim_", "arm_")

_UNSAFE_IN_IDENTIFIER = re.compile(r"[^A-Za-z0-9]+")
_UNSAFE_IN_COMMENT = re.compile(r"[^A-Za-z0-9 _./:;,+=@#%&()\[\]{}<>|!'\"-]")


def identifier(text: str, limit: int = 40) -> str:
    """A piece of a C identifier: ASCII letters, digits and single underscores; never empty.

    It may start with a digit and is not unique: it always follows a prefix of ours.
    """
    return _UNSAFE_IN_IDENTIFIER.sub("_", text[: 4 * limit]).strip("_")[:limit].strip("_") or "x"


def model_name(text: str) -> str:
    """The prefix of every C symbol and file: an identifier that collides with nothing."""
    name = identifier(text)
    if name[0].isdigit() or name.lower() in _RESERVED or name.lower().startswith(_PREFIXES):
        name = f"model_{name}"
    return name


def comment(text: str, limit: int = 100) -> str:
    """`text` for the inside of a C comment: it cannot end it, splice lines or form a trigraph."""
    shown = text if len(text) <= limit else text[: limit - 3] + "..."
    return _UNSAFE_IN_COMMENT.sub(lambda match: f"<U+{ord(match[0]):04X}>", shown)
