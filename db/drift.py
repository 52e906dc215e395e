"""How results change over time: by scanner and month, the share of review, the median volume, the DSC of corrections.

A scanner whose protocol changed shows here before anybody complains.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from statistics import median
from typing import Any, Final

from sqlalchemy import select

from db.browse import SCANNER
from db.engine.database import Database
from db.measured import usable_volume_ml
from db.records import FeedbackState
from db.schema import feedback, jobs

_UNKNOWN: Final = "unknown"


@dataclass(frozen=True, slots=True)
class DriftLine:
    """The results of one scanner in one month (UTC, by the day of the job).

    Attributes:
        month: "2026-11".
        scanner: AE title that sent the series first.
        results: jobs with a result.
        reviews: of them, those that recommended a review.
        median_ml: WMH volume of those that are reliable.
        corrections: accepted corrections of these results; median_dsc: with the model's own mask; None without one.
    """

    month: str
    scanner: str
    results: int
    reviews: int
    median_ml: float | None
    corrections: int
    median_dsc: float | None

    @property
    def review_share(self) -> float:
        """0 to 1."""
        return self.reviews / self.results if self.results else 0.0


@dataclass
class _Gathered:
    results: int = 0
    reviews: int = 0
    volumes: list[float] = field(default_factory=list)
    corrections: int = 0
    dsc: list[float] = field(default_factory=list)


def drift(database: Database, since: datetime, most_jobs: int) -> list[DriftLine]:
    """Newest month first, then by scanner; of at most so many of the newest results since."""
    found: defaultdict[tuple[str, str], _Gathered] = defaultdict(_Gathered)
    keys: dict[int, tuple[str, str]] = {}
    with database.read() as connection:
        for row in connection.execute(_results(since, most_jobs)):
            keys[row.id] = key = (f"{row.created_at:%Y-%m}", row.scanner or _UNKNOWN)
            gathered = found[key]
            gathered.results += 1
            gathered.reviews += bool(row.review)
            measured = {"wmh_volume_ml": row.volume, "reliability": row.reliability}
            if (volume := usable_volume_ml(measured)) is not None:
                gathered.volumes.append(volume)
        for row in connection.execute(_corrections(min(keys, default=0))):
            if (key_of := keys.get(row.job_id)) is not None:
                found[key_of].corrections += 1
                if row.dsc is not None:
                    found[key_of].dsc.append(row.dsc)
    lines = [_line(month, scanner, gathered) for (month, scanner), gathered in found.items()]
    return sorted(sorted(lines, key=lambda line: line.scanner), key=lambda line: line.month, reverse=True)


def _results(since: datetime, most_jobs: int) -> Any:
    return (
        select(
            jobs.c.id,
            jobs.c.created_at,
            SCANNER,
            jobs.c.measurements["review_recommended"].as_boolean().label("review"),
            jobs.c.measurements["wmh_volume_ml"].as_float().label("volume"),
            jobs.c.measurements["reliability"].as_string().label("reliability"),
        )
        .where(jobs.c.created_at >= since, jobs.c.measurements.is_not(None))
        .order_by(jobs.c.created_at.desc())
        .limit(most_jobs)
    )


def _corrections(first_job: int) -> Any:
    return select(feedback.c.job_id, feedback.c.comparison["dsc"].as_float().label("dsc")).where(
        feedback.c.state == FeedbackState.ACCEPTED.value, feedback.c.job_id >= first_job
    )


def _line(month: str, scanner: str, gathered: _Gathered) -> DriftLine:
    return DriftLine(
        month, scanner, gathered.results, gathered.reviews,
        median(gathered.volumes) if gathered.volumes else None,
        gathered.corrections, median(gathered.dsc) if gathered.dsc else None,
    )  # fmt: skip
