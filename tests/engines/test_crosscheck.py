# SPDX-License-Identifier: MIT
"""Independent emulators agree on whole networks; a disagreement is told with its place."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from simharness import cli, elf, engines, pipeline
from simharness.crosscheck import crosscheck, differences, sample
from simharness.engines.base import EngineInfo, Missing, Trace
from simharness.engines.unicorn import UnicornEngine
from simharness.errors import ToolMissingError, UsageError
from simharness.image import Image
from simharness.layer_sums import first_difference, summed

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


class Faulty:
    """Unicorn without the third layer's weights: an emulator that computes wrongly there."""

    name = "faulty"

    def missing(self) -> Missing | None:
        return None

    def describe(self) -> EngineInfo:
        return EngineInfo(self.name, "1", "counted")

    def run(self, image: Image, inputs: Sequence[tuple[bytes, ...]], *, budget: int) -> Trace:
        weights = image.symbols["lenet5_int8_l02_stream"]
        (segment,) = (
            s for s in elf.parse(image.elf).load if 0 <= weights.address - s.address < len(s.data)
        )
        start = image.elf.index(segment.data) + weights.address - segment.address
        end = start + weights.size_bytes
        broken = image.elf[:start] + bytes(weights.size_bytes) + image.elf[end:]
        trace = UnicornEngine().run(replace(image, elf=broken), inputs, budget=budget)
        return replace(trace, engine=self.describe())


@pytest.mark.needs("arm-none-eabi-gcc")
def test_other_results_are_located_by_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a planted fault of one emulator; the outputs say only that there is one."""
    monkeypatch.setitem(engines._OWN, "faulty", f"{__name__}:Faulty")  # type: ignore[index]
    found = crosscheck("zoo:lenet5-int8", "m4", names=("unicorn", "faulty"))

    assert not found.ok
    assert found.disagreements[0].startswith("unicorn and faulty: output 0 of sample 0 differs")
    assert found.disagreements[-1] == (
        "unicorn and faulty: the first layer with other results is lenet5_int8_l02_conv_conv2, "
        "on sample 0"
    )


@needs_qemu
@pytest.mark.parametrize("network", ["zoo:lenet5-int8", "zoo:lenet5-f32"])
def test_checksums_by_layer_agree(network: str) -> None:
    """The variant computes the same, and each layer has its checksum."""
    machine = pipeline.machine_for("m4", None, None)
    path, _ = pipeline.model_file(network)
    compiled = pipeline.generate(path, machine.core, pipeline.Wishes())
    variant = summed(compiled)
    values = sample(compiled, 0)
    plain = UnicornEngine().run(
        pipeline.link(compiled, machine, "auto").image, [values], budget=10**9
    )
    image = pipeline.link(variant.compiled, machine, "auto").image
    (outputs,) = UnicornEngine().run(image, [values], budget=10**9).outputs

    assert outputs[:-1] == plain.outputs[0]
    sums = struct.unpack(f"<{len(variant.layers)}I", outputs[-1])
    assert len(set(sums)) == len(sums)
    assert first_difference(variant.layers, outputs[-1], outputs[-1]) is None


def test_it_needs_two_engines(monkeypatch: pytest.MonkeyPatch) -> None:
    """One opinion is no crosscheck; a named engine that is missing is exit 3."""
    with pytest.raises(UsageError, match="two engines"):
        crosscheck("zoo:lenet5-int8", names=("unicorn",))
    monkeypatch.setattr("simharness.engines.qemu.PROGRAM", "no-such-qemu")
    with pytest.raises(ToolMissingError, match="apt-get"):
        crosscheck("zoo:lenet5-int8", names=PAIR)
