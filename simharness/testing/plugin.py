# SPDX-License-Identifier: MIT
"""The pytest plugin: a network's figures as a test, gated against baselines beside it.

    def test_my_network(sim):
        report = sim("model.onnx", core="m4")
        assert report.results.memory.arena_bytes <= 16_000

    def test_my_kernel(machine):
        m = machine("m0plus", {"k.c": "int twice(int x) { return 2 * x; }"})
        assert m.call("twice", 21) == 42

`pytest --simharness-update` writes the baselines. A network that ran before is not run again as
long as nothing that its report rests on has changed, on disk or in memory (simharness.reuse).
Importing this module costs nothing: the rest of simharness is imported when a test asks for it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from simharness import pristine

if TYPE_CHECKING:
    from simharness.machine import Machine
    from simharness.report.model import Report

Sim = Callable[..., "Report"]
DEFAULT_CORE = "m4"
_FAILURES: pytest.StashKey[list[str]] = pytest.StashKey()
FIGURES = ("cycles", "instructions", "energy", "flash", "arena", "stack")
"""What goes into JUnit properties, under the metric names of `simharness compare`."""
BUILD_OPTIONS = ("optimize", "requant", "planner", "reference_kernels", "ram_limit_bytes")
"""Those of `sim` that change the generated code."""


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("simharness")
    group.addoption(
        "--simharness-update", action="store_true", help="write the baselines instead of comparing"
    )
    group.addoption(
        "--simharness-fail", metavar="GATES", default=None,
        help="how much worse figures may get, as in cycles:0%%,energy:1%% (default: nothing)",
    )  # fmt: skip
    group.addoption(
        "--core", action="append", default=[], metavar="CORE",
        help="run tests that take the fixture `core` on this core; repeatable (default: m4)",
    )  # fmt: skip
    group.addoption(
        "--simharness-require", default="", metavar="ENGINES",
        help="comma-separated engines whose absence fails tests instead of skipping them",
    )  # fmt: skip
    group.addoption(
        "--simharness-no-reuse", action="store_true",
        help="run every network, also where nothing has changed since an equal earlier run",
    )  # fmt: skip
    parser.addini("simharness_fail", "the default of --simharness-fail", default="")


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests() -> None:
    """Before anybody can replace parts of simharness: reports are not reused where one does."""
    pristine.watch()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "simharness_cores(*cores): run on these cores, whatever --core says"
    )
    config.addinivalue_line(
        "markers", "simharness_engine(name): the engine of `sim`; skipped where it is absent"
    )
    config.addinivalue_line(
        "markers",
        "simharness_crosscheck(*engines): what `sim` runs must come out alike on these emulators "
        "(default: all installed ones); skipped where there are not two",
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """The fixture `core` takes each core of the marker, or of --core."""
    named = [m.args[0] for m in metafunc.definition.iter_markers("parametrize") if m.args]
    given = any("core" in (n.split(",") if isinstance(n, str) else n) for n in named)
    if "core" not in metafunc.fixturenames or given:
        return
    marker = metafunc.definition.get_closest_marker("simharness_cores")
    cores = marker.args if marker else metafunc.config.getoption("--core")
    if cores:
        metafunc.parametrize("core", list(dict.fromkeys(cores)), indirect=True)


@pytest.fixture
def core(request: pytest.FixtureRequest) -> str:
    """A core's name: from the marker `simharness_cores`, from --core, else m4."""
    return str(getattr(request, "param", DEFAULT_CORE))


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """What a test's gates found decides where its own assertions hold; else it is shown, too."""
    failures = pyfuncitem.stash.setdefault(_FAILURES, [])
    try:
        result = yield
    except BaseException:
        if failures:
            pyfuncitem.add_report_section("call", "simharness", "\n\n".join(failures))
        raise
    if failures:
        pytest.fail("\n\n".join(failures), pytrace=False)
    return result


@pytest.fixture
def sim(request: pytest.FixtureRequest) -> Sim:
    """`sim(model, core=..., gate=True, label="", **options)`: run a network and gate its figures.

    Takes the options of `simharness.run` and returns its report. The test fails at its end when a
    gated figure got worse, when outputs are wrong, or when there is no baseline yet; `gate=False`
    leaves only the outputs to be checked by you, through `report.results.check`. With
    `sanitize=True` it fails in any case when a layer touches what is not its own, and names layer,
    tensor and byte. Relative model paths count from the test's folder. `reuse=False` runs it in any
    case.
    """
    failures = request.node.stash.setdefault(_FAILURES, [])

    def run(
        model: str | Path, *, gate: bool = True, label: str = "", fail: str = "", **options: Any
    ) -> Report:
        __tracebackhide__ = True
        import simharness
        from simharness.errors import SimharnessError
        from simharness.report.figures import violations

        engine = _engine(request)
        if engine:
            options.setdefault("engine", engine)
        if not {"core", "board"} & set(options):
            options["core"] = DEFAULT_CORE
        options.setdefault("reuse", not request.config.getoption("--simharness-no-reuse"))
        try:
            report = simharness.run(_beside(request, model), **options)
            _record(request, report, label)
            if gate:
                failures.extend(_gated(request, report, label, fail))
            failures.extend(violations(report.results.sanitizer))
            failures.extend(_crosschecked(request, _beside(request, model), options))
        except SimharnessError as error:  # a sentence for the user, whatever the way to it
            raise error.with_traceback(None) from None
        return report

    return run


@pytest.fixture(scope="session")
def machine() -> Callable[..., Machine]:
    """`machine(core, sources, **options)`: a `simharness.machine.Machine`."""

    def make(core: str, program: Mapping[str, str], **options: Any) -> Machine:
        from simharness.machine import Machine

        return Machine(core, program, **options)

    return make


def _engine(request: pytest.FixtureRequest) -> str:
    marker = request.node.get_closest_marker("simharness_engine")
    if marker is None:
        return ""
    name = str(marker.args[0])
    _present(request, name)
    return name


def _present(request: pytest.FixtureRequest, name: str) -> None:
    """Skips, or fails where it was required, without the engine."""
    from simharness import engines

    absent = engines.engine(name).missing()
    if absent is not None:
        reason = f"engine {name}: {absent.what}; {absent.remedy}"
        if name in _required(request):
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)


def _required(request: pytest.FixtureRequest) -> list[str]:
    return str(request.config.getoption("--simharness-require")).split(",")


def _crosschecked(
    request: pytest.FixtureRequest, model: str | Path, options: Mapping[str, Any]
) -> list[str]:
    """Where the emulators of the marker disagree on a network that was built with `options`."""
    marker = request.node.get_closest_marker("simharness_crosscheck")
    if marker is None:
        return []
    from simharness import crosscheck, pipeline
    from simharness.errors import ToolMissingError

    known = crosscheck.ENGINES
    for name in marker.args or [n for n in known if n in _required(request)]:
        _present(request, name)
    build = {name: options[name] for name in BUILD_OPTIONS if name in options}
    try:
        found = crosscheck.crosscheck(
            model,
            options.get("core"),
            board=options.get("board"),
            names=marker.args,
            toolchain=options.get("toolchain", "auto"),
            wanted=pipeline.Wishes(**build),
        )
    except ToolMissingError as error:
        pytest.skip(str(error))
    return [f"{found.model} on {found.core}: {text}" for text in found.disagreements]


def _beside(request: pytest.FixtureRequest, model: str | Path) -> str | Path:
    text = str(model)
    if text.startswith("zoo:") or Path(text).is_absolute():
        return model
    return request.path.parent / text


def _gated(request: pytest.FixtureRequest, report: Report, label: str, fail: str) -> list[str]:
    from simharness.report.compare import EXACT, tolerances
    from simharness.testing import baselines

    config = request.config
    asked = fail or config.getoption("--simharness-fail") or config.getini("simharness_fail")
    outcome = baselines.check(
        report,
        request.path.parent / baselines.FOLDER / request.path.stem,
        gates={**EXACT, **tolerances(str(asked))},
        update=bool(config.getoption("--simharness-update")),
        label=label,
    )
    return [] if outcome.status == "same" else [outcome.message]


def _record(request: pytest.FixtureRequest, report: Report, label: str) -> None:
    """Figures as JUnit properties; they travel with the test's report, so xdist keeps them."""
    from simharness.report.compare import METRICS
    from simharness.testing.baselines import key

    name = key(report, label)
    for metric in METRICS:
        value = metric.of(report.results)
        if metric.name in FIGURES and value is not None:
            request.node.user_properties.append((f"{name}.{metric.name}", value))
