"""Figures of the start page, from what became of the jobs of some days."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median
from typing import Final

from db.browse import JobOutcome
from db.records import JobState

HOURS: Final = 24
UNKNOWN: Final = "unknown"


@dataclass(frozen=True)
class Figures:
    """What happened of late.

    Attributes:
        median_seconds, slow_seconds: from the last image to the end of the job, the median and the 95th percentile;
            None without a finished job.
        finished: how many jobs these are about.
        by_hour: jobs made in each of the last 24 hours, the oldest first: (start of the hour, analysed, others).
        by_scanner, by_outcome: (name, jobs), the most first.
    """

    median_seconds: float | None
    slow_seconds: float | None
    finished: int
    by_hour: tuple[tuple[datetime, int, int], ...]
    by_scanner: tuple[tuple[str, int], ...]
    by_outcome: tuple[tuple[str, int], ...]


def figures_of(found: Sequence[JobOutcome], now: datetime) -> Figures:
    """Count and measure."""
    seconds = sorted(scan.seconds for scan in found if scan.seconds is not None)
    return Figures(
        median_seconds=median(seconds) if seconds else None,
        slow_seconds=percentile(seconds, 0.95),
        finished=len(seconds),
        by_hour=_by_hour(found, now),
        by_scanner=_counted(scan.scanner or UNKNOWN for scan in found),
        by_outcome=_counted(str(scan.state) for scan in found),
    )


def percentile(ordered: Sequence[float], share: float) -> float | None:
    """The smallest value that at least this share does not exceed; None of nothing."""
    if not ordered:
        return None
    return ordered[min(len(ordered) - 1, max(0, -(-len(ordered) * round(share * 100) // 100) - 1))]


def _by_hour(found: Sequence[JobOutcome], now: datetime) -> tuple[tuple[datetime, int, int], ...]:
    newest = now.replace(minute=0, second=0, microsecond=0)
    hours = [newest - timedelta(hours=back) for back in range(HOURS - 1, -1, -1)]
    analysed: Counter[datetime] = Counter()
    others: Counter[datetime] = Counter()
    for scan in found:
        hour = scan.created_at.replace(minute=0, second=0, microsecond=0)
        (others if scan.state is JobState.REJECTED else analysed)[hour] += 1
    return tuple((hour, analysed[hour], others[hour]) for hour in hours)


def _counted(names: Iterable[str]) -> tuple[tuple[str, int], ...]:
    return tuple(Counter(names).most_common(12))
