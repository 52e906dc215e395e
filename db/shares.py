"""How many series of each sender are rejected, and how many results recommend a review: of late, and before that."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import case, func, select

from db.browse import SCANNER
from db.engine.database import Database
from db.records import JobState
from db.schema import jobs

_REVIEW = jobs.c.measurements["review_recommended"].as_boolean()


@dataclass(frozen=True, slots=True)
class SenderCounts:
    """Jobs of one sender in a time: all, the rejected ones, those with a result, and those that recommend a review."""

    series: int = 0
    rejected: int = 0
    results: int = 0
    reviews: int = 0


def counts_by_sender(
    database: Database, since: datetime, recent_from: datetime
) -> dict[str, tuple[SenderCounts, SenderCounts]]:
    """By the AE title that sent the series first: (before, of late)."""
    has_result = jobs.c.measurements.is_not(None) & (jobs.c.state != JobState.REJECTED.value)
    each = (
        select(
            func.coalesce(SCANNER, "unknown").label("sender"),
            case((jobs.c.created_at >= recent_from, 1), else_=0).label("is_recent"),
            case((jobs.c.state == JobState.REJECTED.value, 1), else_=0).label("rejected"),
            case((has_result, 1), else_=0).label("result"),
            case((has_result & _REVIEW, 1), else_=0).label("review"),
        )
        .where(jobs.c.created_at >= since)
        .subquery()
    )
    sums = (func.sum(column) for column in (each.c.rejected, each.c.result, each.c.review))
    query = select(each.c.sender, each.c.is_recent, func.count(), *sums).group_by(each.c.sender, each.c.is_recent)
    found: dict[str, dict[int, SenderCounts]] = {}
    with database.read() as connection:
        for name, recent, *counts in connection.execute(query):
            found.setdefault(str(name), {})[int(recent)] = SenderCounts(*map(int, counts))
    return {name: (of.get(0, SenderCounts()), of.get(1, SenderCounts())) for name, of in found.items()}
