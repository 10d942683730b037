# SPDX-License-Identifier: MIT
"""A Machine passes arguments as the procedure call standard says, and sees every stray write."""

from __future__ import annotations

import doctest
import signal
import struct

import numpy as np
import pytest

import simharness.machine
from simharness.errors import BuildError, FaultError, UsageError
from simharness.machine import Machine

CORES = ("m0plus", "m3", "m4", "m7", "m33")
TEXT = """
#include <stdint.h>
int32_t six(int32_t a, int32_t b, int32_t c, int32_t d, int32_t e, int32_t f) {
  return a + 10 * b + 100 * c + 1000 * d + 10000 * e + 100000 * f;
}
float mixed(int32_t i, float a, const float *x, float b, int32_t j, float c) {
  return (float)i * a + x[j] * b - c;
}
uint32_t high(void) { return 0xFFFFFFFEu; }
void copy(int8_t *to, const int8_t *from, int32_t n) {
  for (int32_t i = 0; i < n; i++) to[i] = from[i];
}
void poke(int8_t *at, int32_t offset) { at[offset] ^= 0x55; }
uint32_t address(const void *p) { return (uint32_t)(uintptr_t)p; }
uint32_t stack(void) { uint32_t sp; __asm volatile("mov %0, sp" : "=r"(sp)); return sp; }
int32_t forever(int32_t n) { for (volatile int32_t i = 0; n; i++) { } return 0; }
int32_t load(const int32_t *p) { return *(const volatile int32_t *)p; }
void undefined(void) { __asm volatile("cmp r0, r0\\n udf #1"); }
int32_t table[4] = {1, 2, 3, 4};
int32_t sum(void) { return table[0] + table[1] + table[2] + table[3]; }
__attribute__((noinline)) int32_t depth(int32_t n) {
  volatile int32_t frame[6];
  frame[0] = n;
  return n ? depth(n - 1) + frame[0] : 0;
}
"""


@pytest.fixture(scope="module", params=CORES)
def machine(request: pytest.FixtureRequest) -> Machine:
    return Machine(request.param, {"k.c": TEXT}, budget=1_000_000)


def test_the_examples_in_the_documentation_are_true() -> None:
    result = doctest.testmod(simharness.machine)

    assert result.attempted >= 6
    assert result.failed == 0


def test_arguments_beyond_the_fourth_go_on_the_stack(machine: Machine) -> None:
    assert machine.call("six", 1, 2, 3, 4, 5, 6) == 654321


def test_floats_and_ints_mix(machine: Machine) -> None:
    x = np.array([1.5, 2.5, -3.5], np.float32)

    assert machine.call("mixed", 3, 0.5, x, 4.0, 2, 1.0, returns="float") == -13.5


def test_results_are_signed_or_not_as_asked(machine: Machine) -> None:
    assert machine.call("high") == -2
    assert machine.call("high", returns="uint") == 0xFFFF_FFFE
    assert machine.call("high", returns=None) is None
    assert machine.call("sum") == machine.call("sum")


def test_the_stack_is_aligned_with_and_without_stacked_arguments(machine: Machine) -> None:
    assert machine.call("stack", returns="uint") % 8 == 0
    assert machine.call("stack", 1, 2, 3, 4, 5, returns="uint") % 8 == 0


def test_arrays_come_back_changed(machine: Machine) -> None:
    source = np.arange(-50, 51, dtype=np.int8)
    target = np.zeros((101, 1), np.int8)

    machine.call("copy", target, source, 101, returns=None)

    assert (target[:, 0] == source).all()


@pytest.mark.parametrize("offset", [-32, -1, 7, 7 + 31])
def test_a_write_outside_of_an_array_is_seen(machine: Machine, offset: int) -> None:
    with pytest.raises(FaultError, match="array number 0"):
        machine.call("poke", np.zeros(7, np.int8), offset)


def test_a_write_to_a_read_only_array_is_seen(machine: Machine) -> None:
    constant = np.zeros(7, np.int8)
    constant.flags.writeable = False

    with pytest.raises(FaultError, match="read-only array number 0"):
        machine.call("poke", constant, 3)
    with pytest.raises(FaultError, match="read-only array number 0"):
        machine.call("poke", bytes(7), 3)


@pytest.mark.parametrize(("align", "remainder"), [(8, 0), (4, 4), (2, 2), (1, 1)])
def test_alignment_is_what_was_asked(machine: Machine, align: int, remainder: int) -> None:
    for size in range(1, 20):
        got = machine.call("address", np.zeros(size, np.int8), align=align, returns="uint")
        assert got % 8 == remainder


def test_an_endless_loop_ends_and_the_machine_goes_on(machine: Machine) -> None:
    with pytest.raises(FaultError, match=r"more than 1000000 instructions.*forever\+"):
        machine.call("forever", 1)

    assert machine.call("six", 1, 0, 0, 0, 0, 0) == 1


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs interval timers")
def test_ctrl_c_is_heard_during_a_long_run() -> None:
    m = Machine("m4", {"k.c": TEXT}, budget=1 << 60)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        with pytest.raises(KeyboardInterrupt):
            m.call("forever", 1)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_a_fault_names_its_place_and_the_machine_goes_on(machine: Machine) -> None:
    with pytest.raises(FaultError, match=r"no memory, at load\+0x[0-9a-f]+ \(0x08"):
        machine.call("load", 0x6000_0000)
    with pytest.raises(FaultError, match=r"undefined instruction, at undefined\+0x"):
        machine.call("undefined")

    assert machine.call("sum") == 10


def test_globals_can_be_read_and_written(machine: Machine) -> None:
    machine.write("table", np.array([10, 20], np.int32))
    assert machine.call("sum") == 37
    assert machine.read("table", np.int32).tolist() == [10, 20, 3, 4]
    machine.write("table", struct.pack("<2i", 1, 2))
    with pytest.raises(UsageError, match="16 bytes"):
        machine.write("table", bytes(17))


def test_wrong_use_is_told(machine: Machine) -> None:
    with pytest.raises(UsageError, match="no symbol 'nothing'"):
        machine.call("nothing")
    with pytest.raises(UsageError, match="no function"):
        machine.call("table")
    with pytest.raises(UsageError, match="C-contiguous"):
        machine.call("address", np.zeros((4, 4), np.int8)[:, 1])
    with pytest.raises(UsageError, match="32 bits"):
        machine.call("six", 1 << 32, 0, 0, 0, 0, 0)
    with pytest.raises(UsageError, match=f"built for {machine.image.core}, not m5"):
        Machine("m5", machine.image)
    with pytest.raises(BuildError, match="error"):
        Machine("m4", {"k.c": "int f(void) { return x; }"})


def test_a_count_is_of_one_call(machine: Machine) -> None:
    """Counts repeat, grow linearly with the work, and calls before do not matter."""
    counts = []
    for n in (10, 20, 30, 10):
        machine.call("sum")
        a = np.zeros(n, np.int8)
        counts.append(machine.count("poke", a, 3).instructions)
        counts.append(machine.count("depth", n).instructions)

    assert counts[0] == counts[6] < 20
    assert counts[1] == counts[7]
    assert counts[3] - counts[1] == counts[5] - counts[3] > 0


def test_the_stack_high_water_mark_of_a_known_recursion(machine: Machine) -> None:
    """Each level takes one frame; the mark moves by that, whatever its size."""
    marks = [machine.count("depth", n).stack_bytes for n in (2, 3, 4, 20)]

    assert all(m is not None for m in marks)
    frame = marks[1] - marks[0]  # type: ignore[operator]
    assert frame >= 8
    assert marks[2] == marks[0] + 2 * frame
    assert marks[3] == marks[0] + 18 * frame


def test_native_and_python_count_alike() -> None:
    one = Machine("m4", {"k.c": TEXT})
    two = Machine("m4", {"k.c": TEXT}, pure_python=True)
    for n in (0, 1, 17):
        assert one.count("depth", n) == two.count("depth", n)


UNALIGNED = {
    "ldrd": 'uint32_t a, b; __asm volatile("ldrd %0, %1, [%2]" : "=r"(a), "=r"(b) : "r"(p));',
    "strd": '__asm volatile("strd r2, r3, [%0, #8]" :: "r"(p) : "memory");',
    "ldm": '__asm volatile("ldmia %0!, {r2, r3}" : "+l"(p) :: "r2", "r3");',
    "ldm_wide": '__asm volatile("ldmdb.w %0!, {r2, r3}" : "+r"(p) :: "r2", "r3");',
    "stm": '__asm volatile("stmia %0!, {r2, r3}" : "+l"(p) :: "memory");',
    "vldr": '__asm volatile("vldr s0, [%0, #4]" :: "r"(p) : "s0");',
    "vstr": '__asm volatile("vstr s0, [%0, #4]" :: "r"(p) : "memory");',
    "vldm": '__asm volatile("vldmia %0!, {s0, s1}" : "+r"(p) :: "s0", "s1");',
    "vldr_double": '__asm volatile("vldr d0, [%0]" :: "r"(p) : "s0", "s1");',
}


@pytest.mark.parametrize("pure_python", [False, True])
@pytest.mark.parametrize("name", UNALIGNED)
def test_unaligned_accesses_that_cores_fault_on_are_seen(name: str, pure_python: bool) -> None:
    text = f"#include <stdint.h>\nvoid f(uint32_t *p) {{ {UNALIGNED[name]} }}\n"
    m = Machine("m4", {"k.c": text}, pure_python=pure_python)
    a = np.zeros(8, np.uint32)

    m.call("f", a, align=4)
    for align in (2, 1):
        with pytest.raises(FaultError, match=r"unaligned access.*at f\+0x"):
            m.call("f", a, align=align)
    m.call("f", a)


def test_m0_faults_on_any_unaligned_word() -> None:
    text = "#include <stdint.h>\nuint32_t f(const volatile uint32_t *p) { return *p; }"

    assert Machine("m3", {"k.c": text}).call("f", np.array([7], np.uint32), align=2) == 7
    with pytest.raises(FaultError, match=r"at f\+0x"):
        Machine("m0plus", {"k.c": text}).call("f", np.array([7], np.uint32), align=2)
