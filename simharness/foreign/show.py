# SPDX-License-Identifier: MIT
"""A console session as text for people and as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict

import simharness
from simharness.foreign import Session

_SHOWN = 25


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
            "breakdown_cycles": dict(total.breakdown),
            "assumed_share": total.assumed_share,
            "functions": [asdict(f) for f in session.functions],
            "unknown_registers": {f"{a:#010x}": n for a, n in session.unknown.items()},
        },
        "sent": session.sent,
    }
    return json.dumps(data, indent=2) + "\n"


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
        "",
    ]
    for part, cycles in total.breakdown.items():
        if cycles:
            lines.append(f"  {part:<14}{cycles:>14,.0f}  {100 * cycles / c.mid:5.1f} %")
    lines += [
        f"  resting on assumed figures: {100 * total.assumed_share:.1f} % of cycles",
        "",
        f"{'own cycles':>14}  {'with callees':>14}  {'calls':>9}  function (zero wait states)",
    ]
    for f in session.functions[:_SHOWN]:
        lines.append(
            f"{f.cycles.mid:>14,.0f}  {f.inclusive_cycles:>14,.0f}  {f.calls:>9,}  {f.name}"
        )
    if len(session.functions) > _SHOWN:
        lines.append(f"{'':>43}and {len(session.functions) - _SHOWN} more")
    if session.unknown:
        known = ", ".join(f"{a:#010x}" for a in list(session.unknown)[:8])
        more = ", ..." if len(session.unknown) > 8 else ""
        lines += ["", f"{len(session.unknown)} registers only read back: {known}{more}"]
    return "\n".join(lines) + "\n"
