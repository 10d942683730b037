# SPDX-License-Identifier: MIT
"""Every reference kernel against the oracle on random layers: on the host, sanitized, on cores.

int8 results are equal to the bit everywhere; float32 results stay within 1e-5 of the largest output.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from kernel_call import Task, node_outputs, node_task, variant_of
from kernel_emitted import emitted_on_core, emitted_on_host
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
from strategies import CASES, Case

import runtime_c
from codegen import oracle
from codegen.ir import Array
from codegen.kernels import REFERENCES

INTEGER = ("-DNN_REQUANT_INTEGER",)
MUL16 = ("-DNN_REQUANT_INTEGER", "-DNN_REQUANT_MUL16")


class Runner(Protocol):
    def run(self, task: Task) -> list[bytes]: ...


RUNNERS: dict[str, Callable[[], Runner]] = {
    "host": host,
    "host-integer": lambda: host(*INTEGER),
    "host-mul16": lambda: host(*MUL16),
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


def assert_equal(actual: Sequence[Array], wanted: Sequence[Array]) -> None:
    for a, w in zip(actual, wanted, strict=True):
        assert a.dtype == w.dtype and a.shape == w.shape
        if a.dtype == np.float32:
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

    @given(CASES[kernel])
    def check(case: Case) -> None:
        assert_equal(outputs(case, where), expected(case))

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


@pytest.mark.parametrize("kernel", CASES)
def test_emitted_layer_gives_the_oracles_result(kernel: str) -> None:
    """A few layers compiled whole, where the compiler specialises the kernel and may reorder."""

    @settings(max_examples=3, suppress_health_check=list(HealthCheck))
    @given(CASES[kernel])
    def check(case: Case) -> None:
        variant, goal = variant_of(case.node, case.graph)
        assert_equal(emitted_on_host(case, variant, goal, "-O3"), expected(case))

    check()


@pytest.mark.parametrize("core", ["m0plus", "m4"])
@pytest.mark.parametrize("kernel", CASES)
def test_emitted_layer_on_a_core(kernel: str, core: str) -> None:
    @settings(max_examples=1, suppress_health_check=list(HealthCheck))
    @given(CASES[kernel])
    def check(case: Case) -> None:
        variant, goal = variant_of(case.node, case.graph, core)
        actual, instructions = emitted_on_core(case, variant, goal, core)  # type: ignore[arg-type]
        assert_equal(actual, expected(case))
        assert instructions > 0

    check()


BROKEN = {
    "a tap too few": ("ic < group_in;", "ic < group_in - (group_in > 4);"),
    "padding counts": ("if (iw < 0 || iw >= p->in_w) {", "if (iw < -1 || iw >= p->in_w) {"),
    "dilation lost": ("kw * p->dilation_w", "kw"),
    "weight zero point lost": ("(tap[ic] - zp)", "(tap[ic] - 0 * zp)"),
}


@pytest.mark.needs("cc")
@pytest.mark.parametrize("defect", BROKEN)
def test_a_broken_convolution_is_caught(defect: str) -> None:
    """The properties above can fail: each planted defect fails them."""
    right, wrong = BROKEN[defect]
    header = runtime_c.read_header("nn_conv2d_s8.h")
    assert right in header
    source = library_source().replace(
        '#include "nn_conv2d_s8.h"\n', header.replace(right, wrong) + "\n"
    )
    runner = Host(ctypes.CDLL(str(compile_shared(source))))

    @given(CASES["nn_conv2d_s8"])
    def check(case: Case) -> None:
        assert_equal(outputs(case, runner), expected(case))

    with pytest.raises(AssertionError):
        check()


@pytest.mark.needs("cc")
def test_a_read_out_of_bounds_is_caught() -> None:
    """ASan sees one byte too many, which a plain run would not."""
    header = runtime_c.read_header("nn_copy.h")
    broken = header.replace("target[i] = source[i]", "target[i] = source[i + 1]")
    source = library_source().replace('#include "nn_copy.h"\n', broken + "\n")
    runner = SanitizedHost(compile_sanitized(source))

    @given(CASES["nn_copy"])
    def check(case: Case) -> None:
        outputs(case, runner)

    with pytest.raises(KernelError, match="heap-buffer-overflow"):
        check()
