"""What a peer's answer means."""

from __future__ import annotations

import itertools

import pytest

from dicom_node.deliver.send.statuses import STATUSES, StoreStatus, store_status_of, words_of


@pytest.mark.parametrize("status", [0x0000, 0xB000, 0xB006, 0xB007])
def test_stored(status: int) -> None:
    """Success and the storage warnings are stored."""
    assert store_status_of(status) is StoreStatus.STORED


def test_already_there() -> None:
    """A duplicate has its own status: only who knows what the UID stands for may count it as stored."""
    assert store_status_of(0x0111) is StoreStatus.ALREADY_THERE


@pytest.mark.parametrize("status", [0xA700, 0xA7FF, 0x0110, 0x0124, 0xFE99, None])
def test_tried_again(status: int | None) -> None:
    """A peer in trouble has not got the object: A700 is never stored, and neither is an unknown status."""
    assert store_status_of(status) is StoreStatus.TRY_AGAIN


@pytest.mark.parametrize("status", [0x0122, 0x0112, 0x0117, 0x0118, 0xA900, 0xA9FF])
def test_refused(status: int) -> None:
    """A SOP class that is not supported, or an object that does not fit it, will not be taken later either."""
    assert store_status_of(status) is StoreStatus.REFUSED


@pytest.mark.parametrize("status", [0xC000, 0xC211, 0xCFFF])
def test_not_understood(status: int) -> None:
    """A refusal of this object by the standard, and what many a PACS in trouble says of every object: distinguished."""
    assert store_status_of(status) is StoreStatus.NOT_UNDERSTOOD


def test_no_status_stands_in_two_rows() -> None:
    """The table says one thing about each status, and every row but success has words."""
    for status, other in itertools.combinations(STATUSES, 2):
        assert status.last < other.first or other.last < status.first
    assert [row.first for row in STATUSES if not row.words] == [0x0000]
    assert words_of(0xA701) == "0xA701 out of resources"
