# SPDX-License-Identifier: MIT
"""A console session as text for people and as JSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict

import simharness
from cycle_models.energy import Duty
from simharness.foreign import Session

_SHOWN = 25
_STALLS = ("fetch_stalls", "data_stalls", "external")
_COLUMNS = (
    "function", "address", "calls", "instructions", "cycles_low", "cycles_mid", "cycles_high",
    "fetch_stall_cycles", "data_stall_cycles", "external_stall_cycles", "energy_uj",
    "inclusive_cycles", "inclusive_fetch_stall_cycles", "inclusive_data_stall_cycles",
    "inclusive_external_stall_cycles", "inclusive_energy_uj",
)  # fmt: skip


def as_json(session: Session) -> str:
    """The session in full; cycles as low, mid, high; units in the keys."""
    total = session.timing.total
    data = {
        "schema_version": 1,
        "kind": "console-profile",
        "simharness": simharness.__version__,
        "inputs": [{"role": "firmware", "name": session.firmware, "sha256": session.sha256}],
        "board": {"chip": session.chip, "core": session.timing.core, "clock_hz": session.clock_hz},
        "results": {
            "timing_mode": session.timing.mode,
            "instructions": total.instructions,
            "cycles": asdict(total.cycles),
            "zero_wait_cycles": asdict(session.zero_wait.cycles),
            "time_ms": asdict(session.energy.time_ms),
            "energy_uj": asdict(session.energy.energy_uj),
            "average": asdict(session.average) if session.average else None,
            "energy_by_class_uj": dict(session.energy.by_class),
            "instructions_by_class": dict(total.mix),
            "breakdown_cycles": dict(total.breakdown),
            "assumed_share": total.assumed_share,
            "functions": [asdict(f) for f in session.functions],
            "unknown_registers": {f"{a:#010x}": n for a, n in session.unknown.items()},
        },
        "sent": session.sent,
    }
    return json.dumps(data, indent=2) + "\n"


def as_csv(session: Session) -> str:
    """One line per function: its own cost, and with its callees."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for f in session.functions:
        c, all_in = f.cycles, f.inclusive
        writer.writerow(
            (f.name, f"{f.address:#010x}", f.calls, f.instructions, round(c.low), round(c.mid),
             round(c.high), *(round(f.breakdown[part]) for part in _STALLS), f"{f.energy_uj:.3f}",
             round(all_in.cycles), *(round(getattr(all_in, part)) for part in _STALLS),
             f"{all_in.energy_uj:.3f}")
        )  # fmt: skip
    return out.getvalue()


def as_callgrind(session: Session) -> str:
    """The call tree for KCachegrind: cycles, stalls by kind, and energy in nanojoules.

    A call costs its share of what the callee and everything below it took.
    """
    by_name = {f.name: f for f in session.functions}
    lines = [
        "# callgrind format",
        "version: 1",
        f"creator: simharness {simharness.__version__}",
        f"cmd: {session.firmware}",
        "positions: instr",
        "events: Cycles Fetch Data External Nj",
    ]
    for f in session.functions:
        own = (f.cycles.mid, *(f.breakdown[part] for part in _STALLS), 1e3 * f.energy_uj)
        lines += ["", f"fn={f.name}", f"{f.address:#x} {_events(own)}"]
        for name, calls in f.callees:
            callee = by_name.get(name)
            if callee is None or callee.calls == 0:
                continue
            below = callee.inclusive
            costs = (below.cycles, *(getattr(below, p) for p in _STALLS), 1e3 * below.energy_uj)
            lines += [
                f"cfn={name}",
                f"calls={calls} {callee.address:#x}",
                f"{f.address:#x} {_events(costs, calls / callee.calls)}",
            ]
    return "\n".join(lines) + "\n"


def _events(costs: tuple[float, ...], share: float = 1.0) -> str:
    return " ".join(str(round(share * cost)) for cost in costs)


def _average(found: Duty | None) -> list[str]:
    """Average power and battery life, where they were asked for."""
    if found is None:
        return []
    p, h = found.average_mw, found.battery_hours
    lines = [f"average power {p.mid:>11.3g} mW   {p.low:.3g} to {p.high:.3g}"]
    if h is not None:
        lines.append(f"battery life {h.mid / 24:>12.3g} days {h.low / 24:.3g} to {h.high / 24:.3g}")
    return lines


def as_text(session: Session) -> str:
    """The session as a page of text."""
    total = session.timing.total
    c, t, e = total.cycles, session.energy.time_ms, session.energy.energy_uj
    lines = [
        f"{session.firmware} on {session.chip} at {session.clock_hz / 1e6:g} MHz, "
        f"timing mode: {session.timing.mode}",
        "",
        f"instructions  {total.instructions:>14,}",
        f"cycles        {c.mid:>14,.0f}   {c.low:,.0f} to {c.high:,.0f}",
        f"time          {t.mid:>11.3f} ms   {t.low:.3f} to {t.high:.3f}",
        f"energy        {e.mid:>11.1f} uJ   {e.low:.1f} to {e.high:.1f} "
        f"({session.energy.run.status})",
        *_average(session.average),
        "",
    ]
    for part, cycles in total.breakdown.items():
        if cycles:
            lines.append(f"  {part:<14}{cycles:>14,.0f}  {100 * cycles / c.mid:5.1f} %")
    for name, uj in session.energy.by_class.items():
        n = total.mix.get(name)
        each = f"  {1e3 * uj / n:6.3f} nJ each" if n else ""
        lines.append(f"  {name:<14}{uj:>14,.1f} uJ{each}")
    lines += [
        f"  resting on assumed figures: {100 * total.assumed_share:.1f} % of cycles",
        "",
        f"{'own cycles':>13} {'fetch st.':>11} {'data st.':>11} {'own uJ':>9} "
        f"{'with callees':>13} {'uJ':>9} {'calls':>8}  function",
    ]
    for f in session.functions[:_SHOWN]:
        data = f.breakdown["data_stalls"] + f.breakdown["external"]
        lines.append(
            f"{f.cycles.mid:>13,.0f} {f.breakdown['fetch_stalls']:>11,.0f} {data:>11,.0f} "
            f"{f.energy_uj:>9.1f} {f.inclusive.cycles:>13,.0f} {f.inclusive.energy_uj:>9.1f} "
            f"{f.calls:>8,}  {f.name}"
        )
    if len(session.functions) > _SHOWN:
        lines.append(f"{'':>83}and {len(session.functions) - _SHOWN} more")
    if session.unknown:
        known = ", ".join(f"{a:#010x}" for a in list(session.unknown)[:8])
        more = ", ..." if len(session.unknown) > 8 else ""
        lines += ["", f"{len(session.unknown)} registers only read back: {known}{more}"]
    return "\n".join(lines) + "\n"


VIEWS: Mapping[str, Callable[[Session], str]] = {
    "table": as_text,
    "json": as_json,
    "csv": as_csv,
    "callgrind": as_callgrind,
}
"""What a session can be shown as, by the name of the format."""
