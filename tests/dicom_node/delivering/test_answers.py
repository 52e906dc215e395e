"""What a destination's answer means."""

from __future__ import annotations

from pathlib import Path

import pytest

from dicom_node.delivering.answers import Answer, read_answer
from dicom_node.sending import SendOutcome


def _outcome(status: int | None, ok: bool = False) -> SendOutcome:
    return SendOutcome(Path("seg.dcm"), status, ok, "")


@pytest.mark.parametrize(("status", "ok"), [(0x0000, True), (0xB000, True), (0xB007, True), (0x0111, False)])
def test_sent(status: int, ok: bool) -> None:
    """What is stored is sent; a duplicate is there already."""
    assert read_answer(_outcome(status, ok)) is Answer.SENT


@pytest.mark.parametrize("status", [0xA700, 0xA7FF, 0xC000, 0xCFFF, 0x0110, 0x0124, None])
def test_tried_again(status: int | None) -> None:
    """A PACS in trouble has not got the result: A700 is never sent."""
    assert read_answer(_outcome(status)) is Answer.TRY_AGAIN


@pytest.mark.parametrize("status", [0x0122, 0x0112, 0xA900, 0xA9FF])
def test_refused(status: int) -> None:
    """A SOP class that is not supported, or an object that does not fit it, will not be taken later either."""
    assert read_answer(_outcome(status)) is Answer.REFUSED
