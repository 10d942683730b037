# SPDX-License-Identifier: MIT
"""The gdb engine on QEMU's and Renode's stubs, in place of boards, and on stubs that fail."""

from __future__ import annotations

import contextlib
import csv
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import small_model
from bad_stub import How, bad_stub

from cycle_models.chip import default_chip
from simharness import cli, engines
from simharness.bench import micro_program
from simharness.engines import renode_server, rsp
from simharness.engines.gdb import Gdb, reading
from simharness.engines.qemu import board
from simharness.engines.renode_server import Server
from simharness.errors import FaultError, SimharnessError, ToolMissingError, UsageError
from simharness.image import Image
from simharness.renode_project import platform
from simharness.toolchain import ROOMY
from simharness.toolchain.layout import memories

CORES = ("m0plus", "m3", "m4", "m7", "m33")
BOARD = str(Path(__file__).with_name("qemu_mps2_an386.toml"))
LENET = "zoo:lenet5-int8"
needs_qemu = pytest.mark.needs("qemu", "arm-none-eabi-gcc")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def qemu_stub(core: str = "m4", *, shift: int = 0) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """HOST:PORT of a halted, empty board, and its process. An instruction takes 2**shift ns."""
    port = free_port()
    process = subprocess.Popen(
        (
            "qemu-system-arm", "-machine", board(core).machine, "-nodefaults", "-display", "none",
            "-monitor", "none", "-serial", "null", "-icount", f"shift={shift}", "-S",
            "-gdb", f"tcp:127.0.0.1:{port}",
        ),
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        wait_for(port)
        yield f"127.0.0.1:{port}", process
    finally:
        process.kill()
        process.wait()


def wait_for(port: int) -> None:
    """Until the port is taken: connecting would use the one connection that a stub has."""
    for _ in range(500):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                return
        time.sleep(0.02)
    raise TimeoutError("the stub did not start")


def image(core: str = "m4", planted: str = "", *, status: int = 0) -> Image:
    memories = board(core).memories
    return small_model.image(core, memories, planted, status=status, measuring=True)


def run(target: str, built: Image, *, seconds: float = 10.0) -> None:
    Gdb(target, seconds=seconds).run(built, [small_model.values(0)], budget=1)


@needs_qemu
@pytest.mark.parametrize("core", CORES)
def test_it_loads_runs_and_measures(core: str) -> None:
    """Right outputs on every input; without CYCCNT the count is SysTick's; twice the same."""
    built, given = image(core), [small_model.values(seed) for seed in range(3)]
    traces = []
    for _ in range(2):
        with qemu_stub(core) as (target, _process):
            traces.append(Gdb(target).run(built, given, budget=1))

    for trace in traces:
        assert trace.outputs == tuple(small_model.expected(v) for v in given)
        assert trace.engine.version.endswith("SysTick")
        assert trace.engine.fidelity == "measured"
        # Some 900 instructions of 1 ns, in ticks of 40 ns.
        assert trace.cycles is not None and 10 < trace.cycles < 40
    assert abs((traces[0].cycles or 0) - (traces[1].cycles or 0)) <= 1


@needs_qemu
def test_systick_overflows_are_counted() -> None:
    """Instructions of 256 ns are 6.4 ticks each: three million are more than 24 bits hold."""
    loop = 'for (uint32_t i = 0; i < 1000000; i++) __asm volatile("nop");'
    with qemu_stub(shift=8) as (target, _process):
        trace = Gdb(target).run(image("m4", loop), [small_model.values(0)], budget=1)

    assert trace.cycles is not None and 2**24 < trace.cycles < 2**26


@needs_qemu
@pytest.mark.parametrize(
    ("planted", "words"),
    [
        ('__asm volatile("udf #0");', "faulted at net_l01_sum"),
        ("*(volatile int *)0x50000000 = 1;", "faulted at net_l01_sum"),
        ("for (;;) sink = 2;", "did not stop within 1 s"),
    ],
)
def test_faults_of_the_program(planted: str, words: str) -> None:
    """An exception and a hang are told, and the target can be used again."""
    with qemu_stub() as (target, _process):
        with pytest.raises(FaultError, match=words):
            run(target, image("m4", planted), seconds=1.0)
        run(target, image("m4"))
        with pytest.raises(FaultError, match="returned 7"):
            run(target, image("m4", status=7))


@needs_qemu
def test_a_stub_killed_in_mid_run() -> None:
    """A clear error at once."""
    with qemu_stub() as (target, process):
        threading.Timer(0.5, lambda: os.kill(process.pid, signal.SIGKILL)).start()
        start = time.monotonic()
        with pytest.raises(FaultError, match=r"closed the connection|connection broke"):
            run(target, image("m4", "for (;;) sink = 2;"), seconds=60.0)

    assert time.monotonic() - start < 30


@pytest.mark.needs("arm-none-eabi-gcc")
@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("garbage", "does not speak GDB's protocol|no answer|never takes"),
        ("deaf", "no answer in"),
        ("checksum", "wrong checksums"),
        ("closes", "closed the connection|connection broke"),
        ("hangs", "did not stop within 1 s"),
        ("dies", "closed the connection"),
        ("errors", "refused|cannot|does not hold"),
        ("endless", "without end"),
    ],
)
def test_stubs_that_misbehave(how: How, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each ends as a fault of the target, with what is wrong."""
    connect = rsp.Connection.__init__
    monkeypatch.setattr(
        rsp.Connection, "__init__", lambda self, target: connect(self, target, seconds=1.0)
    )
    with bad_stub(how) as target, pytest.raises(FaultError, match=words):
        run(target, image("m4"), seconds=1.0)


@pytest.mark.needs("arm-none-eabi-gcc")
@pytest.mark.parametrize("target", ["127.0.0.1:1", "nonsense", "127.0.0.1:99999"])
def test_nobody_there(target: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 3, and how to start a server."""
    assert cli.main(["run", "--target", target, LENET]) == 3

    assert "openocd" in capsys.readouterr().err
    with pytest.raises(ToolMissingError):
        run(target, image("m4"))


def test_without_a_target() -> None:
    """Exit 3; the argument reaches the engine, and only one that takes an argument."""
    assert cli.main(["run", "--engine", "gdb", LENET]) == 3
    assert engines.engine("gdb:host:1").missing() is None
    with pytest.raises(UsageError, match="unknown engine 'none'"):
        engines.engine("none:x")


@needs_qemu
def test_the_command_line_runs_and_measures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`run --target`, `measure`, and `calibrate` on what it wrote: one loop."""
    with qemu_stub() as (target, _process):
        machine = ["--target", target, "--board", BOARD]
        assert cli.main(["run", *machine, LENET]) == 0
        out = capsys.readouterr().out
        assert "0 LSB" in out
        assert "SysTick, measured" in out

        path = tmp_path / "mine.csv"
        assert cli.main(["measure", *machine, LENET, "-o", str(path)]) == 0
    (row,) = csv.DictReader(path.read_text().splitlines())
    assert row["workload"] == LENET
    assert row["counter"] == "SysTick"
    # 40 instructions a tick, and about 1.4 modelled cycles an instruction.
    assert 30 < int(row["core_cycles"]) / int(row["measured_cycles"]) < 90


def test_what_the_counters_say() -> None:
    """CYCCNT first; SysTick tells how often it wrapped; neither is said plainly."""
    assert reading(1000, 0, 5000, 4000) == reading(1000, 0, 4990, 3995)
    assert reading(1000, 0, 5000, 4000).cycles == 1000
    assert reading(5, 256, 100, 95).cycles == 2**32 + 5
    assert reading(0, 2, 100, 300).cycles == 2 * 2**24 - 200
    none = reading(0, 0, 0, 0)
    assert none.cycles is None
    assert "neither" in none.counter


def test_packets() -> None:
    """Escapes and run lengths."""
    data = bytes(range(256))
    assert rsp.unpacked(rsp.escaped(data)) == data
    assert rsp.unpacked(b"0* x") == b"0000x"


@contextlib.contextmanager
def renode_stub(folder: Path, booted: Image) -> Iterator[tuple[str, Server]]:
    """HOST:PORT of a machine with the memories of `booted`, which it holds because an empty machine
    halts for good in Renode, and its server."""
    server = Server(renode_server.program() or "")
    port = free_port()
    try:
        (folder / "m.repl").write_text(platform(booted.core, booted.memories))
        (folder / "m.elf").write_bytes(booted.elf)
        server.command('mach create "m"')
        server.command(f"machine LoadPlatformDescription @{folder / 'm.repl'}")
        server.command(f"sysbus LoadELF @{folder / 'm.elf'}")
        server.command(f"cpu VectorTableOffset {booted.symbols['sim_vectors'].address:#x}")
        server.command(f"machine StartGdbServer {port} true")
        yield f"127.0.0.1:{port}", server
    finally:
        with contextlib.suppress(SimharnessError):
            server.close()


@pytest.mark.needs("renode", "arm-none-eabi-gcc")
@pytest.mark.parametrize("core", ["m0plus", "m4"])
def test_renode_stub(core: str, tmp_path: Path) -> None:
    """Renode's stub: load, run, measure; its CYCCNT counts instructions."""
    built, given = small_model.image(core, ROOMY, measuring=True), small_model.values(0)
    with renode_stub(tmp_path, built) as (target, _server):
        trace = Gdb(target).run(built, [given], budget=1)

    assert trace.outputs == (small_model.expected(given),)
    assert trace.engine.version.endswith("SysTick" if core == "m0plus" else "DWT CYCCNT")


@pytest.mark.needs("renode", "arm-none-eabi-gcc")
def test_renode_killed_in_mid_run(tmp_path: Path) -> None:
    """As with QEMU's stub: a clear error at once."""
    endless = small_model.image("m4", ROOMY, "for (;;) sink = 2;", measuring=True)
    with renode_stub(tmp_path, endless) as (target, server):
        threading.Timer(3.0, server.close).start()
        with pytest.raises(FaultError, match=r"closed the connection|connection broke"):
            run(target, endless, seconds=60.0)


def calibrated(folder: Path, target: str, board: str) -> list[dict[str, str]]:
    """The whole loop: measure a network and the micro-benchmarks, calibrate, run on the fitted
    board, measure again beside its predictions. The second measurement's rows."""
    mine, again, fitted = (folder / n for n in ("mine.csv", "again.csv", "fitted.toml"))
    measure = ["measure", "--micro", "--target", target, "--board"]
    assert cli.main([*measure, board, LENET, "-o", str(mine)]) == 0
    assert cli.main(["calibrate", str(mine), "--board", board, "-o", str(fitted)]) == 0
    assert 'status = "fitted"' in fitted.read_text()
    assert cli.main(["run", "--board", str(fitted), LENET]) == 0
    assert cli.main([*measure, str(fitted), LENET, "-o", str(again)]) == 0
    before, after = (list(csv.DictReader(p.read_text().splitlines())) for p in (mine, again))
    assert [r["workload"] for r in before] == [r["workload"] for r in after]
    assert [r["core_cycles"] for r in before] == [r["core_cycles"] for r in after]
    return after


@pytest.mark.needs("renode", "arm-none-eabi-gcc")
def test_the_loop_on_renode(tmp_path: Path) -> None:
    """Renode's CYCCNT counts an instruction as a cycle, so micro-benchmarks come out exactly."""
    chip = default_chip("m4")
    booted = small_model.image("m4", memories(chip), measuring=True)
    with renode_stub(tmp_path, booted) as (target, _server):
        rows = calibrated(tmp_path, target, chip.name)

    measured = {r["workload"]: int(r["measured_cycles"]) for r in rows}
    assert {r["counter"] for r in rows} == {"DWT CYCCNT"}
    # 64 and 4 * 64 instructions a round, with the same ones around them.
    difference = measured["micro:m4_smlad_x4"] - measured["micro:m4_ldm8"]
    assert difference == micro_program.ROUNDS * 64 * 3


@needs_qemu
def test_the_loop_on_qemu(tmp_path: Path) -> None:
    """A board with wait states; its SysTick makes 0.8 ticks an instruction."""
    chip = default_chip("m4").path.read_text(encoding="utf-8")
    own = tmp_path / "own.toml"
    own.write_text(chip.replace("0x0800_0000", "0x0000_0000"), encoding="utf-8")
    with qemu_stub(shift=5) as (target, _process):
        rows = calibrated(tmp_path, target, str(own))

    assert int(rows[0]["stall_cycles"]) > 0
    measured = {r["workload"]: int(r["measured_cycles"]) for r in rows}
    difference = measured["micro:m4_smlad_x4"] - measured["micro:m4_ldm8"]
    assert difference == pytest.approx(0.8 * micro_program.ROUNDS * 64 * 3, abs=2)


def test_nothing_to_measure(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["measure", "--target", "127.0.0.1:1", "--core", "m4"]) == 2
    assert "micro-benchmarks" in capsys.readouterr().err
