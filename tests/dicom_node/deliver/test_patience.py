"""Waits between attempts to deliver."""

from __future__ import annotations

from dicom_node.deliver.patience import DeliveryPatience


def test_waits_double_up_to_the_longest() -> None:
    """30 s, 60 s, ... never more than an hour, however many attempts there were."""
    patience = DeliveryPatience(first_seconds=30, longest_seconds=3600, total_seconds=7 * 86_400)
    assert [patience.wait_after(n) for n in (1, 2, 3, 7, 8, 9, 100_000)] == [30, 60, 120, 1920, 3600, 3600, 3600]
