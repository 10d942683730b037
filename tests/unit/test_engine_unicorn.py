# SPDX-License-Identifier: MIT
"""The Unicorn engine: right outputs, exact counts by layer, and every fault told with its place."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import numpy as np
import pytest

from simharness import engines
from simharness.engines.base import Engine
from simharness.engines.decode import executed, instructions
from simharness.engines.unicorn import Region, UnicornEngine, intermediates
from simharness.engines.unicorn_cpu import MODELS, Cpu
from simharness.errors import FaultError, UsageError
from simharness.image import Image, Memory
from simharness.toolchain import Port, Program, build

CORES = ("m0plus", "m3", "m4", "m7", "m33")
BUDGET = 1_000_000
PROGRAM = Program("net", "net.h", (Port("int8_t", 64),), (Port("int8_t", 64),))
LAYERS = ("net_l00_scale", "net_l01_divide")
# A small model; BODY is put into its second layer.
TEXT = """
#include "net.h"
#include <string.h>
static int8_t net_arena[128];
static const int8_t constant[4] = {1, 2, 3, 4};
static volatile uint32_t sink;
__attribute__((noinline)) static int helper(int n) {
  volatile int frame[6];
  frame[0] = n;
  return n > 0 ? helper(n - 1) + frame[0] : 0;
}
__attribute__((noinline)) static void net_l00_scale(const int8_t *x, int8_t *y) {
  for (int i = 0; i < 64; i++) y[i] = (int8_t)(x[i] * 3);
}
__attribute__((noinline)) static void net_l01_divide(const int8_t *x, int8_t *y) {
  sink = (uint32_t)constant[0] + (uint32_t)helper(2);
  for (int i = 0; i < 64; i++) y[i] = (int8_t)(x[i] / (x[0] | 1));
  BODY
}
int net_init(void) { return 0; }
int net_run(const int8_t *x, int8_t *y) {
  net_l00_scale(x, net_arena);
  net_l01_divide(net_arena, net_arena + 64);
  memcpy(y, net_arena + 64, 64);
  return 0;
}
"""


def model(body: str = "", core: str = "m4", **options: object) -> Image:
    header = "#include <stdint.h>\nint net_init(void);\nint net_run(const int8_t *, int8_t *);\n"
    text = TEXT.replace("BODY", body)
    if "memory" in options:
        options["chip"] = options.pop("memory")
    return build(
        {"net.h": header, "net.c": text}, core, program=PROGRAM, layers=LAYERS, **options  # type: ignore[arg-type]
    ).image  # fmt: skip


def inputs(seed: int) -> np.ndarray:  # type: ignore[type-arg]
    return np.random.default_rng(seed).integers(-128, 128, 64, dtype=np.int8)


def expected(x: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
    y = (x.astype(np.int32) * 3).astype(np.int8)
    return np.trunc(y / (y[0].astype(np.int32) | 1)).astype(np.int32).astype(np.int8)


def run(body: str, core: str = "m4", **options: object) -> None:
    UnicornEngine().run(model(body, core, **options), [(inputs(0).tobytes(),)], budget=BUDGET)


@pytest.mark.parametrize("core", CORES)
def test_outputs_counts_and_repeats(core: str) -> None:
    """Right on every input; counting in Python gives the same; again gives the same."""
    image = model(core=core)
    sets = [inputs(i) for i in range(3)]
    raw = [(x.tobytes(),) for x in sets]
    trace = UnicornEngine().run(image, raw, budget=BUDGET)

    for x, (y,) in zip(sets, trace.outputs, strict=True):
        assert (np.frombuffer(y, np.int8) == expected(x)).all()
    assert [p.name for p in trace.profiles] == [*LAYERS, "(run)"]
    assert trace.instructions == executed(trace.profiles, image.code)
    again = UnicornEngine().run(image, raw, budget=BUDGET)
    slow = UnicornEngine(pure_python=True).run(image, raw[:1], budget=BUDGET)
    assert repr(again) == repr(trace)
    outputs = UnicornEngine(pure_python=True).run(image, raw, budget=BUDGET).outputs
    assert outputs == trace.outputs
    assert (slow.profiles, slow.instructions, slow.stack_bytes) == (
        trace.profiles, trace.instructions, trace.stack_bytes,
    )  # fmt: skip


def test_what_a_layer_calls_counts_to_the_layer() -> None:
    """The helper and, on a core without division, libgcc, run in the second layer only."""
    image = model(core="m0plus")
    trace = UnicornEngine().run(image, [(inputs(0).tobytes(),)], budget=BUDGET)
    first, second, around = trace.profiles
    layers = [image.symbols[n] for n in image.symbols if n.split(".")[0] in LAYERS]

    def inside(address: int) -> bool:
        return any(s.address <= address < s.address + s.size_bytes for s in layers)

    assert all(inside(b.address) for b in first.blocks)
    assert any(not inside(b.address) for b in second.blocks)
    assert not any(inside(b.address) for b in around.blocks)
    entered = {b.address: b.count for p in (first, second) for b in p.blocks}
    assert [entered[s.address] for s in layers] == [1, 1]


def test_only_the_first_input_set_is_counted() -> None:
    image = model("for (volatile int i = 0; i < x[1] + 128; i++) { }")
    sets = [(inputs(i).tobytes(),) for i in range(3)]

    one = UnicornEngine().run(image, sets[:1], budget=BUDGET)
    three = UnicornEngine().run(image, sets, budget=BUDGET)
    other = UnicornEngine().run(image, sets[1:], budget=BUDGET)
    assert one.profiles == three.profiles != other.profiles


def test_every_block_is_entered_as_often_as_it_is_left() -> None:
    trace = UnicornEngine().run(model(), [(inputs(0).tobytes(),)], budget=BUDGET)
    into: dict[int, int] = {}
    out: dict[int, int] = {}
    ran: dict[int, int] = {}
    for p in trace.profiles:
        for b in p.blocks:
            ran[b.address] = ran.get(b.address, 0) + b.count
        for e in p.edges:
            out[e.source] = out.get(e.source, 0) + e.count
            into[e.target] = into.get(e.target, 0) + e.count
    never_entered = {a: n - into.get(a, 0) for a, n in ran.items() if n != into.get(a, 0)}
    never_left = {a: n - out.get(a, 0) for a, n in ran.items() if n != out.get(a, 0)}

    assert list(never_entered.values()) == [1]
    assert list(never_left.values()) == [1]


FAULTS = {
    "read from nowhere": ("sink = *(volatile uint32_t *)0x60000000;", "no memory"),
    "null pointer": ("*(volatile uint8_t *)(uintptr_t)sink = 1;", "no memory|read-only"),
    "write to flash": ("*(volatile int8_t *)constant = 1;", "read-only memory"),
    "undefined": ('__asm volatile("udf #0");', "undefined instruction"),
    "jump to nowhere": ("((void (*)(void))0x60000001u)();", "jumped to an address"),
    "endless loop": ("for (;;) sink++;", "more than 1000000 instructions"),
    "breakpoint": ('__asm volatile("bkpt #0");', "exception|stopped"),
    "sleep": ('__asm volatile("wfi");', "stopped by itself"),
}


@pytest.mark.parametrize("core", ["m0plus", "m4"])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_names_layer_symbol_and_address(fault: str, core: str) -> None:
    body, why = FAULTS[fault]

    with pytest.raises(FaultError, match=why) as caught:
        run(body.replace("(uintptr_t)sink", "(sink & 0u)"), core)
    assert caught.value.exit_code == 4
    assert "layer net_l01_divide" in str(caught.value)
    assert "0x" in str(caught.value)
    if "jump" not in fault:
        assert "net_l01_divide" in str(caught.value).split(" in layer ")[0]


def test_a_stack_overflow_is_a_fault() -> None:
    with pytest.raises(FaultError, match=r"no memory.*helper"):
        run("sink = (uint32_t)helper(1000);")
    run("sink = (uint32_t)helper(1000);", stack_bytes=100_000)


@pytest.mark.parametrize(
    ("body", "zone"),
    [
        ("net_arena[128 + (sink & 0u)] = 5;", "above the arena"),
        ("net_arena[-1 - (int)(sink & 0u)] = 5;", "below the arena"),
        ("{ extern int8_t sim_stack_top[]; sim_stack_top[sink & 1u] = 5; }", "above the stack"),
        ("{ extern int8_t sim_stack_bottom[]; sim_stack_bottom[-4] = 5; }", "below the stack"),
    ],
)
def test_a_write_beside_stack_or_arena_is_seen(body: str, zone: str) -> None:
    run("net_arena[127] = 5;")
    with pytest.raises(FaultError, match=f"wrote {zone}: guard zone changed at 0x2"):
        run(body)


def test_a_model_that_returns_an_error_is_a_fault() -> None:
    header = "#include <stdint.h>\nint net_init(void);\nint net_run(const int8_t *, int8_t *);\n"
    text = TEXT.replace("BODY", "").replace("64);\n  return 0;", "64);\n  return 7;")
    image = build({"net.h": header, "net.c": text}, "m4", program=PROGRAM).image

    with pytest.raises(FaultError, match="returned 7"):
        UnicornEngine().run(image, [(bytes(64),)], budget=BUDGET)


def test_an_init_that_never_ends_up_ready_is_a_fault() -> None:
    text = TEXT.replace("BODY", "").replace(
        "net_init(void) { return 0", "net_init(void) { return 1"
    )
    header = "#include <stdint.h>\nint net_init(void);\nint net_run(const int8_t *, int8_t *);\n"
    image = build({"net.h": header, "net.c": text}, "m4", program=PROGRAM).image
    cpu = Cpu(image)

    with pytest.raises(FaultError, match=r"sim_ready|more than"):
        cpu.boot(budget=10_000)


def test_unaligned_accesses_are_found_on_the_last_of_several_inputs() -> None:
    image = model('__asm volatile("ldrd r2, r3, [%0]" :: "r"(x + 1) : "r2", "r3");')
    sets = [(inputs(i).tobytes(),) for i in range(2)]

    UnicornEngine().run(image, sets[:1], budget=BUDGET)
    with pytest.raises(FaultError, match=r"unaligned access.*net_l01_divide"):
        UnicornEngine().run(image, sets, budget=BUDGET)


@pytest.mark.parametrize("pure_python", [False, True])
def test_a_fault_on_a_later_input_names_the_layer_too(pure_python: bool) -> None:
    """Also where nothing counts any more."""
    image = model("while (x[0] > 100 * 1) sink++;")
    good, bad = np.zeros(64, np.int8), np.full(64, 40, np.int8)
    sets = [(a.tobytes(),) for a in (good, bad, good)]

    with pytest.raises(FaultError, match=r"more than 20000 .*net_l01_divide.* in layer net_l01"):
        UnicornEngine(pure_python=pure_python).run(image, sets, budget=20_000)


def test_an_engine_of_another_package_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    place = "simharness.engines.unicorn:UnicornEngine"
    other = EntryPoint("other", place, "simharness.engines")
    monkeypatch.setattr(engines, "entry_points", lambda group: [other])

    assert "other" in engines.names()
    assert engines.engine("other").name == "unicorn"


def test_the_budget_is_of_each_call() -> None:
    image = model()
    raw = [(inputs(0).tobytes(),)]
    needed = UnicornEngine().run(image, raw, budget=BUDGET).instructions
    assert needed is not None

    UnicornEngine().run(image, raw * 3, budget=needed)
    for engine in (UnicornEngine(), UnicornEngine(pure_python=True)):
        with pytest.raises(FaultError, match=f"more than {needed - 1} instructions"):
            engine.run(image, raw, budget=needed - 1)


def test_the_stack_mark_follows_the_depth() -> None:
    marks = []
    for depth in (10, 11, 30):
        image = model(f"sink = (uint32_t)helper({depth});")
        trace = UnicornEngine().run(image, [(inputs(0).tobytes(),)], budget=BUDGET)
        marks.append(trace.stack_bytes or 0)
    frame = marks[1] - marks[0]

    assert 8 <= frame <= 64
    assert marks[2] == marks[0] + 20 * frame


@pytest.mark.parametrize("pure_python", [False, True])
def test_intermediates_are_what_layers_left(pure_python: bool) -> None:
    """Also where a later layer overwrites them."""
    image = model("memset((void *)(uintptr_t)x, 0x11, 64);")
    x = inputs(3)
    arena = image.symbols["net_arena"].address
    whole = [Region(arena, 64), Region(arena + 64, 64)]
    found = intermediates(
        image, (x.tobytes(),), {LAYERS[0]: whole[:1], LAYERS[1]: whole},
        budget=BUDGET, pure_python=pure_python,
    )  # fmt: skip

    assert found[LAYERS[0]] == ((x.astype(np.int32) * 3).astype(np.int8).tobytes(),)
    assert found[LAYERS[1]] == (b"\x11" * 64, expected(x).tobytes())
    with pytest.raises(UsageError, match="no layer 'other'"):
        intermediates(image, (x.tobytes(),), {"other": whole}, budget=BUDGET)
    with pytest.raises(UsageError, match="no memory holds"):
        intermediates(image, (x.tobytes(),), {LAYERS[0]: [Region(4, 4)]}, budget=BUDGET)


def test_wrong_inputs_are_told() -> None:
    image, engine = model(), UnicornEngine()

    with pytest.raises(UsageError, match="at least one set"):
        engine.run(image, [], budget=BUDGET)
    with pytest.raises(UsageError, match="1 inputs, not 2"):
        engine.run(image, [(bytes(64), bytes(64))], budget=BUDGET)
    with pytest.raises(UsageError, match="64 bytes, not 63"):
        engine.run(image, [(bytes(63),)], budget=BUDGET)


def test_overlapping_memories_are_told() -> None:
    image = model()
    twice = (*image.memories, Memory("again", 0x2000_0000, 4096, True))
    broken = Image(**{f: getattr(image, f) for f in Image.__slots__} | {"memories": twice})

    with pytest.raises(UsageError, match="again cannot be mapped"):
        Cpu(broken)


# Encodings, by a name for them; which cores have them.
ENCODINGS = {
    "movw": (0x0000F240, ("m3", "m4", "m7", "m33")),
    "sdiv": (0xF0F1FB90, ("m3", "m4", "m7", "m33")),
    "smlad": (0x0001FB20, ("m4", "m7", "m33")),
    "sxtb16": (0xF081FA2F, ("m4", "m7", "m33")),
    "sadd8": (0xF001FA80, ("m4", "m7", "m33")),
    "pkhbt": (0x0001EAC0, ("m4", "m7", "m33")),
    "vadd.f32": (0x0A20EE30, ("m4", "m7", "m33")),
    "vfma.f32": (0x0A20EEA0, ("m4", "m7", "m33")),
    "vrinta.f32": (0x0A60FEB8, ("m7", "m33")),
    "vadd.f64": (0x0B01EE30, ("m7",)),
    "lda": (0x0FAFE8D1, ("m33",)),
    "cbz": (0xBF00B100, ("m3", "m4", "m7", "m33")),
    "it": (0xBF00BF08, ("m3", "m4", "m7", "m33")),
    "dmb": (0x8F5FF3BF, CORES),
}


@pytest.mark.parametrize("core", CORES)
@pytest.mark.parametrize("name", ENCODINGS)
def test_a_core_runs_its_own_instructions_and_no_others(name: str, core: str) -> None:
    encoding, cores = ENCODINGS[name]
    low, high = encoding & 0xFFFF, encoding >> 16
    # r1 holds a valid address for LDA.
    clobbers = '"r0", "r1", "cc"' if core in ("m0plus", "m3") else '"r0", "r1", "s0", "s1", "cc"'
    code = f"mov r1, %0\\n .short {low:#x}, {high:#x}\\n nop"
    body = f'__asm volatile("{code}" :: "l"(y) : {clobbers});'

    if core in cores:
        run(body, core)
    else:
        with pytest.raises(FaultError, match=r"net_l01_divide[\w.]*\+0x"):
            run(body, core)


def test_models_are_the_cores_that_were_asked_for() -> None:
    """UC_MODE_MCLASS would silently make each of them an M33."""
    from simharness.engines import unicorn_cpu

    for core, model_number in MODELS.items():
        assert unicorn_cpu.model(core).ctl_get_cpu_model() == model_number
    with pytest.raises(UsageError, match="m0plus, m3, m4, m7, m33"):
        unicorn_cpu.model("m85")


def test_instruction_lengths() -> None:
    assert instructions(bytes.fromhex("00bf00bf")) == 2
    assert instructions(bytes.fromhex("00f0 00f800bf".replace(" ", ""))) == 2
    assert instructions(b"") == 0


def test_engines_are_found_by_name() -> None:
    engine: Engine = engines.engine("unicorn")

    assert engine.name == "unicorn"
    assert engine.missing() is None
    assert engine.describe().fidelity == "counted"
    assert set(engines.names()) >= {"unicorn", "qemu"}
    with pytest.raises(UsageError, match=r"known are .*unicorn"):
        engines.engine("gem5")
