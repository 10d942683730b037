# SPDX-License-Identifier: MIT
"""From what the stages found to the report: pure arithmetic and naming, nothing is decided here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import isinf, isnan

from codegen.build import Compiled
from codegen.emit.program import Layer as ProgramLayer
from codegen.ir import Node
from codegen.ops import ConvAddS8
from cycle_models import timing as model
from cycle_models.core import Part
from cycle_models.energy import Duty, Energy, RunCurrent
from simharness.engines.base import Trace
from simharness.image import Image
from simharness.macs import macs
from simharness.report.model import (
    RUN_LAYER,
    Alternative,
    Average,
    Bank,
    Choice,
    Cycles,
    Fit,
    Interval,
    Layer,
    Memory,
    MemoryFit,
    Placed,
    Placement,
    Plan,
    Removed,
    Report,
    Source,
    Supply,
    Timing,
)
from simharness.toolchain import Built
from simharness.toolchain import Fit as BuiltFit

_TEXT_SECTIONS = (".vectors", ".boot", ".tables", ".text", ".ARM.extab", ".ARM.exidx")


def cycles(interval: model.Interval) -> Cycles:
    """Whole cycles: the ends rounded like the middle, so that a sum of layers stays close."""
    return Cycles(round(interval.low), round(interval.mid), round(interval.high))


def scaled(interval: model.Interval, factor: float) -> Interval:
    """The interval in another unit, six significant digits kept."""
    return Interval(*(significant(v * factor) for v in (interval.low, interval.mid, interval.high)))


def significant(value: float, digits: int = 6) -> float:
    """`value` rounded to so many digits; what JSON cannot hold becomes the largest float."""
    if isnan(value) or isinf(value):
        return -1.7976931348623157e308 if value < 0 else 1.7976931348623157e308
    return float(f"{value:.{digits}g}")


def fit(found: BuiltFit, *, enlarged: bool) -> Fit:
    """The fit, memory by memory, those that hold nothing included."""
    memories = tuple(
        MemoryFit(u.memory, u.used_bytes, u.size_bytes, u.shortfall_bytes) for u in found.uses
    )
    return Fit(found.ok, memories, enlarged)


def placement(built: Built) -> Placement:
    """Which memory holds what."""
    found = built.placement
    return Placement(
        found.boot, found.code, found.weights, found.data, "+".join(found.arena), found.stack
    )


def memory(compiled: Compiled, image: Image, stack_bytes: int | None) -> Memory:
    """What the program takes."""
    sections = image.sections
    return Memory(
        flash_bytes=sum(len(s.data) for s in image.code),
        text_bytes=sum(sections.get(name, 0) for name in _TEXT_SECTIONS),
        weights_bytes=sum(t.size_bytes for t in compiled.program.tables),
        arena_bytes=compiled.plan.arena_bytes,
        scratch_bytes=compiled.plan.scratch_bytes,
        held_weights_bytes=compiled.held_bytes,
        stack_bytes=stack_bytes,
        sections=dict(sorted(sections.items())),
    )


def plan(compiled: Compiled) -> Plan:
    """The memory plan's records as they are."""
    found = compiled.plan
    records = tuple(
        Placed(r.tensor, r.memory, r.offset, r.size_bytes, r.first, r.last, r.alias, r.scratch)
        for r in found.records
    )
    choices = tuple(
        Choice(c.what, c.where, c.detail, c.extra_macs, c.extra_instructions)
        for c in compiled.choices
    )
    alternatives = tuple(
        Alternative(a.detail, a.arena_bytes, a.extra_macs, a.extra_instructions)
        for a in compiled.alternatives
    )
    seen = [compiled.graph.nodes[i] for i in sorted(found.elided)]
    looked_at = {name for node in seen for name in (*node.inputs, *node.outputs)}
    made_on = [
        (r.tensor, r.offset == found.tensors[r.alias].offset)
        for r in found.records
        if r.alias and not (r.tensor in looked_at and r.alias in looked_at)
    ]
    return Plan(
        found.strategy,
        found.arena_bytes,
        found.lower_bound_bytes,
        found.proven,
        records,
        choices,
        tuple(Bank(b.memory, b.name, b.used_bytes, b.size_bytes) for b in found.banks),
        round(found.worth_gap, 4),
        tuple(y.node for y in compiled.program.layers if y.op == ConvAddS8.__name__),
        alternatives,
        views=tuple(node.name for node in seen),
        in_place=tuple(name for name, same in made_on if same),
        overlapped=tuple(name for name, same in made_on if not same),
        reordered=list(compiled.order) != sorted(compiled.order),
    )


def removed(compiled: Compiled) -> Removed:
    """What the generator found that no output depends on."""
    saved = compiled.savings
    return Removed(saved.channels, saved.macs, saved.weight_bytes)


def timing(found: model.Timing) -> Timing:
    """What the cycles are made of, over the whole run."""
    total = found.total
    return Timing(
        mode=found.mode,
        parts=_whole(total.breakdown),
        mix=dict(total.mix),
        assumed_share=round(min(1.0, max(0.0, total.assumed_share)), 4),
    )


def supply(used: Energy) -> Supply:
    """What the energy rests on."""
    run = used.run
    return Supply(scaled(used.power_mw, 1.0), run.supply_v, run.condition, run.source, run.status)


def energy_behind(report: Report) -> Energy | None:
    """The energy that a report tells of; None where it has none."""
    r = report.results
    if r.energy_uj is None or r.time_ms is None or r.supply is None:
        return None
    power = _modelled(r.supply.power_mw)
    v = r.supply.supply_v
    current = model.Interval(power.low / v, power.mid / v, power.high / v)
    run = RunCurrent(current, v, r.supply.condition, r.supply.source, r.supply.status)
    return Energy(_modelled(r.energy_uj), power, _modelled(r.time_ms), run)


def _modelled(interval: Interval) -> model.Interval:
    return model.Interval(interval.low, interval.mid, interval.high)


def average(found: Duty, battery_mah: float | None) -> Average:
    """Average power and battery life."""
    return Average(
        period_s=significant(found.period_s),
        active_share=round(found.active_share, 6),
        average_mw=scaled(found.average_mw, 1.0),
        idle_ma=found.idle_ma,
        idle_status=found.idle_status,
        battery_mah=battery_mah,
        battery_hours=scaled(found.battery_hours, 1.0) if found.battery_hours else None,
    )


def layers(
    compiled: Compiled, image: Image, timed: model.Timing | None, used: Energy | None
) -> tuple[Layer, ...]:
    """One row per layer function in execution order, then "(run)" where something was counted.

    `used` is the energy of the whole run, None where the board has no figures; a layer's share of
    it is its share of the time, interval end by interval end.
    """
    nodes = {node.name: node for node in compiled.graph.nodes}
    profiles = {p.name: p for p in timed.profiles} if timed else {}
    weights = _weights_by_layer(compiled)
    rows = [
        _layer(compiled, layer, nodes[layer.node], image, weights[index])
        for index, layer in enumerate(compiled.program.layers)
    ]
    if RUN_LAYER in profiles:
        rows.append(_run_layer(compiled, image))
    total = timed.total.cycles if timed else model.Interval(0.0, 0.0, 0.0)
    return tuple(_timed(row, profiles.get(row.symbol), total, used) for row in rows)


def sources(trace: Trace | None) -> Mapping[str, Source]:
    """Where each figure comes from."""
    found: dict[str, Source] = {"fit": "counted", "memory": "counted", "macs": "counted"}
    if trace is None:
        return found
    measured = trace.engine.fidelity == "measured"
    if trace.instructions is not None:
        found["instructions"] = "measured" if measured else "counted"
    if trace.profiles or trace.cycles is not None:
        kind: Source = "measured" if measured else "modelled"
        found |= {"cycles": kind, "time_ms": kind, "energy_uj": "modelled"}
    if trace.stack_bytes is not None:
        found["stack_bytes"] = "measured" if measured else "counted"
    return found


def _layer(
    compiled: Compiled, layer: ProgramLayer, node: Node, image: Image, weights_bytes: int
) -> Layer:
    symbol = image.symbols.get(layer.symbol)
    first_output = compiled.graph.tensors[node.outputs[0]]
    return Layer(
        name=layer.node,
        op=layer.op,
        kernel=layer.kernel,
        symbol=layer.symbol,
        origin=layer.origin,
        shape=first_output.shape,
        macs=macs(node, compiled.graph),
        output_bytes=sum(a.size_bytes for a in layer.outputs),
        scratch_bytes=layer.scratch.size_bytes if layer.scratch else 0,
        text_bytes=symbol.size_bytes if symbol else 0,
        weights_bytes=weights_bytes,
    )


def _run_layer(compiled: Compiled, image: Image) -> Layer:
    symbol = image.symbols.get(f"{compiled.name}_run")
    return Layer(
        name=RUN_LAYER,
        op="Run",
        kernel="",
        symbol=RUN_LAYER,
        origin=(),
        shape=(),
        macs=0,
        output_bytes=0,
        scratch_bytes=0,
        text_bytes=symbol.size_bytes if symbol else 0,
        weights_bytes=0,
    )


def _timed(
    row: Layer, profile: model.ProfileTiming | None, total: model.Interval, used: Energy | None
) -> Layer:
    if profile is None:
        return row
    cost = profile.cycles
    return replace(
        row,
        instructions=profile.instructions,
        cycles=cycles(cost),
        share=round(cost.mid / total.mid, 4) if total.mid else 0.0,
        energy_uj=energy_share(used, cost, total),
        parts=_whole(profile.breakdown),
        mix=dict(profile.mix),
    )


def energy_share(
    used: Energy | None, part: model.Interval, total: model.Interval
) -> Interval | None:
    """What a part of the run takes of its energy: its share of the time, end by end."""
    if used is None or total.low <= 0:
        return None
    e = used.energy_uj
    return Interval(
        significant(e.low * part.low / total.low),
        significant(e.mid * part.mid / total.mid),
        significant(e.high * part.high / total.high),
    )


def _weights_by_layer(compiled: Compiled) -> Sequence[int]:
    """Bytes of const tables per layer; a shared one counts for its first reader."""
    found = [0] * len(compiled.program.layers)
    for table in compiled.program.tables:
        if table.users:
            found[min(table.users)] += table.size_bytes
    return found


def _whole(parts: Mapping[Part, float]) -> Mapping[str, int]:
    return {str(name): max(0, round(value)) for name, value in parts.items()}
