"""What a destination's answer means."""

from __future__ import annotations

import pytest

from dicom_node.delivering.answers import Answer, read_answer


@pytest.mark.parametrize("status", [0x0000, 0xB000, 0xB006, 0xB007, 0x0111])
def test_sent(status: int) -> None:
    """Success and the storage warnings are sent; a duplicate is there already."""
    assert read_answer(status) is Answer.SENT


@pytest.mark.parametrize("status", [0xA700, 0xA7FF, 0xC000, 0xCFFF, 0x0110, 0x0124, None])
def test_tried_again(status: int | None) -> None:
    """A PACS in trouble has not got the result: A700 is never sent."""
    assert read_answer(status) is Answer.TRY_AGAIN


@pytest.mark.parametrize("status", [0x0122, 0x0112, 0xA900, 0xA9FF])
def test_refused(status: int) -> None:
    """A SOP class that is not supported, or an object that does not fit it, will not be taken later either."""
    assert read_answer(status) is Answer.REFUSED
