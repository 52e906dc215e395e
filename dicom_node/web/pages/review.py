"""Results that recommend a review, newest first, and what readers sent back."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from db.browse import JobFilter, list_jobs
from db.records import JobState
from dicom_node.web.answers import page
from dicom_node.web.visit import Visit

_LOOKED_AT: Final = 500


def show(visit: Visit) -> Response:
    """`GET /review`."""
    found = list_jobs(visit.site.database, JobFilter(state=JobState.DONE), _LOOKED_AT).lines
    wanted = [line for line in found if line.measurements and line.measurements.get("review_recommended")]
    return page(
        visit,
        "review.html",
        lines=wanted,
        looked_at=len(found),
        feedback=visit.site.feedback.list(everything=True, limit=50),
    )
