# SPDX-License-Identifier: MIT
"""A variant of a program that also says what each layer computed: any engine can run it.

Behind its kernel each layer function takes a checksum of its results; all of them are one more
output of the program, in order of `layers`. This tells two engines apart by layer, whatever they
are, because a checksum needs nothing from an engine but outputs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from codegen import Compiled
from codegen.emit.program import Layer, Port
from simharness.errors import SimharnessError

_NAME = "sim_summed"
_DECLARED = "void sim_sum(unsigned layer, const void *result, unsigned long bytes);\n"


@dataclass(frozen=True, slots=True, eq=False)
class Summed:
    """`compiled` has one more output: a uint32_t for each of `layers`."""

    compiled: Compiled
    layers: tuple[str, ...]


def summed(compiled: Compiled) -> Summed:
    """The variant of a program; a layer with several results has one checksum of them all."""
    program = compiled.program
    sources = {
        name: _DECLARED + _tapped(text, program.layers) if name.endswith(".c") else text
        for name, text in compiled.sources.items()
    }
    count = len(program.layers)
    wrapper = replace(
        program, name=_NAME, outputs=(*program.outputs, Port("", "uint32_t", (count,), count))
    )
    header, source = _wrapper(program.name, wrapper.inputs, program.outputs, count)
    sources |= {f"{_NAME}.h": header, f"{_NAME}.c": source}
    return Summed(
        replace(compiled, program=wrapper, sources=sources), tuple(n.symbol for n in program.layers)
    )


def _tapped(text: str, layers: tuple[Layer, ...]) -> str:
    """The text with a call at the end of each layer function that it defines."""
    for number, layer in enumerate(layers):
        calls = "".join(
            f"    sim_sum({number}u, {a.name}, {a.size_bytes}u);\n" for a in layer.outputs
        )
        head = rf"^{re.escape(layer.symbol)}\([^;{{]*\)\n\{{\n"
        found = re.search(rf"{head}.*?(?=^\}}$)", text, re.MULTILINE | re.DOTALL)
        if found:
            text = text[: found.end()] + calls + text[found.end() :]
    return text


def _wrapper(
    name: str, inputs: tuple[Port, ...], outputs: tuple[Port, ...], count: int
) -> tuple[str, str]:
    """Header and source of the program around the program."""
    parameters = [f"const {p.ctype} *x{i}" for i, p in enumerate(inputs)]
    parameters += [f"{p.ctype} *y{i}" for i, p in enumerate(outputs)]
    arguments = [f"x{i}" for i in range(len(inputs))] + [f"y{i}" for i in range(len(outputs))]
    run = f"int {_NAME}_run({', '.join(parameters)}, uint32_t *sums)"
    header = f'#include <stdint.h>\n#include "{name}.h"\nint {_NAME}_init(void);\n{run};\n'
    source = f"""#include "{_NAME}.h"
{_DECLARED}
static uint32_t all[{count}];

void sim_sum(unsigned layer, const void *result, unsigned long bytes)
{{
    const uint8_t *p = result;
    uint32_t sum = all[layer] ^ 2166136261u; /* FNV-1a */
    while (bytes-- > 0u) {{
        sum = (sum ^ *p++) * 16777619u;
    }}
    all[layer] = sum;
}}

int {_NAME}_init(void)
{{
    return {name}_init();
}}

{run}
{{
    for (unsigned i = 0; i < {count}u; i++) {{
        all[i] = 0;
    }}
    const int status = {name}_run({", ".join(arguments)});
    for (unsigned i = 0; i < {count}u; i++) {{
        sums[i] = all[i];
    }}
    return status;
}}
"""
    return header, source


def first_difference(layers: tuple[str, ...], one: bytes, two: bytes) -> str | None:
    """The first layer whose checksums differ, None when none does."""
    if len(one) != 4 * len(layers) or len(two) != len(one):
        raise SimharnessError(f"{len(one)} and {len(two)} bytes are not {len(layers)} checksums")
    pairs = ((one[4 * i : 4 * i + 4], two[4 * i : 4 * i + 4]) for i in range(len(layers)))
    return next((n for n, (a, b) in zip(layers, pairs, strict=True) if a != b), None)
