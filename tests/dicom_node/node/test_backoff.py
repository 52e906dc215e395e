"""Waits before a role is started again."""

from __future__ import annotations

from dicom_node.node.backoff import RestartBackoff


def test_waits_double_and_start_over() -> None:
    """A role that keeps ending waits longer each time, one that lived for a minute starts from the beginning."""
    backoff = RestartBackoff(first_seconds=1, longest_seconds=5, healthy_after_seconds=60)
    assert backoff.next(None, 0.1) == 1
    assert backoff.next(1, 0.1) == 2
    assert backoff.next(2, 0.1) == 4
    assert backoff.next(4, 0.1) == 5
    assert backoff.next(5, 61) == 1
