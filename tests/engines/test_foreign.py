# SPDX-License-Identifier: MIT
"""Unmodified firmware boots, answers on its console, and is timed; what goes wrong is said."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

import simharness
from cycle_models.chip import load_chip
from cycle_models.memory import memory_system
from simharness import cli
from simharness.errors import FaultError, UsageError
from simharness.foreign import Session, profile_console
from simharness.foreign.board import Board
from simharness.foreign.console import parse
from simharness.foreign.load import read
from simharness.foreign.show import as_csv

pytestmark = pytest.mark.needs("arm-none-eabi-gcc")

_LINK = """
SECTIONS {
  . = 0x08000000;
  .text : { KEEP(*(.vectors)) *(.text*) *(.rodata*) }
  . = 0x20000000;
  .bss : { *(.bss*) *(COMMON) }
  stack_top = 0x20010000;
}
"""
_SCRIPT = """
timeout 100ms
expect "m-ready"     # booted
measure "lap-"
send "go%"
expect "done"
expect "m-ready"
"""


@pytest.fixture(scope="module")
def firmware(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("firmware")
    (folder / "link.ld").write_text(_LINK)
    elf = folder / "board.elf"
    source = Path(__file__).with_name("console_firmware.c")
    flags = ["-mcpu=cortex-m0plus", "-mthumb", "-O2", "-nostdlib", "-ffreestanding"]
    subprocess.run(
        ["arm-none-eabi-gcc", *flags, str(source), "-T", str(folder / "link.ld"), "-o", str(elf)],
        check=True,
        capture_output=True,
    )
    for kind, suffix in (("binary", "bin"), ("ihex", "hex")):
        subprocess.run(
            ["arm-none-eabi-objcopy", "-O", kind, str(elf), str(folder / f"board.{suffix}")],
            check=True,
        )
    return elf


def _run(firmware: Path, script: str = _SCRIPT, board: str = "STM32G0B1") -> Session:
    path = firmware.with_name("script.txt")
    path.write_text(script)
    return profile_console(firmware, board, path)


def test_the_window_is_what_ran_between_the_two_timer_reads(firmware: Path) -> None:
    session = _run(firmware)
    (work,) = [f for f in session.functions if f.name == "work"]
    assert work.calls == 1
    assert work.instructions > 5000
    assert session.timing.mode == "memory"
    assert session.timing.total.cycles.mid >= session.zero_wait.cycles.mid
    assert session.energy.energy_uj.mid > 0


def test_stalls_and_energy_are_told_by_function(firmware: Path) -> None:
    session = _run(firmware)
    total = session.timing.total
    for part in ("issue", "fetch_stalls", "data_stalls"):
        parts = sum(f.breakdown[part] for f in session.functions)
        assert parts == pytest.approx(total.breakdown[part], rel=0.02, abs=2)
    assert sum(f.cycles.mid for f in session.functions) == pytest.approx(total.cycles.mid, rel=0.01)
    assert sum(f.energy_uj for f in session.functions) == pytest.approx(
        session.energy.energy_uj.mid, rel=0.01
    )
    assert total.breakdown["fetch_stalls"] > 0
    say = next(f for f in session.functions if f.name == "say")
    assert say.inclusive.energy_uj >= say.energy_uj
    columns = as_csv(session).splitlines()[0].split(",")
    assert {"fetch_stall_cycles", "data_stall_cycles", "energy_uj"} <= set(columns)


def test_the_firmware_itself_prints_what_the_model_says(firmware: Path) -> None:
    session = _run(firmware)
    laps = [int(part[:8], 16) for part in session.sent.split("lap-")[1:]]
    assert laps[1] - laps[0] == pytest.approx(session.timing.total.cycles.mid, rel=0.03)


def test_a_window_between_two_places(firmware: Path) -> None:
    script = firmware.with_name("go.txt")
    script.write_text('expect "m-ready"\nsend "go%"\nexpect "done"\n')
    session = profile_console(firmware, "STM32G0B1", script, between_places=("work", "say"))
    assert session.functions[0].name == "work"
    # the loop: load, add, store, count, compare, branch, a thousand times
    assert 6_000 < session.timing.total.instructions < 10_000
    with pytest.raises(UsageError, match="has no function 'nowhere'"):
        profile_console(firmware, "STM32G0B1", script, between_places=("nowhere", "say"))
    with pytest.raises(FaultError, match=r"did not reach .* within 0.01 s of emulated time"):
        profile_console(firmware, "STM32G0B1", between_places=("work", "say"), timeout_s=0.01)


def test_systick_interrupts_in_modelled_time(firmware: Path) -> None:
    """The firmware waits for twenty ticks of 6400 cycles before it says that it is ready."""
    chip = load_chip("STM32G0B1")
    board = Board(read(firmware, chip), chip, memory_system(chip), clock_hz=64_000_000)
    board.talk(parse('expect "m-ready"', "s"))
    assert board.seconds == pytest.approx(2e-3, rel=0.2)


def test_elf_binary_and_hex_are_the_same_firmware(firmware: Path) -> None:
    cycles = {
        _run(firmware.with_suffix(suffix)).timing.total.cycles
        for suffix in (".elf", ".bin", ".hex")
    }
    assert len(cycles) == 1
    names = {f.name for f in _run(firmware.with_suffix(".bin")).functions}
    assert any(name.startswith("sub_0800") for name in names)


def test_a_script_that_never_gets_its_answer_ends_in_emulated_time(firmware: Path) -> None:
    with pytest.raises(FaultError, match=r"did not send 'hello' \(line 2 .* within 0.05 s"):
        _run(firmware, 'timeout 50ms\nexpect "hello"\n')


def test_a_script_without_a_window_is_refused(firmware: Path) -> None:
    with pytest.raises(UsageError, match="nothing was measured"):
        _run(firmware, 'expect "m-ready"\n')


def test_firmware_for_another_chip_is_refused(firmware: Path) -> None:
    with pytest.raises(UsageError, match=r"do not fit the memories of nRF52840"):
        read(firmware, load_chip("nRF52840"))


def test_an_image_larger_than_the_chip_is_refused(tmp_path: Path) -> None:
    (tmp_path / "large.bin").write_bytes(bytes(513 << 10))
    with pytest.raises(UsageError, match="do not fit the memories of STM32G0B1"):
        read(tmp_path / "large.bin", load_chip("STM32G0B1"))


def test_an_elf_for_another_architecture_is_refused(tmp_path: Path) -> None:
    (tmp_path / "host.c").write_text("int main(void) { return 0; }\n")
    pytest.importorskip("elftools")
    host = tmp_path / "host.elf"
    done = subprocess.run(["cc", "-o", str(host), str(tmp_path / "host.c")], capture_output=True)
    if done.returncode:
        pytest.skip("no host compiler")
    with pytest.raises(UsageError, match=r"host\.elf: not a little-endian 32-bit Arm ELF"):
        read(host, load_chip("STM32G0B1"))
    with pytest.raises(UsageError, match=r"host\.elf: not a little-endian 32-bit Arm ELF"):
        simharness.profile(host, "main", core="m4")


def test_what_a_call_needs_of_an_image_is_said(tmp_path: Path) -> None:
    """One larger than the chip, and one without a vector table."""
    cases = {
        "int big[400000] = {1}; int main(void) { return big[5]; }": "do not fit the memories",
        "int main(void) { return 7; }": r"where the image begins, is 0x[0-9a-f]+: no initial stack",
    }
    for number, (text, message) in enumerate(cases.items()):
        source, built = tmp_path / f"{number}.c", tmp_path / f"{number}.elf"
        source.write_text(text)
        flags = ["-mcpu=cortex-m4", "-mthumb", "-O1", "-nostdlib", "-Wl,-Ttext=0x08000000"]
        flags += ["-Wl,-Tdata=0x08010000", "-Wl,-emain"]
        subprocess.run(
            ["arm-none-eabi-gcc", *flags, str(source), "-o", str(built)],
            check=True, capture_output=True,
        )  # fmt: skip
        with pytest.raises(UsageError, match=message):
            simharness.profile(built, "main", board="STM32F446")


def test_a_chip_without_peripherals_boots_what_asks_for_none(firmware: Path) -> None:
    """Only speaking to it needs a UART; here it runs into its wait for one."""
    session = profile_console(firmware, "STM32F446", run_for_s=1e-4)
    assert session.timing.total.instructions > 100


def test_a_damaged_hex_file_names_its_line(tmp_path: Path) -> None:
    (tmp_path / "bad.hex").write_text(":020000040800F2\n:04000000DEADBEEF00\n")
    with pytest.raises(UsageError, match=r"bad\.hex:2: not an Intel HEX record"):
        read(tmp_path / "bad.hex", load_chip("STM32G0B1"))


def test_a_chip_without_peripherals_says_what_is_missing(firmware: Path) -> None:
    with pytest.raises(UsageError, match=r"no \[uart\.NAME\], so nobody to speak to; .* STM32F446"):
        _run(firmware, board="STM32F446")


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("shout hello", "not a step"),
        ("timeout fast", "'fast' is no time"),
        ('hex "db " 0 10', "one byte per command"),
        ('expect "open', "No closing quotation"),
    ],
)
def test_wrong_scripts_name_their_line(line: str, why: str) -> None:
    with pytest.raises(UsageError, match=rf"s\.txt:2: .*{why}"):
        parse(f"# a comment\n{line}\n", "s.txt")


def test_the_command_prints_table_and_json(
    firmware: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = firmware.with_name("cli.txt")
    script.write_text(_SCRIPT)
    common = ["profile", str(firmware), "--board", "STM32G0B1", "--console", str(script), "-q"]
    assert cli.main(common) == 0
    assert "work" in capsys.readouterr().out
    assert cli.main([*common, "--format", "json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["results"]["cycles"]["low"] <= data["results"]["cycles"]["mid"]
    assert data["board"]["chip"] == "STM32G0B1"
    assert cli.main(["profile", str(firmware), "--console", str(script), "-q"]) == 2


_BARE = """
extern int stack_top;
volatile int sum;
__attribute__((noinline)) void leaf(int n) { for (int i = 0; i < n; i++) sum += i; }
__attribute__((noinline)) void twice(int n) { leaf(n); leaf(2 * n); }
void reset(void) { twice(100); for (;;) { END } }
__attribute__((section(".vectors"), used)) static const void *const vectors[2] = {
    &stack_top, (void *)reset};
"""


def _build(folder: Path, end: str = "") -> Path:
    """A program with a start-up of its own that works and then waits for ever."""
    (folder / "link.ld").write_text(_LINK)
    (folder / "bare.c").write_text(_BARE)
    elf = folder / "bare.elf"
    flags = ["-mcpu=cortex-m0plus", "-mthumb", "-O2", "-nostdlib", "-ffreestanding"]
    subprocess.run(
        ["arm-none-eabi-gcc", *flags, f"-DEND={end}", str(folder / "bare.c"), "-T",
         str(folder / "link.ld"), "-o", str(elf)],
        check=True,
        capture_output=True,
    )  # fmt: skip
    return elf


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _build(tmp_path_factory.mktemp("bare"))


def test_a_whole_run_ends_where_the_program_does(bare: Path) -> None:
    runs = [profile_console(bare, "STM32G0B1", run_for_s=s) for s in (1e-3, 5e-3)]
    assert runs[0].timing == runs[1].timing
    assert {f.name: f.calls for f in runs[0].functions} == {"leaf": 2, "twice": 1, "reset": 0}
    top = next(f for f in runs[0].functions if f.name == "reset")
    assert top.inclusive.cycles == pytest.approx(sum(f.cycles.mid for f in runs[0].functions))


def test_a_whole_run_ends_with_its_time(firmware: Path) -> None:
    """This one waits for commands: it never ends by itself."""
    session = profile_console(firmware, "STM32G0B1", run_for_s=4e-3)
    assert session.time_ms == pytest.approx(4.0, rel=0.05)
    assert "m-ready" in session.sent


def test_zero_wait_is_as_asked(bare: Path) -> None:
    session = profile_console(bare, "STM32G0B1", run_for_s=1e-3, zero_wait=True)
    assert session.timing.mode == "zero-wait"
    assert session.timing.total.cycles == session.zero_wait.cycles


def test_a_whole_run_in_other_formats(bare: Path, capsys: pytest.CaptureFixture[str]) -> None:
    common = ["profile", str(bare), "--board", "STM32G0B1", "--for", "1ms", "-q", "--format"]
    assert cli.main([*common, "callgrind"]) == 0
    text = capsys.readouterr().out
    assert "fn=twice\n" in text and "cfn=leaf\ncalls=2 0x" in text
    assert cli.main([*common, "csv"]) == 0
    assert capsys.readouterr().out.splitlines()[1].startswith("leaf,0x08")
    assert cli.main([*common, "junit"]) == 2
    assert "formats table, json, csv, callgrind" in capsys.readouterr().err
    assert cli.main([*common, "table", "--from", "leaf", "--to", "twice"]) == 2
    assert cli.main([*common, "table", "--budget", "5"]) == 2


@pytest.mark.parametrize("end", ['__asm volatile("wfi");', '__asm volatile("bkpt 0xab");'])
def test_a_program_may_end_asleep_or_at_a_breakpoint(tmp_path: Path, bare: Path, end: str) -> None:
    session = profile_console(_build(tmp_path, end), "STM32G0B1", run_for_s=1e-3)
    endless = profile_console(bare, "STM32G0B1", run_for_s=1e-3)
    assert session.timing.total.instructions == pytest.approx(
        endless.timing.total.instructions, abs=3
    )


def test_a_breakpoint_in_a_console_session_is_a_fault(tmp_path: Path) -> None:
    elf = _build(tmp_path, '__asm volatile("bkpt 0xab");')
    with pytest.raises(FaultError, match="a breakpoint, which nobody serves, at 0x0800"):
        _run(elf, 'expect "hello"\n')


_COPIED = """
extern int stack_top;
volatile int sum;
static unsigned short ram[64];
__attribute__((noinline)) void work(int n) { for (int i = 0; i < n; i++) sum += i; }
void reset(void) {
  const unsigned short *from = (const unsigned short *)((unsigned)work & ~1u);
  for (int i = 0; i < 64; i++) ((volatile unsigned short *)ram)[i] = from[i];
  ((void (*)(int))((unsigned)ram | 1u))(100);
  for (;;) {}
}
__attribute__((section(".vectors"), used)) static const void *const vectors[80] = {
    &stack_top, (void *)reset};
"""


def test_code_that_was_copied_to_ram_is_timed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(globals(), "_BARE", _COPIED)
    session = profile_console(_build(tmp_path), "STM32G0B1", run_for_s=1e-3)
    assert session.timing.total.instructions > 600


def test_what_has_no_reset_vector_is_no_firmware(tmp_path: Path, bare: Path) -> None:
    (tmp_path / "zeros.bin").write_bytes(bytes(4096))
    with pytest.raises(UsageError, match="0x00000000, is no reset vector into this image"):
        profile_console(tmp_path / "zeros.bin", "STM32G0B1", run_for_s=1e-3)
    (tmp_path / "moved.bin").write_bytes(read(bare, load_chip("STM32G0B1")).load[0].data)
    with pytest.raises(UsageError, match=r"linked for another address \(--origin\)"):
        profile_console(tmp_path / "moved.bin", "STM32G0B1", run_for_s=1e-3, origin=0x20000000)
