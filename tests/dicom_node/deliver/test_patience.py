"""Waits between attempts to deliver."""

from __future__ import annotations

from dicom_node.deliver.patience import DeliveryPatience


def test_waits_double_up_to_the_longest() -> None:
    """30 s, 60 s, ... never more than an hour, however many attempts there were."""
    patience = DeliveryPatience(first_seconds=30, longest_seconds=3600, total_seconds=7 * 86_400)
    assert [patience.wait_after(n) for n in (1, 2, 3, 7, 8, 9, 100_000)] == [30, 60, 120, 1920, 3600, 3600, 3600]


def test_time_tried_is_the_sum_of_the_waits() -> None:
    """Whatever the clock says: nothing before the first attempt, then 30 s, 90 s, ...; fast for any number."""
    patience = DeliveryPatience(first_seconds=30, longest_seconds=3600, total_seconds=7 * 86_400)
    for attempts in (0, 1, 2, 3, 8, 9, 50, 200):
        assert patience.tried_seconds(attempts) == sum(patience.wait_after(n) for n in range(1, attempts))
    assert patience.tried_seconds(10**9) > patience.total_seconds
    assert patience.believed_after_seconds == 86_400
