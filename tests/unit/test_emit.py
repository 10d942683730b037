# SPDX-License-Identifier: MIT
"""The generated files: what they promise, and that every compiler takes them without a warning."""

from __future__ import annotations

import ctypes
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
from host_program import compile_program, run_program, write
from kernel_host import WARNINGS

from codegen import compile_lowered, oracle
from codegen.build import Compiled
from codegen.emit.literals import array_rows, decimal_float
from codegen.emit.sources import fold
from codegen.ir import Graph
from codegen.ops import Copy
from codegen.target import target
from simharness.testing.networks import Builder

M4 = target("m4")
PLAIN = target("m4", reference_kernels=True)


def network() -> Graph:
    b = Builder((1, 4, 4, 3), (1, 4, 4, 8))
    x = b.plus(b.conv(b.inputs[0], 8, 3, 0), b.inputs[1])
    return b.graph(b.pool(x), b.view(b.lut(x, 1)))


@pytest.fixture(scope="module")
def compiled() -> Compiled:
    return compile_lowered(network(), PLAIN, name="tiny")


def inputs(graph: Graph, seed: int = 0) -> dict[str, np.ndarray]:
    dice = np.random.default_rng(seed)
    return {
        name: dice.integers(-128, 128, graph.tensors[name].shape).astype(np.int8)
        for name in graph.inputs
    }


def test_the_files(compiled: Compiled) -> None:
    own = {"tiny.c", "tiny.h", "tiny_weights.c", "tiny_weights.h"}
    kernels = set(compiled.sources) - own

    assert own <= set(compiled.sources)
    assert kernels and all(re.fullmatch(r"nn_\w+\.h", name) for name in kernels)


def test_the_interface(compiled: Compiled) -> None:
    header = compiled.sources["tiny.h"]

    assert f"#define tiny_ARENA_BYTES {compiled.plan.arena_bytes}\n" in header
    assert "int tiny_init(void);" in header
    assert "int tiny_run(const int8_t *input0, const int8_t *input1, int8_t *output0, " in header
    assert "#define tiny_INPUT1_SHAPE { 1, 4, 4, 8 }" in header
    assert "#define tiny_OUTPUT0_SCALE 0.100000001f" in header
    assert "#define tiny_OUTPUT0_ZERO_POINT (3)" in header
    assert 'extern "C"' in header


def test_each_layer_is_a_function_with_its_story(compiled: Compiled) -> None:
    text = compiled.sources["tiny.c"]

    for index, layer in enumerate(compiled.program.layers):
        assert layer.symbol.startswith(f"tiny_l{index:02d}_")
        assert text.count(f"\n{layer.symbol}(") == 1
        assert f"/* Layer {index}: " in text
    assert "y0: int8 1x4x4x8, scale 0.100000001 zero point 3, arena + 0, layers 0 to 1" in text


def test_it_computes_what_the_oracle_does(compiled: Compiled, tmp_path: Path) -> None:
    graph = network()
    wanted = oracle.run(graph, inputs(graph))

    got = run_program(compiled, tmp_path, list(inputs(graph).values()))

    for name, array in zip(graph.outputs, got, strict=True):
        np.testing.assert_array_equal(array, wanted[name])


def test_bad_pointers_are_refused(compiled: Compiled, tmp_path: Path) -> None:
    library = ctypes.CDLL(str(compile_program(compiled.sources, tmp_path)))
    room = (ctypes.c_int64 * 64)()
    start = ctypes.addressof(room)
    void = ctypes.c_void_p

    assert library.tiny_run(void(start), void(start), void(start), None) == -1
    assert library.tiny_run(void(start), void(start + 2), void(start), void(start)) == -2


def test_a_lent_arena(compiled: Compiled, tmp_path: Path) -> None:
    """With tiny_EXTERNAL_ARENA the caller's memory is used, after checks, and nothing around it."""
    library = ctypes.CDLL(str(compile_program(compiled.sources, tmp_path, "-Dtiny_EXTERNAL_ARENA")))
    size = compiled.plan.arena_bytes
    room = np.full(size + 64, 0x5A, np.uint8)
    start = (room.ctypes.data + 23) // 8 * 8
    lend = library.tiny_set_arena

    assert library.tiny_init() == -1
    assert lend(None, ctypes.c_size_t(size)) == -1
    assert lend(ctypes.c_void_p(start + 4), ctypes.c_size_t(size)) == -2
    assert lend(ctypes.c_void_p(start), ctypes.c_size_t(size - 1)) == -3
    assert lend(ctypes.c_void_p(start), ctypes.c_size_t(size)) == 0
    assert library.tiny_init() == 0

    given = list(inputs(network()).values())
    outputs = [np.zeros(port.shape, np.int8) for port in compiled.program.outputs]
    arrays = [a.ctypes.data_as(ctypes.c_void_p) for a in (*given, *outputs)]
    assert library.tiny_run(*arrays) == 0
    offset = start - room.ctypes.data
    assert np.all(room[:offset] == 0x5A) and np.all(room[offset + size :] == 0x5A)
    assert np.any(room[offset : offset + size] != 0x5A)


def test_size_shares_kernels() -> None:
    small = compile_lowered(network(), target("m4", optimize="size"), name="tiny")

    assert "#define NN_SHARED\n" in small.sources["tiny.c"]
    assert "NN_SHARED\n" not in compile_lowered(network(), M4, name="tiny").sources["tiny.c"]


def test_equal_tables_are_kept_once() -> None:
    b = Builder((1, 2, 2, 4))
    twice = b.graph(b.lut(b.lut(b.inputs[0], 5), 5))

    program = compile_lowered(twice, M4, name="m").program

    assert len(program.tables) == 1
    assert program.tables[0].users == (0, 1)


def test_a_model_without_an_arena(tmp_path: Path) -> None:
    """One layer from input to output needs no memory, and a lent arena is accepted all the same."""
    b = Builder((1, 2, 2, 4))
    compiled = compile_lowered(b.graph(b.lut(b.inputs[0], 5)), M4, name="m")

    assert compiled.plan.arena_bytes == 0
    compile_program(compiled.sources, tmp_path)
    compile_program(compiled.sources, tmp_path, "-Dm_EXTERNAL_ARENA")


def test_every_output_gets_bytes_of_its_own(tmp_path: Path) -> None:
    """An input as output, views of it, one tensor twice: each is copied where it must be."""
    b = Builder((1, 2, 3, 4))
    x = b.inputs[0]
    y = b.lut(x, 1)
    graph = b.graph(x, b.view(x), y, b.view(y), y)
    compiled = compile_lowered(graph, M4, name="m")
    values = inputs(graph)
    wanted = oracle.run(graph, values)

    got = run_program(compiled, tmp_path, list(values.values()))

    for name, array in zip(graph.outputs, got, strict=True):
        np.testing.assert_array_equal(array, wanted[name])


@pytest.mark.needs("arm-none-eabi-gcc")
def test_sections_by_macro(compiled: Compiled, tmp_path: Path) -> None:
    """Arena and constants go where two macros say."""
    write(compiled.sources, tmp_path)
    for file, macro in (("tiny", "ARENA"), ("tiny_weights", "WEIGHTS")):
        attribute = f'-Dtiny_{macro}_SECTION=__attribute__((section(".{macro.lower()}")))'
        subprocess.run([*ARM, *WARNINGS, attribute, "-c", f"{file}.c"], cwd=tmp_path, check=True)
        found = subprocess.run(
            ["arm-none-eabi-size", "-A", f"{file}.o"],
            cwd=tmp_path, capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
        wanted = (
            compiled.plan.arena_bytes
            if macro == "ARENA"
            else sum(table.size_bytes for table in compiled.program.tables)
        )
        sizes = {
            line.split()[0]: int(line.split()[1]) for line in found.splitlines() if "." in line[:1]
        }
        assert sizes[f".{macro.lower()}"] >= wanted


def test_an_output_that_is_a_constant(tmp_path: Path) -> None:
    b = Builder((1, 2, 2, 4))
    value = np.arange(16, dtype=np.int8).reshape(1, 2, 2, 4)
    y = b.lut(b.inputs[0], 1)
    z = b.add(Copy(), (b.constant(value),), value.shape)
    graph = b.graph(y, z)

    got = run_program(compile_lowered(graph, M4, name="m"), tmp_path, list(inputs(graph).values()))

    np.testing.assert_array_equal(got[1], value)


ARM = ("arm-none-eabi-gcc", "-mthumb", "-mcpu=cortex-m4", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16")


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(("gcc",), marks=pytest.mark.needs("cc")),
        pytest.param(("clang",), marks=pytest.mark.needs("clang")),
        pytest.param(ARM, marks=pytest.mark.needs("arm-none-eabi-gcc")),
        pytest.param(
            ("arm-none-eabi-gcc", "-mthumb", "-mcpu=cortex-m0plus"),
            marks=pytest.mark.needs("arm-none-eabi-gcc"),
        ),
    ],
    ids=["gcc", "clang", "arm-gcc-m4", "arm-gcc-m0plus"],
)
@pytest.mark.parametrize("optimize", ["balanced", "size"])
def test_every_compiler_takes_it(command: tuple[str, ...], optimize: str, tmp_path: Path) -> None:
    core = target("m4", optimize="size" if optimize == "size" else "balanced")
    compiled = compile_lowered(network(), core, name="tiny")
    for file in write(compiled.sources, tmp_path):
        done = subprocess.run(
            [*command, *WARNINGS, "-pedantic", "-O2", "-c", file.name, "-o", f"{file.stem}.o"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr


@pytest.mark.needs("arm-none-eabi-gcc")
def test_layers_keep_their_symbols(compiled: Compiled, tmp_path: Path) -> None:
    """Optimisation neither clones, nor merges, nor renames a layer."""
    write(compiled.sources, tmp_path)
    subprocess.run([*ARM, "-std=c99", "-O3", "-c", "tiny.c"], cwd=tmp_path, check=True)
    names = subprocess.run(
        ["arm-none-eabi-nm", "tiny.o"], cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout.split()

    assert {layer.symbol for layer in compiled.program.layers} <= set(names)


@pytest.mark.needs("cc")
def test_the_header_serves_cpp(compiled: Compiled, tmp_path: Path) -> None:
    write(compiled.sources, tmp_path)
    (tmp_path / "use.cpp").write_text(
        '#include "tiny.h"\nfloat s = tiny_OUTPUT0_SCALE;\nint shape[] = tiny_INPUT1_SHAPE;\n'
    )
    subprocess.run(
        ["g++", "-std=c++98", "-Wall", "-Werror", "-c", "use.cpp"], cwd=tmp_path, check=True
    )


def test_numbers_are_exact() -> None:
    values = np.array([0.1, -3.0, 1e-42, 3.4e38, 0.0, -0.0, np.inf], np.float32)
    rows = " ".join(array_rows("float", values)).removesuffix(",").split(", ")
    finite = [float.fromhex(text.removesuffix("f")) for text in rows[:6]]

    assert np.array_equal(np.array(finite, np.float32), values[:6])
    assert "__builtin_in" in rows[6]
    assert [np.float32(decimal_float(v)[:-1]) for v in values[:2].tolist()] == list(values[:2])
    assert array_rows("int32_t", np.array([-(2**31), 5])) == ["(-2147483647 - 1), 5,"]
    assert array_rows("uint32_t", np.array([2**32 - 1])) == ["4294967295u,"]


def test_long_lines_fold_after_commas() -> None:
    line = "    f(" + ", ".join(f"argument_{i}" for i in range(12)) + ");"

    assert all(len(piece) <= 100 for piece in fold(line))
    assert " ".join(piece.strip() for piece in fold(line)) == line.strip()
    assert fold(f'    g("{line}");') == [f'    g("{line}");']
