"""What a processor can do."""

from __future__ import annotations

import pytest

from segmentation.runtimes.processor import instruction_sets, trains_in_bfloat16


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        ("flags : fpu sse2 avx avx2 fma", False),
        ("flags : fpu avx2 avx512f avx512_vnni", False),
        ("flags : fpu avx2 avx512f avx512_bf16 avx512_vnni", True),
        ("flags : fpu avx512_bf16 amx_bf16 amx_tile", True),
        ("aarch64", False),
    ],
)
def test_bfloat16_needs_instructions_of_its_own(known: str, expected: bool) -> None:
    """Training takes bfloat16 by itself only where the processor computes in it: elsewhere it is emulated."""
    assert trains_in_bfloat16(known) is expected


def test_this_machine_says_what_it_has() -> None:
    """One line, not empty; what follows from it is the default."""
    assert instruction_sets()
    assert "\n" not in instruction_sets()
    assert trains_in_bfloat16() is trains_in_bfloat16(instruction_sets())
