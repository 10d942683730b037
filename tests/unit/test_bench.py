# SPDX-License-Identifier: MIT
"""`simharness bench kernels`: figures beside other engines', users' kernels beside ours."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

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


def test_a_wrong_kernel_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "mine.c"
    file.write_text(RIGHT.replace("nn_add_float(a[i], b[i], q)", "a[i]"))
    assert main(["bench", "kernels", "L9", "--with", str(file)]) == 1


def test_an_unknown_layer_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "kernels", "L99"]) == 2
