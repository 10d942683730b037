# SPDX-License-Identifier: MIT
"""A small report by hand, and a Hypothesis strategy for any report: for the tests of its views."""

from __future__ import annotations

import builtins
import collections.abc
import types
import typing
from dataclasses import fields, is_dataclass, replace
from typing import Any, get_args, get_origin, get_type_hints

from hypothesis import strategies as st
from msgspec import Meta

from simharness.report.model import (
    SCHEMA_VERSION,
    Board,
    Check,
    Cycles,
    Engine,
    Fit,
    InputFile,
    Interval,
    Layer,
    Memory,
    MemoryFit,
    Options,
    Placed,
    Plan,
    Removed,
    Report,
    Results,
    Timing,
    Toolchain,
)


def layer(name: str, op: str, cycles: int, *, macs: int = 0, share: float = 0.0) -> Layer:
    """A layer of so many cycles, nine tenths as many instructions."""
    return Layer(
        name=name,
        op=op,
        kernel=f"nn_{op.lower()}_s8",
        symbol=f"tiny_l_{name}",
        origin=(name,),
        shape=(1, 8, 8, 4),
        macs=macs,
        instructions=cycles * 9 // 10,
        cycles=Cycles(cycles - cycles // 10, cycles, cycles + cycles // 10),
        share=share,
        output_bytes=256,
        scratch_bytes=16 if macs else 0,
        text_bytes=120,
        weights_bytes=macs // 64,
        energy_uj=Interval(cycles / 2500, cycles / 2000, cycles / 1600),
        parts={"issue": cycles * 8 // 10, "load_use": cycles - cycles * 8 // 10},
        mix={"alu": cycles * 5 // 10, "load": cycles * 4 // 10},
    )


def report(**changes: object) -> Report:
    """A network of three layers on an STM32F446; `changes` replace fields of its results."""
    layers = (
        layer("conv", "ConvS8", 9000, macs=6400, share=0.9),
        layer("pool", "MaxPool", 900, share=0.09),
        layer("(run)", "Run", 100, share=0.01),
    )
    records = (
        Placed("x", "input0", 0, 192, 0, 0),
        Placed("conv_out", "arena", 0, 256, 0, 1),
        Placed("conv", "arena", 256, 16, 0, 0, scratch=True),
        Placed("y", "output0", 0, 64, 1, 1),
    )
    results = Results(
        ok=True,
        fit=Fit(True, (MemoryFit("flash", 5000, 524288, 0), MemoryFit("sram", 800, 131072, 0))),
        check=Check(
            ok=True, reference="ONNX Runtime", samples=4, elements=256, mismatches=0, max_lsb=0
        ),
        instructions=9000,
        cycles=Cycles(9000, 10000, 11000),
        time_ms=Interval(0.05, 0.0555556, 0.0611111),
        energy_uj=Interval(4.0, 5.0, 6.0),
        macs=6400,
        removed=Removed(0, 0, 0),
        memory=Memory(
            flash_bytes=5000, text_bytes=1200, weights_bytes=3700, arena_bytes=272,
            scratch_bytes=16, stack_bytes=96, sections={".text": 1200},
        ),
        plan=Plan("greedy_by_size", 272, 272, True, records),
        timing=Timing(
            "zero-wait", {"issue": 8000, "load_use": 2000}, {"alu": 5000, "load": 4000}, 0.1
        ),
        layers=layers,
        sources={"instructions": "counted", "cycles": "modelled", "memory": "counted"},
    )  # fmt: skip
    return Report(
        schema_version=SCHEMA_VERSION,
        tool="simharness 0.1.0",
        model="tiny.onnx",
        inputs=(InputFile("model", "tiny.onnx", "0" * 64),),
        options=Options("balanced", "exact", "auto", False, 4, 0, 1000),
        toolchain=Toolchain("gcc", "gcc 12.2", ("-O2",)),
        engine=Engine("unicorn", "2.1.4", "counted"),
        board=Board("STM32F446", "m4", 180_000_000, "a board"),
        results=replace(results, **changes),  # type: ignore[arg-type]
    )


def _strategy(kind: Any, meta: tuple[Meta, ...] = ()) -> st.SearchStrategy[Any]:
    """Values of a type as the report's dataclasses spell it, bounds included."""
    arguments = get_args(kind)
    match get_origin(kind):
        case typing.Annotated:
            return _strategy(arguments[0], arguments[1:])
        case typing.Literal:
            return st.sampled_from(arguments)
        case types.UnionType | typing.Union:
            return st.one_of(*map(_strategy, arguments))
        case builtins.tuple:
            return st.lists(_strategy(arguments[0]), max_size=2).map(tuple)
        case collections.abc.Mapping:
            return st.dictionaries(st.text(max_size=5), _strategy(arguments[1]), max_size=2)
    bounds = {"min_value": next((m.ge for m in meta if m.ge is not None), None),
              "max_value": next((m.le for m in meta if m.le is not None), None)}  # fmt: skip
    if kind is float:
        return st.floats(allow_nan=False, allow_infinity=False, **bounds)
    if kind is int:
        return st.integers(bounds["min_value"] if meta else -(2**53), 2**53)
    if kind is str:
        pattern = next((m.pattern for m in meta if m.pattern), None)
        return st.text("0123456789abcdef", min_size=64, max_size=64) if pattern else st.text()
    if not is_dataclass(kind):
        return st.from_type(kind)
    hints = get_type_hints(kind, include_extras=True)
    return st.builds(kind, **{f.name: _strategy(hints[f.name]) for f in fields(kind)})


reports: st.SearchStrategy[Report] = _strategy(Report).map(
    lambda found: replace(found, schema_version=SCHEMA_VERSION)
)
"""Any report that the types allow, sensible or not."""
