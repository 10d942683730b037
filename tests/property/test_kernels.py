# SPDX-License-Identifier: MIT
"""Every reference kernel against the oracle on random layers: on the host, sanitized, on cores.

Results are equal to the bit, but for float32 sums, which are within 1e-5 of the largest output.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from kernel_call import Task, node_outputs, node_task, variant_of
from kernel_emitted import Layer, emitted_on_core, emitted_on_host
from kernel_emulated import emulated
from kernel_host import (
    Host,
    KernelError,
    SanitizedHost,
    compile_sanitized,
    compile_shared,
    host,
    library_source,
    sanitized_host,
)

import runtime_c
from codegen import ops, oracle
from codegen.ir import Array
from codegen.kernels import REFERENCES
from codegen.kernels.reference import Reference
from codegen.target import CoreName
from simharness.testing.strategies import CASES, Case

EXAMPLES = 100
ARM_GCC = pytest.mark.needs("arm-none-eabi-gcc")
MUL16 = ("-DNN_REQUANT_INTEGER", "-DNN_REQUANT_MUL16")


class Runner(Protocol):
    def run(self, task: Task) -> list[bytes]: ...


RUNNERS: dict[str, Callable[[], Runner]] = {
    "host": host,
    "m0plus": lambda: emulated("m0plus"),
    "m4": lambda: emulated("m4"),
}


def expected(case: Case) -> list[Array]:
    """What ONNX Runtime's operators give."""
    values = oracle.run(case.graph, case.values)
    return [values[name] for name in case.graph.outputs]


def outputs(case: Case, runner: Runner) -> list[Array]:
    variant, goal = variant_of(case.node, case.graph)
    task = node_task(case.node, case.graph, case.values, variant, goal)
    buffers = runner.run(task)
    for before, after, writable in zip(task.buffers, buffers, task.writable, strict=True):
        assert writable or before == after, "a kernel wrote to its input"
    return node_outputs(case.node, case.graph, len(case.values), buffers)


SUMS = (
    ops.ConvF32 | ops.DenseF32 | ops.MatMulF32 | ops.AvgPoolF32 | ops.SoftmaxF32 | ops.GruF32
    | ops.LstmF32
)  # fmt: skip
"""Operators whose float32 sums ONNX Runtime takes in an order of its own."""


def assert_equal(case: Case, actual: Sequence[Array]) -> None:
    for a, w in zip(actual, expected(case), strict=True):
        assert a.dtype == w.dtype and a.shape == w.shape
        if isinstance(case.node.op, SUMS):
            largest = max(float(np.abs(w).max(initial=0.0)), 1e-30)
            np.testing.assert_allclose(a, w, rtol=0.0, atol=1e-5 * largest)
        else:
            np.testing.assert_array_equal(a, w)


def test_every_reference_has_cases() -> None:
    assert {variant.name for variant in REFERENCES} == set(CASES)


@pytest.mark.parametrize("runner", RUNNERS)
@pytest.mark.parametrize("kernel", CASES)
def test_kernel_gives_the_oracles_result(kernel: str, runner: str) -> None:
    where = RUNNERS[runner]()

    @settings(max_examples=EXAMPLES if runner == "host" else EXAMPLES // 2)
    @given(CASES[kernel])
    def check(case: Case) -> None:
        assert_equal(case, outputs(case, where))

    check()


@pytest.mark.needs("cc")
@pytest.mark.parametrize("kernel", CASES)
def test_kernel_is_clean_under_sanitizers(kernel: str) -> None:
    """No access outside a buffer, no undefined behaviour; and the same bytes as without."""
    sanitized, bare = sanitized_host(*MUL16), host()

    @given(CASES[kernel])
    def check(case: Case) -> None:
        for a, b in zip(outputs(case, sanitized), outputs(case, bare), strict=True):
            np.testing.assert_array_equal(a, b)

    check()


IN_PLACE = sorted({v.name for v in REFERENCES if isinstance(v, Reference) and v.in_place})


@pytest.mark.parametrize("kernel", IN_PLACE)
def test_in_place_gives_the_same(kernel: str) -> None:
    """Wherever a variant says that its output may overwrite an input, it may."""
    runner = host()
    overwritten = 0

    @settings(max_examples=EXAMPLES)
    @given(CASES[kernel])
    def check(case: Case) -> None:
        nonlocal overwritten
        variant, goal = variant_of(case.node, case.graph)
        wanted = outputs(case, runner)[0]
        for overlap in variant.overlaps(case.node, case.graph, goal):
            shared = node_task(
                case.node, case.graph, case.values, variant, goal, in_place=overlap.input
            )
            assert runner.run(shared)[overlap.input] == wanted.tobytes()
            overwritten += 1

    check()
    assert overwritten > EXAMPLES // 4


def drawn(kernel: str, count: int) -> list[Case]:
    """The first cases that Hypothesis makes up for a kernel."""
    cases: list[Case] = []

    @settings(max_examples=count, database=None, phases=[Phase.generate])
    @given(CASES[kernel])
    def collect(case: Case) -> None:
        cases.append(case)

    collect()
    return cases


def drawn_layers(core: CoreName, count: int) -> list[Layer]:
    """A few layers of every kernel."""
    layers: list[Layer] = []
    for kernel in CASES:
        for case in drawn(kernel, count):
            variant, goal = variant_of(case.node, case.graph, core)
            assert variant.name == kernel
            layers.append(Layer(f"layer_{len(layers)}", case, variant, goal))
    return layers


def test_emitted_layers_on_the_host() -> None:
    """Layers compiled whole, where the compiler specialises the kernel and may reorder."""
    layers = drawn_layers("m4", 4)
    for layer, actual in zip(layers, emitted_on_host(layers, "-O3"), strict=True):
        assert_equal(layer.case, actual)


@pytest.mark.parametrize(
    ("core", "toolchain"),
    [
        *(pytest.param(core, "gcc", marks=ARM_GCC) for core in ("m0plus", "m3", "m4", "m7", "m33")),
        ("m0plus", "zig"),
        ("m4", "zig"),
    ],
)
def test_emitted_layers_on_a_core(core: CoreName, toolchain: str) -> None:
    layers = drawn_layers(core, 2)
    results = emitted_on_core(layers, core, toolchain)
    for layer, (actual, instructions) in zip(layers, results, strict=True):
        assert_equal(layer.case, actual)
        assert instructions > 0


BROKEN = {
    "nn_conv2d_s8": (
        ("acc, group_in, pixel", "acc, group_in - (group_in > 4), pixel"),
        ("if (iw < 0 || iw >= p->in_w) {", "if (iw < -1 || iw >= p->in_w) {"),
        ("kw * p->dilation_w", "kw"),
        ("tap, zp);", "tap, 0);"),
        ("multiplier[oc * q->per_channel]", "multiplier[0]"),
        ("x += p->in_h * p->in_w * p->in_c;", ""),
    ),
    "nn_depthwise_s8": (
        ("x + oc / fan_out", "x + oc % p->in_c"),
        ("ih >= p->in_h", "ih > p->in_h"),
        ("kw * p->dilation_w", "kw"),
        ("bias != NULL ? bias[oc] : 0", "bias != NULL ? bias[0] : 0"),
    ),
    "nn_dense_s8": (
        ("x, in_zp, tap", "x, 0, tap"),
        ("start, depth,", "start, depth - (depth > 32),"),
    ),
    "nn_matmul_s8": (("- b_zp", ""), ("b += depth * cols", "b += 0")),
    "nn_add_s8": (
        ("a[i], b[j], q", "a[i], b[0], q"),
        ("q->b_ratio, q->fixed", "q->b_ratio, q->fixed + 0.25f"),
    ),
    "nn_avgpool_s8": (
        ("q->pads_count != 0 ?", "q->pads_count == 0 ?"),
        ("if (q->early_zp != 0)", "if (q->early_zp == 0)"),
    ),
    "nn_softmax_s8": (("largest = x[k] > largest", "largest = x[k] < largest"),),
    "nn_pad": (("2 * last - at", "2 * last + 1 - at"),),
    "nn_maxpool_s8": (("int8_t best = -128", "int8_t best = 0"),),
    "nn_prelu_s8": (
        ("real > 0.0f ? real :", "real > 1.0f ? real :"),
        ("slope[j], factor[j]", "slope[0], factor[j]"),
    ),
    "nn_layernorm_f32": (
        ("sqrt_f32(variance + epsilon)", "sqrt_f32(variance + 2.0f * epsilon)"),
        ("k < fours ?", "k > fours ?"),
    ),
    "nn_gru_f32": (
        ("late != NULL ? gate : gate * state[j]", "gate"),
        ("state[j] = y[j];", "state[j] = y[0];"),
    ),
    "nn_lstm_f32": (
        ("cell_start != NULL ? cell_start[j] : 0.0f", "0.0f"),
        ("keep * cell[j]", "cell[j]"),
    ),
    "nn_argmax_s8": (("last != 0 &&", "last == 0 &&"),),
}


@pytest.mark.needs("cc")
@pytest.mark.parametrize("kernel", BROKEN)
def test_broken_kernels_are_caught(kernel: str) -> None:
    """The properties above can fail: each planted defect fails them."""
    header = runtime_c.read_header(f"{kernel}.h")
    for right, wrong in BROKEN[kernel]:
        assert right in header
        source = library_source().replace(
            f'#include "{kernel}.h"\n', header.replace(right, wrong) + "\n"
        )
        flags = ("-Wno-unused-variable", "-Wno-unused-parameter")
        runner = Host(ctypes.CDLL(str(compile_shared(source, *flags))))

        def differs(case: Case, runner: Runner = runner) -> bool:
            try:
                assert_equal(case, outputs(case, runner))
            except AssertionError:
                return True
            return False

        found = any(differs(case) for case in drawn(kernel, EXAMPLES))
        assert found, f"nobody noticed {wrong!r} in place of {right!r}"


@pytest.mark.needs("cc")
def test_a_read_out_of_bounds_is_caught() -> None:
    """ASan sees one byte too many, which a plain run would not."""
    header = runtime_c.read_header("nn_copy.h")
    broken = header.replace("target[i] = source[i]", "target[i] = source[i + 1]")
    source = library_source().replace('#include "nn_copy.h"\n', broken + "\n")
    runner = SanitizedHost(compile_sanitized(source))

    @settings(phases=[Phase.generate])
    @given(CASES["nn_copy"])
    def check(case: Case) -> None:
        outputs(case, runner)

    with pytest.raises(KernelError, match="heap-buffer-overflow"):
        check()
