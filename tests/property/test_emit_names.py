# SPDX-License-Identifier: MIT
"""Whatever a file calls its parts, C sees identifiers and comments that do no harm."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from host_program import compile_program
from hypothesis import example, given
from hypothesis import strategies as st
from kernel_host import host_compiler

from codegen import compile_lowered
from codegen.emit.names import comment, identifier, model_name
from codegen.ir import Graph, Node
from codegen.target import target
from simharness.testing.networks import Builder

HOSTILE = [
    'a"b', "*/ int x; /*", "line\nline", "back\\", "back\\\n#error", "??/\n", "??/", "/*", "//",
    "'", "../../etc/passwd", "C:\\con", "int", "while", "x" * 10_000, "", " ", "9lives", "_",
    "__x", "na\xefve", "\u540d\u524d", "\u202e", "\x00", "%s%n", "$(rm -rf .)", "`x`",
    "; rm -rf .", "{{ 7*7 }}", "{% raw %}", "string", "stdint", "nn_common", "sim_main", "NUL",
    "a/b", "a.b", "-o", "@weights@",
]  # fmt: skip


@given(st.text())
def test_an_identifier_is_one(text: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9]+(_[A-Za-z0-9]+)*", identifier(text))
    assert len(identifier(text)) <= 40


@given(st.text())
@example("string")
@example("nn_common")
@example("7")
def test_a_model_name_is_a_safe_prefix(text: str) -> None:
    name = model_name(text)

    assert re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name)
    assert not name.startswith(("nn_", "sim_")) and "__" not in name
    assert name.lower() not in {"nn", "sim", "string", "stdint", "con", "nul"}
    assert model_name(name) == name


@given(st.text())
@example("*/")
@example("??/\n")
@example("\\")
def test_a_comment_stays_inside(text: str) -> None:
    shown = comment(text)

    assert shown.isascii() and shown.isprintable()
    assert not re.search(r"\*|\?|\\", shown)


@given(st.text(max_size=60), st.text(max_size=60))
def test_different_names_stay_different_in_comments(a: str, b: str) -> None:
    """Escapes are told apart from plain text wherever no name contains "<U+" itself."""
    if a != b and "<U+" not in a + b:
        assert comment(a) != comment(b)


def hostile_graph() -> Graph:
    """A node per hostile name, all with the same table, so that nothing else differs."""
    b = Builder((1, 2, 2, 4))
    x = b.inputs[0]
    for seed, name in enumerate(HOSTILE):
        x = b.lut(x, seed)
        last = b.nodes.pop()
        b.nodes.append(Node(name, last.op, last.inputs, last.outputs, (name, name + "2")))
    return b.graph(x)


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_compile(name: str, tmp_path: Path) -> None:
    """With every warning an error and trigraphs read; files stay where they belong."""
    graph = hostile_graph() if name == "int" else tiny()
    compiled = compile_lowered(graph, target("m4"), name=name)

    assert all(re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*\.[ch]", file) for file in compiled.sources)
    compile_program(compiled.sources, tmp_path, "-trigraphs", "-O0")


def tiny() -> Graph:
    b = Builder((1, 1, 1, 4))
    return b.graph(b.lut(b.inputs[0], 0))


def test_the_compiler_would_have_seen_an_unescaped_name(tmp_path: Path) -> None:
    """The same check fails on a comment that a name ends."""
    (tmp_path / "x.c").write_text("/* */ boom */\n")

    done = subprocess.run([*host_compiler(), "-c", "x.c"], cwd=tmp_path, capture_output=True)

    assert done.returncode != 0
