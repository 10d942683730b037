# SPDX-License-Identifier: MIT
"""The profiles in what QEMU's plugin wrote: its blocks and edges, whole ones as other engines
count."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from cycle_models.decode import Decoder
from cycle_models.profile import Block, CodeImage, Edge, Profile
from simharness.engines.qemu_plans import whole

_Blocks = dict[tuple[int, int], int]  # address and size: count
_Edges = dict[tuple[int, int], int]


def profiles(lines: Sequence[str], names: Sequence[str], code: CodeImage) -> tuple[Profile, ...]:
    """One profile per bucket of the plugin, named by `names`."""
    blocks: list[_Blocks] = [defaultdict(int) for _ in names]
    edges: list[_Edges] = [defaultdict(int) for _ in names]
    for kind, bucket, *fields in (line.split() for line in lines):
        k = int(bucket)
        if kind == "B":
            blocks[k][int(fields[0], 16), int(fields[1])] += int(fields[3])
        elif kind == "E":
            edges[k][int(fields[0], 16), int(fields[1], 16)] += int(fields[2])
    decoder = Decoder(code)
    return tuple(
        _profile(name, *_joined(b, e, code, decoder))
        for name, b, e in zip(names, blocks, edges, strict=True)
    )


def _profile(name: str, blocks: _Blocks, edges: _Edges) -> Profile:
    return Profile(
        name,
        tuple(Block(a, n, c) for (a, n), c in sorted(blocks.items())),
        tuple(Edge(s, t, c) for (s, t), c in sorted(edges.items())),
    )


def _joined(
    blocks: _Blocks, edges: _Edges, code: CodeImage, decoder: Decoder
) -> tuple[_Blocks, _Edges]:
    """The blocks with what QEMU cut off put back, where it is entered in no other way."""
    for address, size in sorted(blocks):
        count = blocks.get((address, size))
        if count is None:  # belongs to an earlier one by now
            continue
        end = address + whole(code, decoder, address, size)
        while address + size < end:
            after = address + size
            parts = [n for a, n in blocks if a == after]
            if len(parts) != 1 or blocks[after, parts[0]] != count:
                break
            del blocks[address, size], blocks[after, parts[0]], edges[address, after]
            size += parts[0]
            blocks[address, size] = count
            edges = {(address if s == after else s, t): n for (s, t), n in edges.items()}
    return blocks, edges
