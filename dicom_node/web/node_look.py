"""What the start page shows of the node: read once in some seconds, however many people look."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from db.browse import outcomes
from db.deliveries import DeliveryTable
from db.engine import Database
from db.jobs import JobTable
from db.overview import overview
from db.records import Delivery, Job, JobState, Overview
from db.reviews import ReviewTable
from dicom_node.web.figures import Figures, figures_of

MOST_TO_REVIEW: Final = 1000
_MOST_SHOWN: Final = 12
_LOOKED_AT: Final = 500
_MOST_COUNTED: Final = 20_000


@dataclass(frozen=True)
class HealthLine:
    """One check of the node.

    Attributes:
        level: "ok", "warning" or "critical".
        words: what was found, and what to do.
    """

    name: str
    level: str
    words: str


@dataclass(frozen=True)
class NodeLook:
    """One look at the node.

    Attributes:
        found: counts by state.
        health: the checks of `wmh-node status`.
        failed: jobs that failed and that no person has acknowledged, newest first, with their deliveries.
        day, week: what became of the jobs of that time.
        to_review: results that wait for a reader; counted up to `MOST_TO_REVIEW`.
    """

    found: Overview
    health: Sequence[HealthLine]
    failed: Sequence[tuple[Job, Sequence[Delivery]]]
    day: Figures
    week: Figures
    to_review: int


def take_look(database: Database, health: Callable[[], Sequence[HealthLine]]) -> NodeLook:
    """Read all of it."""
    now = database.clock()
    newest = JobTable(database).list([JobState.FAILED], _LOOKED_AT)
    failed = [job for job in newest if job.acknowledged_at is None][:_MOST_SHOWN]
    deliveries = DeliveryTable(database)
    return NodeLook(
        found=overview(database, now - timedelta(days=1)),
        health=health(),
        failed=[(job, deliveries.list(job.id)) for job in failed],
        day=figures_of(outcomes(database, now - timedelta(days=1), _MOST_COUNTED), now),
        week=figures_of(outcomes(database, now - timedelta(days=7), _MOST_COUNTED), now),
        to_review=ReviewTable(database).count_open(MOST_TO_REVIEW),
    )
