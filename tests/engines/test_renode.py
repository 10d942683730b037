# SPDX-License-Identifier: MIT
"""Renode agrees with Unicorn, what it forgives is found, and its failures are told in time.

The first part needs a Renode and skips without; the second drives a program that misbehaves.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import random_programs
import small_model

from simharness import cli
from simharness.crosscheck import crosscheck, differences, opinion
from simharness.engines import guard, renode_server
from simharness.engines.renode import Renode
from simharness.engines.unicorn import UnicornEngine
from simharness.errors import FaultError, ToolMissingError, UsageError
from simharness.toolchain import ROOMY, build

CORES = ("m0plus", "m3", "m4", "m7", "m33")
BUDGET = 10_000_000
PROGRAMS = 100
OTHERWISE = ("sel", "uhsub8", "vcvtb")
"""GE bits do not pass through MRS and MSR, UHSUB8 leaves bit 7 of a byte, and some conversions to
f16 differ; underflow and denormal flags in FPSCR too (see `kept`). No kernel uses any of them."""
needs_renode = pytest.mark.needs("renode", "arm-none-eabi-gcc")
needs_gcc = pytest.mark.needs("arm-none-eabi-gcc")


def run(planted: str = "", *, status: int = 0, budget: int = BUDGET) -> None:
    image = small_model.image("m4", planted=planted, status=status)
    Renode().run(image, [small_model.values(0)], budget=budget)


@needs_renode
@pytest.mark.parametrize("core", CORES)
def test_outputs_and_counts_by_layer(core: str) -> None:
    """Right outputs on every input; each layer's count is Unicorn's, on the very same image."""
    image = small_model.image(core)
    given = [small_model.values(seed) for seed in range(3)]

    ours, theirs = (
        opinion(e.run(image, given, budget=BUDGET), image) for e in (UnicornEngine(), Renode())
    )

    assert theirs.outputs == tuple(small_model.expected(v) for v in given)
    assert differences(ours, theirs) == []
    assert list(theirs.layers) == [*small_model.LAYERS, "(run)"]
    assert all(theirs.layers.values())


@needs_renode
@pytest.mark.parametrize("core", CORES)
def test_lenet5(core: str) -> None:
    """Same bytes, same counts, in all and by layer."""
    found = crosscheck("zoo:lenet5-int8", core, names=("unicorn", "renode"))

    assert found.ok, found.disagreements


@needs_renode
@pytest.mark.parametrize(
    ("network", "core"),
    [
        ("mlperf_ad_fcae_int8", "m33"),
        ("mlperf_ic_resnet8_int8", "m4"),
        ("mlperf_kws_dscnn_int8", "m0plus"),
        ("mlperf_vww_mbv1_int8", "m7"),
    ],
)
def test_published_networks(network: str, core: str, shared_models: Path) -> None:
    """Same bytes, same counts."""
    path = shared_models / f"{network}.onnx"
    found = crosscheck(path, core, names=("unicorn", "renode"), samples=1)

    assert found.ok, found.disagreements


@needs_renode
@pytest.mark.parametrize(
    ("planted", "words"),
    [
        ('__asm volatile("udf #0");', r"faulted at net_l01_sum\S* .*layer net_l01_sum"),
        ("*(volatile int *)0x60000000 = 1;", "outside memory in layer net_l01_sum"),
        ("sink = *(volatile uint32_t *)0x50000000;", "outside memory"),
        ("*(volatile int *)0x08000000 = 1;", "wrote to read-only memory at 0x08000000"),
        ("for (;;) sink = 2;", "used up its budget .*net_l01_sum"),
    ],
)
def test_what_it_forgives_is_found(planted: str, words: str) -> None:
    """Undefined instructions, accesses outside memory, stores to flash, loops without end."""
    with pytest.raises(FaultError, match=words):
        run(planted)


@needs_renode
def test_after_a_fault_it_runs_again() -> None:
    """A fault leaves nothing behind; the same process serves many runs where none faulted."""
    with pytest.raises(FaultError, match="returned 5"):
        run(status=5)
    run()
    first = renode_server.server(renode_server.program() or "")
    run()

    assert renode_server.server(renode_server.program() or "") is first


@needs_renode
def test_the_command_line_runs_it(capsys: pytest.CaptureFixture[str]) -> None:
    """`simharness run --engine renode`."""
    assert cli.main(["run", "--engine", "renode", "--core", "m0plus", "zoo:lenet5-int8"]) == 0

    assert "engine        renode 1." in capsys.readouterr().out


def fake(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, how: str) -> None:
    """Put the misbehaving program in Renode's place."""
    script = tmp_path / f"renode-{how}"
    source = Path(__file__).with_name("fake_renode.py")
    script.write_text(f'#!/bin/sh\nFAKE_RENODE={how} exec "{sys.executable}" "{source}" "$@"\n')
    script.chmod(0o755)
    monkeypatch.setenv(renode_server.VARIABLE, str(script))
    monkeypatch.setattr("simharness.engines.renode._CHUNK_S", 1.0)
    monkeypatch.setattr("simharness.engines.renode_server.START_S", 3.0)


@needs_gcc
@pytest.mark.parametrize(
    ("how", "error", "words"),
    [
        ("die", ToolMissingError, "did not start: cannot find a runtime"),
        ("garbage", FaultError, "no sensible answer"),
        ("hang", FaultError, "did not end in 1 s"),
        ("crash", FaultError, "it ended during"),
        ("old", ToolMissingError, r"1\.14\.0\.1"),
    ],
)
def test_its_failures_are_told_in_time(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, how: str, error: type[Exception], words: str
) -> None:
    """No failure of the process hangs us, and none leaves a process behind."""
    fake(monkeypatch, tmp_path, how)

    with pytest.raises(error, match=words):
        run()
    assert str(tmp_path) not in subprocess.run(
        ("ps", "-eo", "args"), capture_output=True, text=True, check=True
    ).stdout.replace("ps -eo args", "")


def test_a_missing_renode(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Exit 3, and how to get it."""
    monkeypatch.setenv(renode_server.VARIABLE, str(tmp_path / "none"))

    assert cli.main(["run", "--engine", "renode", "zoo:lenet5-int8"]) == 3


def test_the_guard_outlives_nobody(tmp_path: Path) -> None:
    """When our end of the pipe closes, the command and its children end."""
    marker = tmp_path / "grandchild"
    held = guard.start(("sh", "-c", f"sh -c 'echo $$ > {marker}; sleep 60' & wait"), tmp_path / "o")
    while not marker.exists() or not marker.read_text().strip():
        time.sleep(0.01)
    guard.stop(held)

    stat = Path(f"/proc/{marker.read_text().strip()}/stat")
    assert not stat.exists() or stat.read_text().split(")")[1].split()[0] == "Z"


@needs_renode
def test_wrong_inputs_are_usage_errors() -> None:
    """No inputs, and inputs of another size."""
    image = small_model.image("m4")
    with pytest.raises(UsageError, match="at least one"):
        Renode().run(image, [], budget=BUDGET)
    with pytest.raises(UsageError, match="64 bytes"):
        Renode().run(image, [(b"short",)], budget=BUDGET)


@needs_renode
@pytest.mark.parametrize("core", ["m0plus", "m3", "m4", "m7", "m33"])
def test_random_programs_end_in_the_same_state(core: str) -> None:
    """As Unicorn and QEMU agree on them, but for what Renode 1.16.1 does otherwise than both."""
    image = build(
        random_programs.sources(core, PROGRAMS, 1, OTHERWISE), core, ROOMY,
        program=random_programs.program(PROGRAMS), layers=random_programs.LAYERS,
    ).image  # fmt: skip
    given = [(random_programs.inputs(PROGRAMS, seed),) for seed in (1, 2)]

    ours, theirs = (
        opinion(e.run(image, given, budget=BUDGET), image) for e in (UnicornEngine(), Renode())
    )

    assert ours.instructions == theirs.instructions
    for one, two in zip(ours.outputs, theirs.outputs, strict=True):
        np.testing.assert_array_equal(kept(one[0]), kept(two[0]))


def kept(raw: bytes) -> np.ndarray[Any, np.dtype[np.uint32]]:
    """The states without those bits."""
    states = np.frombuffer(raw, np.uint32).reshape(PROGRAMS, -1).copy()
    states[:, random_programs.APSR] &= ~np.uint32(0x000F_0000)
    states[:, random_programs.FPSCR] &= ~np.uint32(0x0000_0018)
    return states


@needs_gcc
def test_the_project_has_true_memories(tmp_path: Path) -> None:
    """`build --renode`: three files, the chip's own memories, and the count that was emulated."""
    where = ["-o", str(tmp_path / "c"), "--renode", str(tmp_path / "r"), "--core", "m4"]
    assert cli.main(["build", "zoo:lenet5-int8", *where]) == 0

    assert sorted(p.suffix for p in (tmp_path / "r").iterdir()) == [".elf", ".repl", ".resc"]
    repl = next((tmp_path / "r").glob("*.repl")).read_text()
    assert "@ sysbus 0x08000000\n    size: 0x80000\n" in repl
    assert "@ sysbus 0x20000000\n    size: 0x20000\n" in repl


@needs_renode
@pytest.mark.parametrize("core", ["m0plus", "m4"])
def test_the_project_runs(core: str, tmp_path: Path) -> None:
    """A person who opens the .resc sees the count that Unicorn has, and the outputs as text."""
    where = ["-o", str(tmp_path / "c"), "--renode", str(tmp_path / "r"), "--core", core]
    assert cli.main(["build", "zoo:lenet5-int8", *where]) == 0
    script = next((tmp_path / "r").glob("*.resc"))
    promised = re.search(r"Unicorn counts (\d+) instructions", script.read_text())
    assert promised

    server = renode_server.Server(renode_server.program() or "")
    try:
        server.command(f"i @{script}")
        for _ in range(200):
            if "output 0:" in server.log_text():
                break
            time.sleep(0.05)
        log = server.log_text()
    finally:
        server.close()

    assert f"took {promised[1]} instructions" in log
    assert "lenet5_int8: done" in log
