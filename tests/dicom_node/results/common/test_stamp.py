"""The time that results carry."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from pydicom.dataset import Dataset

from dicom_node.node.errors import ResultError
from dicom_node.results.common.stamp import stamp_of

MOMENT = datetime(2026, 3, 28, 23, 30, 15, 900_000, tzinfo=UTC)


@pytest.fixture
def seoul() -> Iterator[None]:
    """This process lives in Seoul, UTC+9."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = "Asia/Seoul"
    time.tzset()
    yield
    if before is None:
        del os.environ["TZ"]
    else:
        os.environ["TZ"] = before
    time.tzset()


def test_the_sources_offset_is_used_and_repeated() -> None:
    """Where the source names its offset from UTC, date and time are in it, and so is the DT."""
    header = Dataset()
    header.TimezoneOffsetFromUTC = "+0545"
    stamp = stamp_of(MOMENT, header)
    assert (stamp.date, stamp.time, stamp.offset) == ("20260329", "051515", "+0545")
    assert stamp.date_time == "20260329051515+0545"


@pytest.mark.parametrize("offset", [None, "", "UTC", "+9999"])
@pytest.mark.usefixtures("seoul")
def test_without_an_offset_times_are_local(offset: str | None) -> None:
    """Where the source names no legal offset, date and time are this machine's local ones, as the source's are."""
    header = Dataset()
    if offset is not None:
        header.TimezoneOffsetFromUTC = offset
    stamp = stamp_of(MOMENT, header)
    assert (stamp.date, stamp.time, stamp.offset) == ("20260329", "083015", "")
    assert stamp.date_time == "20260329083015+0900"


def test_a_time_without_a_zone_is_refused() -> None:
    """A naive datetime would be taken for local time by some and for UTC by others."""
    with pytest.raises(ResultError, match="time zone"):
        stamp_of(MOMENT.replace(tzinfo=None), Dataset())
