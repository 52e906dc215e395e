"""The review limit catches what it is meant to catch, at the lowest price."""

from __future__ import annotations

import pytest

from training.bundle.review_limit import ScoredScan, derive_limit
from training.errors import BadCohort

SCANS = [ScoredScan(index / 20, 1 - index / 20) for index in range(20)]


@pytest.mark.parametrize("catch", [0.5, 0.8, 1.0])
def test_the_wanted_part_of_the_poor_is_caught(catch: float) -> None:
    """At least so many scans with a DSC under 0.6 lie above the limit, and no higher limit does it."""
    found = derive_limit([SCANS], catch)
    poor = [scan for scan in SCANS if scan.dsc < 0.6]
    assert sum(scan.index > found.limit for scan in poor) / len(poor) >= catch
    higher = min(scan.index for scan in SCANS if scan.index > found.limit)
    assert sum(scan.index > higher for scan in poor) / len(poor) < catch
    assert found.sent == pytest.approx(sum(scan.index > found.limit for scan in SCANS) / len(SCANS))
    assert found.correlation == pytest.approx(-1)


def test_without_poor_scans_there_is_no_limit() -> None:
    """Scans that are all good say nothing about poor ones."""
    with pytest.raises(BadCohort, match="scans without one"):
        derive_limit([[ScoredScan(0.1, 0.9)], []])


def test_many_scans_of_one_group_do_not_speak_for_the_other() -> None:
    """The limit of few real scans holds beside many drawn ones whose poor scans have higher indices."""
    real = [ScoredScan(0.43, 0.5), ScoredScan(0.3, 0.8)]
    drawn = [ScoredScan(0.8, 0.1)] * 20
    found = derive_limit([real, drawn])
    assert 0.3 < found.limit < 0.43
    assert found.caught == 1
    assert derive_limit([[], drawn]).limit > 0.7
