"""The list of jobs, with filters; a page at a time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import urlencode

from starlette.responses import Response

from db.browse import JobFilter, list_jobs, scanners_seen
from db.records import JobState
from dicom_node.web.answers import page
from dicom_node.web.page_request import PageRequest

_LINES: Final = 50
_FIELDS: Final = ("state", "code", "scanner", "since", "until", "uid")


def show(request: PageRequest) -> Response:
    """`GET /jobs?state=&code=&scanner=&since=&until=&uid=&before=&after=`."""
    wanted = filter_of(request)
    found = list_jobs(
        request.site.database, wanted, _LINES, before=request.number("before"), after=request.number("after")
    )
    given = {name: request.query.get(name, "") for name in _FIELDS}
    kept = urlencode({name: value for name, value in given.items() if value})
    return page(
        request,
        "jobs.html",
        lines=found.lines,
        newer=found.newer,
        older=found.older if len(found.lines) == _LINES else None,
        given=given,
        kept=f"{kept}&" if kept else "",
        is_first=request.number("before") is None and request.number("after") is None,
        states=list(JobState),
        scanners=scanners_seen(request.site.database),
    )


def filter_of(request: PageRequest) -> JobFilter:
    """What the query asks for; a value that cannot be is no filter."""
    query = {name: value.strip() for name, value in request.query.items() if value.strip()}
    state = query.get("state")
    until = _day(query.get("until"))
    return JobFilter(
        state=JobState(state) if state in list(JobState) else None,
        code=query.get("code"),
        scanner=query.get("scanner"),
        since=_day(query.get("since")),
        until=None if until is None else until + timedelta(days=1),
        uid=query.get("uid"),
    )


def _day(text: str | None) -> datetime | None:
    try:
        day = None if text is None else datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
        return None if day is None or day.year == datetime.max.year else day  # a day later is still a date
    except ValueError:
        return None
