# SPDX-License-Identifier: MIT
"""What every test may ask for: tools (skipped or required), the shared models, Hypothesis
profiles."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

TOOLS = {
    "arm-none-eabi-gcc": (
        "arm-none-eabi-gcc",
        "apt-get install gcc-arm-none-eabi libnewlib-arm-none-eabi",
    ),
    "qemu": ("qemu-system-arm", "apt-get install qemu-system-arm"),
    "renode": ("renode", "install a release of Renode 1.15 or newer, or set SIMHARNESS_RENODE"),
    "pyocd": ("pyocd", "pip install 'simharness[board]'"),
    "cc": ("cc", "apt-get install gcc"),
    "clang": ("clang", "apt-get install clang"),
    "chromium": ("chromium", "apt-get install chromium"),
}

_QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
settings.register_profile(
    "ci", deadline=None, derandomize=True, max_examples=50, suppress_health_check=_QUIET
)
settings.register_profile("dev", deadline=None, max_examples=20, suppress_health_check=_QUIET)
settings.register_profile("nightly", deadline=None, max_examples=2000, suppress_health_check=_QUIET)
settings.load_profile(os.environ.get("SIMHARNESS_HYPOTHESIS", "ci"))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--require",
        default="",
        metavar="TOOLS",
        help=f"comma-separated tools whose absence fails instead of skips: {', '.join(TOOLS)}",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "needs(*tools): skipped when a tool is absent")
    unknown = _required(config) - set(TOOLS)
    if unknown:
        raise pytest.UsageError(f"--require: unknown tools {sorted(unknown)}; known: {list(TOOLS)}")


def _required(config: pytest.Config) -> set[str]:
    return {t for t in str(config.getoption("--require")).split(",") if t}


def tool_path(tool: str) -> str | None:
    """Where a tool is, or None."""
    if tool == "renode" and os.environ.get("SIMHARNESS_RENODE"):
        return os.environ["SIMHARNESS_RENODE"]
    return shutil.which(TOOLS[tool][0])


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker in item.iter_markers("needs"):
        for tool in marker.args:
            if tool_path(tool) is None:
                reason = f"{tool} is not installed: {TOOLS[tool][1]}"
                if tool in _required(item.config):
                    pytest.fail(reason, pytrace=False)
                pytest.skip(reason)


@pytest.fixture(scope="session")
def shared_models() -> Path:
    """The folder of published networks beside the checkout (not part of the repository)."""
    default = Path(__file__).resolve().parents[2] / "shared" / "models"
    folder = Path(os.environ.get("SIMHARNESS_MODELS", default))
    if not (folder / "MANIFEST.csv").exists():
        pytest.skip(f"no published networks at {folder}; set SIMHARNESS_MODELS to their folder")
    return folder
