# SPDX-License-Identifier: MIT
"""ELF files are read as they are, or refused in words."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simharness import elf
from simharness.errors import UsageError
from simharness.toolchain import ROOMY, build

TEXT = """
    #include <stdint.h>
    const uint32_t table[3] = {0xE8BD4000u, 2, 3};
    uint32_t state = 5;
    uint32_t far(uint32_t i) { return table[i] ^ 0x12345678u ^ state; }
"""


@pytest.fixture(scope="module")
def data() -> bytes:
    return build({"k.c": TEXT}, "m0plus", keep_all=True).image.elf


@pytest.mark.parametrize("junk", [b"", b"\x7fELF", b"hello, this is no ELF file at all" * 9])
def test_junk_is_refused(junk: bytes) -> None:
    with pytest.raises(UsageError, match="ELF"):
        elf.parse(junk)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs a host ELF")
def test_a_host_program_is_refused() -> None:
    with pytest.raises(UsageError, match="32-bit Arm"):
        elf.parse(Path(sys.executable).resolve().read_bytes())


@pytest.mark.parametrize("keep", [100, 400, 1000])
def test_a_truncated_file_is_refused(data: bytes, keep: int) -> None:
    with pytest.raises(UsageError, match="ELF"):
        elf.parse(data[:keep])


def test_symbols_have_kinds_and_even_addresses(data: bytes) -> None:
    symbols = elf.parse(data).symbols

    assert symbols["far"].kind == "func"
    assert symbols["far"].address % 2 == 0
    assert symbols["table"].kind == "object"
    assert symbols["table"].size_bytes == 12
    assert not [n for n in symbols if n.startswith("$")]


def test_initialised_variables_are_at_both_addresses(data: bytes) -> None:
    parsed = elf.parse(data)
    state = parsed.symbols["state"].address

    assert parsed.code.read(state, 4) == (5).to_bytes(4, "little")
    assert all(s.address < 0x2000_0000 for s in parsed.load)


def test_literal_pools_are_not_code(data: bytes) -> None:
    far = elf.parse(data).symbols["far"]
    inside = [
        s for s in elf.thumb_code(data)
        if far.address <= s.address < far.address + far.size_bytes
    ]  # fmt: skip

    assert inside
    assert 0 < sum(len(s.data) for s in inside) < far.size_bytes
    assert b"\x78\x56\x34\x12" not in b"".join(s.data for s in inside)


def test_an_image_carries_what_it_was_given(data: bytes) -> None:
    image = elf.image(data, "m0plus", ROOMY, layers=("far",))

    assert (image.core, image.memories, image.layers) == ("m0plus", ROOMY, ("far",))
    assert image.entry == image.symbols["sim_reset"].address


@given(draws=st.data())
def test_a_damaged_file_is_read_or_refused(data: bytes, draws: st.DataObject) -> None:
    """Whatever bytes are broken, there is a value or a UsageError."""
    broken = bytearray(data[: draws.draw(st.integers(0, len(data)))])
    for place, value in draws.draw(
        st.lists(st.tuples(st.integers(0, len(data) - 1), st.integers(0, 255)), max_size=20)
    ):
        if place < len(broken):
            broken[place if place % 2 else place % 64] = value
    try:
        elf.parse(bytes(broken))
    except UsageError as error:
        assert str(error)
