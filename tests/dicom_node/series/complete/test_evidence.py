"""The table of evidence, row by row."""

from __future__ import annotations

import pytest

from dicom_node.series.complete.evidence import ArrivalEvidence, Patience, seconds_to_wait

PATIENCE = Patience(quiet_seconds=2, quiet_seconds_incomplete=60, open_association_seconds=120)


@pytest.mark.parametrize(
    ("association_open", "released", "has_conflict", "looks_complete", "is_counted", "seconds"),
    [
        (False, True, False, True, False, 2),
        (False, True, False, False, False, 60),
        (False, True, True, True, False, 60),
        (False, False, False, True, False, 60),
        (False, False, False, False, False, 60),
        (False, False, False, True, True, 2),
        (False, False, True, True, True, 60),
        (False, False, False, False, True, 60),
        (True, False, False, True, True, 120),
        (True, False, False, True, False, 120),
        (True, True, False, True, False, 120),
        (True, False, False, False, False, 120),
    ],
)
def test_wait(
    association_open: bool, released: bool, has_conflict: bool, looks_complete: bool, is_counted: bool, seconds: float
) -> None:
    """Only whole, regular slices of a released association, or as many as announced, give the short wait."""
    evidence = ArrivalEvidence(association_open, released, has_conflict, looks_complete, is_counted=is_counted)
    assert seconds_to_wait(evidence, PATIENCE) == seconds
