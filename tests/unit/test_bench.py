# SPDX-License-Identifier: MIT
"""`simharness bench kernels`: figures beside other engines', users' kernels beside ours."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from runtime_c import read_header
from simharness.bench import kernels
from simharness.bench.layers import LAYERS
from simharness.cli import main

RIGHT = """
static void user_add_s8(const nn_broadcast *p, const nn_add *q, const int8_t *a, const int8_t *b,
                        int8_t *y)
{
    for (int32_t i = 0; i < p->size[3]; i++) {
        y[i] = nn_add_float(a[i], b[i], q);
    }
}
"""


def test_every_peer_row_is_of_a_core_and_has_a_version() -> None:
    rows = kernels.peers()
    assert {r.core for r in rows} == {"m0plus", "m4", "m7"}
    assert all(r.version and r.instructions > 0 for r in rows)
    assert {layer for layer, _ in kernels.targets()} <= set(LAYERS)


def test_best_peer_is_the_least() -> None:
    best = kernels.best_peer("L5", "m4")
    assert best is not None and best.peer == "CMSIS-NN" and best.instructions == 5381965


def test_bench_beats_peers_and_targets(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "kernels", "L6", "L9", "--format", "json"]) == 0
    for row in json.loads(capsys.readouterr().out):
        assert row["difference"] == 0
        assert row["instructions"] < row["target"] < row["peer_instructions"]


def test_a_users_kernel_is_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "mine.c"
    file.write_text(RIGHT)
    assert main(["bench", "kernels", "L9", "--with", str(file), "--format", "json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["kernel"] == "user_add_s8" and row["difference"] == 0


@pytest.mark.parametrize("name", ["L4", "L2", "L6", "L8", "L10", "F1", "F3", "F4"])
def test_each_operator_takes_a_users_kernel(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One with the documented signature and the plain kernel's body does what that does."""
    assert main(["bench", "kernels", name, "--signatures"]) == 0
    printed = capsys.readouterr().out
    found = re.search(r"^void user_(\w+)\(.*\);$", printed, re.MULTILINE)
    assert printed.startswith("/*\n") and found is not None
    plain = read_header(f"nn_{found[1]}.h").partition(f"NN_KERNEL void nn_{found[1]}(")[2]
    body = plain[plain.index(")\n{") + 2 :].rpartition("}")[0] + "}\n"

    row = kernels.measure(LAYERS[name](name), "m4", user_source=f"{found[0][:-1]}\n{body}")

    assert row.kernel == f"user_{found[1]}"
    assert row.difference <= (1e-5 if "f32" in row.kernel else 0)


@pytest.mark.needs("arm-none-eabi-gcc")
def test_toolchains_stand_side_by_side(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("ziglang", reason="pip install ziglang")
    assert main(["bench", "kernels", "L9", "--toolchain", "all", "--format", "json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["toolchain"] for row in rows] == ["gcc", "zig"]
    assert all(row["difference"] == 0 for row in rows)


def test_a_wrong_kernel_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "mine.c"
    file.write_text(RIGHT.replace("nn_add_float(a[i], b[i], q)", "a[i]"))
    assert main(["bench", "kernels", "L9", "--with", str(file)]) == 1


def test_an_unknown_layer_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "kernels", "L99"]) == 2
