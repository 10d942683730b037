# SPDX-License-Identifier: MIT
"""Independent emulators agree on whole networks; a disagreement is told with its place."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from simharness import cli
from simharness.crosscheck import crosscheck, differences
from simharness.errors import ToolMissingError, UsageError

CORES = ("m0plus", "m3", "m4", "m7", "m33")
PAIR = ("unicorn", "qemu")
needs_qemu = pytest.mark.needs("qemu", "arm-none-eabi-gcc")
NETWORKS = (
    ("mlperf_ad_fcae_int8", "m0plus"),
    ("mlperf_ad_fcae_int8", "m33"),
    ("mlperf_ic_resnet8_int8", "m4"),
    ("mlperf_kws_dscnn_int8", "m0plus"),
    ("mlperf_kws_dscnn_int8", "m33"),
    ("mlperf_vww_mbv1_int8", "m7"),
)


@needs_qemu
@pytest.mark.parametrize("core", CORES)
def test_lenet5(core: str) -> None:
    """Same bytes, same counts, on every core."""
    found = crosscheck("zoo:lenet5-int8", core, names=PAIR)

    assert found.ok, found.disagreements
    assert found.opinions[0].instructions == found.opinions[1].instructions
    assert sum(found.opinions[0].layers.values()) == found.opinions[0].instructions


@needs_qemu
@pytest.mark.parametrize(("network", "core"), NETWORKS)
def test_published_networks(network: str, core: str, shared_models: Path) -> None:
    """Same bytes, same counts."""
    found = crosscheck(shared_models / f"{network}.onnx", core, names=PAIR, samples=1)

    assert found.ok, found.disagreements


@needs_qemu
def test_the_command_and_its_verdict(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """0 when all agree; 1 when an engine counts one instruction more than it should."""
    command = ["crosscheck", "zoo:lenet5-int8", "--engine", "unicorn", "--engine", "qemu"]
    assert cli.main(command) == 0
    assert "all agree" in capsys.readouterr().out

    monkeypatch.setattr("simharness.crosscheck.OFFSETS", {"qemu": 1})
    assert cli.main([*command, "--format", "json"]) == 1
    (found,) = json.loads(capsys.readouterr().out)
    assert not found["ok"]
    assert "instructions in all" in found["disagreements"][0]


@needs_qemu
def test_disagreements_are_located() -> None:
    """A flipped byte is found by output and place, a count by layer."""
    one, two = crosscheck("zoo:lenet5-int8", "m4", names=PAIR).opinions
    ((first,), *rest) = two.outputs
    broken = bytes([*first[:3], first[3] ^ 1, *first[4:]])
    layer = next(iter(two.layers))

    assert differences(one, two) == []
    assert differences(one, replace(two, outputs=((broken,), *rest))) == [
        "unicorn and qemu: output 0 of sample 0 differs from byte 3 on"
    ]
    more = {**two.layers, layer: two.layers[layer] + 1}
    (text,) = differences(one, replace(two, layers=more))
    assert layer in text


def test_it_needs_two_engines(monkeypatch: pytest.MonkeyPatch) -> None:
    """One opinion is no crosscheck; a named engine that is missing is exit 3."""
    with pytest.raises(UsageError, match="two engines"):
        crosscheck("zoo:lenet5-int8", names=("unicorn",))
    monkeypatch.setattr("simharness.engines.qemu.PROGRAM", "no-such-qemu")
    with pytest.raises(ToolMissingError, match="apt-get"):
        crosscheck("zoo:lenet5-int8", names=PAIR)
