"""Series that are still arriving, and why others were refused."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Final

from starlette.responses import Response

from db.browse import JobFilter, list_jobs, outcomes
from db.records import JobState
from dicom_node.node.job_words import series_standing
from dicom_node.results.pages.refusal_words import advice_for
from dicom_node.web.answers import page
from dicom_node.web.page_request import PageRequest

_DAYS: Final = 30
_MOST: Final = 50_000


def show(request: PageRequest) -> Response:
    """`GET /series`."""
    database = request.site.database
    now = database.clock()
    arriving = [(activity, series_standing(activity, now)) for activity in request.site.inbox.open_series()[:100]]
    found = outcomes(database, now - timedelta(days=_DAYS), _MOST)
    refused = Counter(job.code for job in found if job.state is JobState.REJECTED and job.code)
    return page(
        request,
        "series.html",
        arriving=arriving,
        reasons=[(code, count, advice_for(code)) for code, count in refused.most_common()],
        most=max(refused.values(), default=1),
        days=_DAYS,
        newest=list_jobs(database, JobFilter(state=JobState.REJECTED), 20).lines,
    )
