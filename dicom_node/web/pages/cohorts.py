"""Cohorts: the studies of an archive that are fetched, what came of each row of the list; and to pause one."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlencode

from starlette.responses import Response

from db.cohorts import Cohort, CohortState, ItemState
from dicom_node.web.answers import page, to
from dicom_node.web.page_request import PageRequest

_LINES: Final = 100


def show(request: PageRequest) -> Response:
    """`GET /cohorts`."""
    return page(request, "cohorts.html", cohorts=request.site.cohorts.list())


def show_one(request: PageRequest) -> Response:
    """`GET /cohorts/{cohort}?state=&after=`."""
    cohort = cohort_of(request)
    state = item_state_of(request)
    lines = request.site.cohorts.lines(cohort.id, _LINES, after=request.number("after"), state=state)
    return page(
        request,
        "cohort.html",
        cohort=cohort,
        lines=lines,
        given=state,
        states=list(ItemState),
        after=lines[-1].line if len(lines) == _LINES else None,
        is_first=request.number("after") is None,
        query=_query(state, request.number("after")),
    )


def _query(state: ItemState | None, after: int | None) -> str:
    """Of this very page, for its next look."""
    given = {name: value for name, value in (("state", state), ("after", after)) if value is not None}
    return f"?{urlencode(given)}" if given else ""


def pause(request: PageRequest) -> Response:
    """`POST /cohorts/{cohort}/pause`: a study that is being fetched is finished."""
    return _set(request, CohortState.PAUSED)


def resume(request: PageRequest) -> Response:
    """`POST /cohorts/{cohort}/resume`."""
    return _set(request, CohortState.ACTIVE)


def cohort_of(request: PageRequest) -> Cohort:
    """The cohort of the path.

    Raises:
        UnknownRow: there is none.
    """
    return request.site.cohorts.numbered(request.row("cohort"))


def item_state_of(request: PageRequest) -> ItemState | None:
    """What the query asks for; None for any state."""
    state = request.query.get("state", "").strip()
    return ItemState(state) if state in list(ItemState) else None


def _set(request: PageRequest, state: CohortState) -> Response:
    cohort = cohort_of(request)
    request.site.cohorts.set_state(cohort.name, state, request.who)
    return to(f"/cohorts/{cohort.id}")
