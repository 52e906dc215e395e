"""Senders whose series are suddenly rejected, or whose results suddenly need a review."""

from __future__ import annotations

import pytest

from db.shares import SenderCounts
from dicom_node.serve.unusual import unusual_senders


@pytest.mark.parametrize(
    ("before", "recent", "words"),
    [
        (SenderCounts(100, 5), SenderCounts(20, 8), "40 % of its series of 7 days were rejected, before that 5 %"),
        (SenderCounts(100, 80), SenderCounts(20, 17), None),  # a PACS that sends whole studies
        (SenderCounts(100, 5), SenderCounts(9, 9), None),  # too few
        (SenderCounts(20, 0), SenderCounts(20, 20), None),  # nothing to compare with
        (
            SenderCounts(100, 0, 100, 10),
            SenderCounts(20, 0, 20, 12),
            "60 % of its results of 7 days recommend a review",
        ),
    ],
)
def test_a_rise_is_named_and_chance_is_not(before: SenderCounts, recent: SenderCounts, words: str | None) -> None:
    """A share that rises by 30 points is named; few series, or a share that was always high, are not."""
    found = list(unusual_senders({"SCANNER": (before, recent)}))
    assert [sender for sender, _ in found] == ([] if words is None else ["SCANNER"])
    assert words is None or words in found[0][1]
