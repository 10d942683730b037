# SPDX-License-Identifier: MIT
"""What the native feed asks of Python: the cost and the address plan of each block, once."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from ctypes import Structure, c_uint8, c_uint32

from cycle_models.addresses import KINDS, Operation, plan
from cycle_models.core import Core
from cycle_models.decode import Decoder
from cycle_models.memory import Cost
from cycle_models.profile import CodeImage
from cycle_models.timing import block_cost


class _Operation(Structure):
    """`ms_operation` of memsim_unicorn.c."""

    _fields_ = (
        *((n, c_uint8) for n in ("kind", "into", "first", "second", "shift", "size")),
        *((n, c_uint8) for n in ("is_signed", "reserved")),
        ("count", c_uint32),
        ("constant", c_uint32),
    )


class BlockPlan(Structure):
    """`ms_plan` of memsim_unicorn.c."""

    _fields_ = (
        ("cost", Cost),
        ("bucket", c_uint32),
        ("operation_count", c_uint32),
        ("registers", c_uint32),
        ("unseen", c_uint32),
        ("operations", ctypes.POINTER(_Operation)),
    )


PlanFunction = ctypes.CFUNCTYPE(None, c_uint32, c_uint32, ctypes.POINTER(BlockPlan))


def planner(code: CodeImage, core: Core) -> Callable[[int, int, BlockPlan], None]:
    """A function that fills in the plan of a block; it keeps alive what the plans point to.

    Code outside of `code` (copied to RAM at run time) gets two bytes per cycle and no accesses.
    """
    decoder = Decoder(code)
    cost = block_cost(code, core)
    kept = []

    def fill(address: int, size: int, into: BlockPlan) -> None:
        try:
            into.cost.fill(*cost(address, size))
            found = plan(decoder, code, address, size)
        except KeyError:
            into.cost.fill(size / 2, [])
            return
        array = (_Operation * len(found.operations))(*map(_packed, found.operations))
        kept.append(array)
        into.operations = ctypes.cast(array, ctypes.POINTER(_Operation))
        into.operation_count = len(array)
        into.registers = found.registers
        into.unseen = found.unseen

    return fill


def _packed(o: Operation) -> _Operation:
    return _Operation(
        KINDS.index(o.kind), o.into, o.first, o.second, o.shift, o.size_bytes, int(o.signed), 0,
        o.count, o.constant,
    )  # fmt: skip
