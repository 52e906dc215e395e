"""`/api/v1`: what the page shows of jobs and cohorts, as JSON for scripts. Each request brings a token (RFC 6750).

Reading, and what readers say of results (`POST /jobs/{job}/review`, for a viewer or a reading list). Whoever acts
otherwise is a person with a session, or the command line. Without cookies no other site can use it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import QueryParams
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from db.browse import JobFilter, list_jobs, scanner_of
from db.cohorts import Cohort, CohortState, ItemState, Way
from db.errors import DatabaseUnavailable, IllegalTransition, UnknownRow
from db.overview import overview
from db.records import AccountRole, JobState, ReviewState, ReviewVerdict, WebSession
from dicom_node.node.destinations import did_you_mean
from dicom_node.node.job_words import job_standing, plain
from dicom_node.node.logger import get_logger
from dicom_node.node.logs import describe_error
from dicom_node.node.version import SOFTWARE_VERSION
from dicom_node.web.page_request import PageRequest
from dicom_node.web.pages.cohorts import cohort_of, item_state_of
from dicom_node.web.pages.job import job_of
from dicom_node.web.pages.job_list import filter_of
from dicom_node.web.people.secrets import digest_of
from dicom_node.web.site import Site

log = get_logger()

PREFIX: Final = "/api/v1"
MOST_LINES: Final = 200
_LINES: Final = 50
_BEARER: Final = "bearer "


_VERDICTS: Final = (str(ReviewVerdict.ACCEPTED), str(ReviewVerdict.REJECTED))


class BadQuery(Exception):
    """A parameter is not what the document says."""


def _overview(request: PageRequest) -> Mapping[str, Any]:
    database = request.site.database
    found = overview(database, database.clock() - timedelta(days=1))
    return {
        "at": found.at,
        "jobs": {str(job.state): job.count for job in found.jobs},
        "deliveries": [
            {"destination": delivery.destination, "state": str(delivery.state), "count": delivery.count}
            for delivery in found.deliveries
        ],
        "waiting_series": found.waiting_series,
        "last_received_at": found.last_received_at,
        "last_result_at": found.last_result_at,
    }


def _jobs(request: PageRequest) -> Mapping[str, Any]:
    wanted = _checked_filter(request)
    limit = _whole(request, "limit", _LINES)
    before = _whole(request, "before", None)
    found = list_jobs(request.site.database, wanted, min(limit or _LINES, MOST_LINES), before=before)
    is_full = len(found.lines) == min(limit or _LINES, MOST_LINES)
    return {"jobs": [asdict(line) for line in found.lines], "before": found.older if is_full else None}


def _job(request: PageRequest) -> Mapping[str, Any]:
    job = job_of(request)
    deliveries = request.site.deliveries.list(job.id)
    return {
        **plain(job),
        "scanner": scanner_of(request.site.database, job.series_instance_uid),
        "standing": job_standing(job, deliveries, request.site.database.clock()),
        "events": [plain(event) for event in request.site.jobs.events(job.id)],
        "deliveries": [plain(delivery) for delivery in deliveries],
        "reviews": [asdict(review) for review in request.site.reviews.of_job(job.id)],
    }


def _worklist(request: PageRequest) -> Mapping[str, Any]:
    limit = min(_whole(request, "limit", None) or _LINES, MOST_LINES)
    lines = request.site.reviews.worklist(limit, _whole(request, "before", None))
    return {"jobs": [asdict(line) for line in lines], "before": lines[-1].id if len(lines) == limit else None}


def _reviews(request: PageRequest) -> Mapping[str, Any]:
    limit = min(_whole(request, "limit", None) or _LINES, MOST_LINES)
    found = request.site.reviews.list(limit, _whole(request, "before", None))
    counts = [{**asdict(count), "reviewed": count.reviewed} for count in request.site.reviews.counts()]
    return {
        "reviews": [asdict(review) for review in found],
        "before": found[-1].id if len(found) == limit else None,
        "counts": counts,
    }


def _decide(request: PageRequest) -> Mapping[str, Any]:
    """A reader's verdict; the body is `{"verdict": "accepted" | "rejected", "reason": TEXT}`."""
    try:
        given = json.loads(request.body)
    except (ValueError, RecursionError) as error:
        raise BadQuery("body: expected a JSON object") from error
    if not isinstance(given, dict) or given.keys() - {"verdict", "reason"}:
        raise BadQuery("body: expected a JSON object with verdict and reason")
    verdict, reason = given.get("verdict"), given.get("reason")
    if verdict not in _VERDICTS:
        raise BadQuery(f"verdict: expected one of {', '.join(_VERDICTS)}")
    if reason is not None and not isinstance(reason, str):
        raise BadQuery("reason: expected a text")
    if verdict == ReviewVerdict.REJECTED and not (reason or "").strip():
        raise BadQuery("reason: expected one with a rejection")
    return asdict(request.site.reviews.decide(job_of(request).id, ReviewVerdict(verdict), _who(request), reason))


def _cohorts(request: PageRequest) -> Mapping[str, Any]:
    return {"cohorts": [_cohort_facts(cohort) for cohort in request.site.cohorts.list()]}


def _cohort(request: PageRequest) -> Mapping[str, Any]:
    cohort = cohort_of(request)
    state = item_state_of(request)
    if state is None and "state" in request.query:
        raise BadQuery(f"state: expected one of {', '.join(ItemState)}")
    limit = min(_whole(request, "limit", None) or _LINES, MOST_LINES)
    lines = request.site.cohorts.lines(cohort.id, limit, after=_whole(request, "after", None), state=state)
    return {
        **_cohort_facts(cohort),
        "studies": [{"row": line.line, **_without_line(asdict(line))} for line in lines],
        "after": lines[-1].line if len(lines) == limit else None,
    }


def _without_line(line: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in line.items() if name != "line"}


def _cohort_facts(cohort: Cohort) -> dict[str, Any]:
    """With the names of `wmh-node cohort list --json`."""
    rules = cohort.rules
    window = None if rules.from_hour is None else f"{rules.from_hour}-{rules.until_hour}"
    return {
        "id": cohort.id, "name": cohort.name, "from": cohort.source, "way": cohort.way, "state": cohort.state,
        "per_hour": rules.per_hour, "hours": window, "created_at": cohort.created_at, "created_by": cohort.created_by,
        **cohort.counts,
    }  # fmt: skip


def _who(request: PageRequest) -> str:
    return "unknown" if request.person is None else f"{request.person.account} (token)"


def _checked_filter(request: PageRequest) -> JobFilter:
    state = request.query.get("state")
    if state is not None and state not in list(JobState):
        raise BadQuery(f"state: expected one of {', '.join(JobState)}")
    found = filter_of(request)
    for name, value in (("since", found.since), ("until", found.until)):
        if request.query.get(name) is not None and value is None:
            raise BadQuery(f"{name}: expected a day as YYYY-MM-DD")
    return found


def _whole(request: PageRequest, name: str, default: int | None) -> int | None:
    if name not in request.query:
        return default
    number = request.number(name)
    if not number:
        raise BadQuery(f"{name}: expected a whole number above 0")
    return number


Handler = Callable[[PageRequest], Mapping[str, Any]]
_MOST_BODY_BYTES: Final = 16 * 1024


@dataclass(frozen=True)
class ApiEntry:
    """One row of the table of the API.

    Attributes:
        role: what the token's account needs.
        query: names of its parameters; a request with another one is refused, since a filter that is misspelt would
            give every job.
    """

    method: str
    path: str
    role: AccountRole
    handler: Handler
    query: tuple[str, ...] = ()

    def refuse_unknown(self, given: QueryParams) -> None:
        """Make sure that every parameter is known and given once.

        Raises:
            BadQuery: one is not.
        """
        for name, count in Counter(name for name, _ in given.multi_items()).items():
            if name not in self.query:
                expected = f"expected {', '.join(self.query)}" if self.query else "expected none"
                raise BadQuery(f"{name[:40]}: no such parameter, {expected}{did_you_mean(name, self.query)}")
            if count > 1:
                raise BadQuery(f"{name}: expected it once, got it {count} times")


_PAGING: Final = ("before", "limit")

ENTRIES: Final = (
    ApiEntry("GET", "/overview", AccountRole.VIEWER, _overview),
    ApiEntry(
        "GET", "/jobs", AccountRole.VIEWER, _jobs, ("state", "code", "scanner", "since", "until", "uid", *_PAGING)
    ),
    ApiEntry("GET", "/jobs/{job}", AccountRole.VIEWER, _job),
    ApiEntry("POST", "/jobs/{job}/review", AccountRole.OPERATOR, _decide),
    ApiEntry("GET", "/worklist", AccountRole.VIEWER, _worklist, _PAGING),
    ApiEntry("GET", "/reviews", AccountRole.VIEWER, _reviews, _PAGING),
    ApiEntry("GET", "/cohorts", AccountRole.VIEWER, _cohorts),
    ApiEntry("GET", "/cohorts/{cohort}", AccountRole.VIEWER, _cohort, ("state", "after", "limit")),
)


def api_routes(site: Site) -> list[Route]:
    """The routes, with the document that describes them."""

    async def document(_request: Request) -> Response:
        return JSONResponse(openapi_document())

    found = [Route(PREFIX + entry.path, _endpoint(site, entry), methods=[entry.method]) for entry in ENTRIES]
    return [*found, Route(f"{PREFIX}/openapi.json", document, methods=["GET"])]


def _endpoint(site: Site, entry: ApiEntry) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(http: Request) -> Response:
        person = await run_in_threadpool(_admitted, site, entry, http)
        if isinstance(person, Response):
            return person
        try:
            body = await _body(http)
        except ClientDisconnect:
            return Response(status_code=400)
        if body is None:
            return _problem(413, f"expected a body of at most {_MOST_BODY_BYTES} bytes")
        return await run_in_threadpool(_answer, site, entry, http, person, body)

    return endpoint


def _admitted(site: Site, entry: ApiEntry, http: Request) -> WebSession | Response:
    """Whose token it is, or why not: before anything of the body is read."""
    try:
        person = _holder(site, http.headers.get("authorization", ""))
    except DatabaseUnavailable:
        return _problem(503, _AWAY)
    if person is None:
        return _problem(
            401,
            "expected Authorization: Bearer TOKEN, see `wmh-node accounts token`; "
            "the token of an account of the identity provider counts again after a login there",
        )
    if not person.role.may(entry.role):
        return _problem(403, f"expected the token of an account of role {entry.role}, got a {person.role}'s")
    return person


async def _body(http: Request) -> bytes | None:
    """None: it is too large."""
    body = bytearray()
    async for chunk in http.stream():
        body += chunk
        if len(body) > _MOST_BODY_BYTES:
            return None
    return bytes(body)


def _answer(site: Site, entry: ApiEntry, http: Request, person: WebSession, body: bytes) -> Response:
    request = PageRequest(
        site=site,
        path=http.url.path,
        person=person,
        path_values={name: str(value) for name, value in http.path_params.items()},
        query=dict(http.query_params),
        body=body,
    )
    try:
        entry.refuse_unknown(http.query_params)
        return JSONResponse(_plain(entry.handler(request)))
    except Exception as error:
        return _failure(request, error)


# Status by error; the words are the error's own.
_STATUSES: Final[Mapping[type[Exception], int]] = {BadQuery: 400, UnknownRow: 404, IllegalTransition: 409}
_AWAY: Final = "the database does not answer just now"


def _failure(request: PageRequest, error: Exception) -> Response:
    if isinstance(error, DatabaseUnavailable):
        return _problem(503, _AWAY)
    if (status := _STATUSES.get(type(error))) is not None:
        return _problem(status, str(error))
    # Without the traceback's values, which may be a patient's.
    log.error("an API request failed", path=request.path, error=describe_error(error))
    return _problem(500, "this request failed; the reason is in the node's log")


def _holder(site: Site, header: str) -> WebSession | None:
    if header[: len(_BEARER)].lower() != _BEARER:
        return None
    return site.accounts.holder(digest_of(header[len(_BEARER) :].strip()), site.settings.web_oidc_token_days)


def _problem(status: int, detail: str) -> Response:
    """RFC 9457."""
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else None
    return JSONResponse({"status": status, "detail": detail}, status, headers, "application/problem+json")


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value.isoformat() if isinstance(value, datetime | date) else value


# The document

_TIME: Final = {"type": "string", "format": "date-time"}
_TEXT: Final = {"type": "string"}
_NUMBER: Final = {"type": "integer"}
_STATE: Final = {"type": "string", "enum": [str(state) for state in JobState]}
_REVIEW_STATE: Final = {"type": "string", "enum": [str(state) for state in ReviewState]}
_VERDICT: Final = {"type": "string", "enum": [str(verdict) for verdict in ReviewVerdict]}


def _or_null(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"oneOf": [dict(schema), {"type": "null"}]}


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": sorted(properties), "properties": properties}


def _list(of: Any) -> dict[str, Any]:
    return {"type": "array", "items": of}


_LINE_SCHEMA: Final = _object(
    id=_NUMBER, state=_STATE, code=_or_null(_TEXT), reason=_or_null(_TEXT), series_instance_uid=_TEXT,
    instance_count=_NUMBER, created_at=_TIME, updated_at=_TIME, ended_at=_or_null(_TIME), scanner=_or_null(_TEXT),
    measurements=_or_null({"type": "object"}), review=_or_null(_REVIEW_STATE),
)  # fmt: skip
_REVIEW_SCHEMA: Final = _object(
    id=_NUMBER, job_id=_NUMBER, at=_TIME, who=_TEXT, verdict=_VERDICT, reason=_or_null(_TEXT),
    sop_instance_uid=_or_null(_TEXT), sha256=_or_null(_TEXT), feedback_id=_or_null(_NUMBER), model=_or_null(_TEXT),
    model_digest=_or_null(_TEXT), scanner=_or_null(_TEXT),
)  # fmt: skip
_COUNT_SCHEMA: Final = _object(
    model=_TEXT, scanner=_TEXT, reviewed=_NUMBER, accepted=_NUMBER, rejected=_NUMBER, corrected=_NUMBER
)
_ACCEPTANCE_SCHEMA: Final = {
    "type": "object",
    "required": ["verdict"],
    "additionalProperties": False,
    "properties": {"verdict": {"const": str(ReviewVerdict.ACCEPTED)}, "reason": _or_null(_TEXT)},
}
_REJECTION_SCHEMA: Final = {
    "type": "object",
    "required": ["verdict", "reason"],
    "additionalProperties": False,
    "properties": {
        "verdict": {"const": str(ReviewVerdict.REJECTED)},
        # Some sign that is no space, by Python's notion of one.
        "reason": {"type": "string", "pattern": r"[^\s\u001c-\u001f\u0085]"},
    },
}
_DECISION_SCHEMA: Final = {"oneOf": [_ACCEPTANCE_SCHEMA, _REJECTION_SCHEMA]}
_JOB_SCHEMA: Final = _object(
    id=_NUMBER, state=_STATE, series_instance_uid=_TEXT, study_instance_uid=_or_null(_TEXT), instance_count=_NUMBER,
    attempts=_NUMBER, max_attempts=_NUMBER, created_at=_TIME, ended_at=_or_null(_TIME), code=_or_null(_TEXT),
    reason=_or_null(_TEXT), scanner=_or_null(_TEXT), standing=_list(_TEXT), measurements=_or_null({"type": "object"}),
    events=_list(_object(at=_TIME, what=_TEXT, detail=_TEXT)),
    deliveries=_list(_object(destination=_TEXT, state=_TEXT, attempts=_NUMBER)), review=_or_null(_REVIEW_STATE),
    reviews=_list(_REVIEW_SCHEMA),
)  # fmt: skip
_OVERVIEW_SCHEMA: Final = _object(
    at=_TIME, jobs={"type": "object", "additionalProperties": _NUMBER},
    deliveries=_list(_object(destination=_TEXT, state=_TEXT, count=_NUMBER)), waiting_series=_NUMBER,
    last_received_at=_or_null(_TIME), last_result_at=_or_null(_TIME),
)  # fmt: skip
_ITEM_STATE: Final = {"type": "string", "enum": [str(state) for state in ItemState]}
_COHORT_FACTS: Final = {
    "id": _NUMBER, "name": _TEXT, "from": _TEXT, "way": {"type": "string", "enum": [str(way) for way in Way]},
    "state": {"type": "string", "enum": [str(state) for state in CohortState]}, "per_hour": _or_null(_NUMBER),
    "hours": _or_null(_TEXT), "created_at": _TIME, "created_by": _TEXT, **{str(state): _NUMBER for state in ItemState},
}  # fmt: skip
_COHORT_SCHEMA: Final = _object(
    **_COHORT_FACTS,
    studies=_list(
        _object(
            row=_NUMBER, state=_ITEM_STATE, attempts=_NUMBER, study_instance_uid=_or_null(_TEXT),
            instances_expected=_or_null(_NUMBER), reason=_or_null(_TEXT),
        )
    ),
    after=_or_null(_NUMBER),
)  # fmt: skip
_PROBLEM_SCHEMA: Final = _object(status=_NUMBER, detail=_TEXT)
_DAY: Final = {"type": "string", "format": "date"}
_POSITIVE: Final = {"type": "integer", "minimum": 1, "maximum": 10**11 - 1}


def openapi_document() -> dict[str, Any]:
    """OpenAPI 3.1 of what is served here."""
    job_query = [
        _parameter("state", "query", _STATE, "jobs in this state"),
        _parameter("code", "query", _TEXT, "jobs with this reason code"),
        _parameter("scanner", "query", _TEXT, "jobs whose series this AE title sent"),
        _parameter("since", "query", _DAY, "made on this day (UTC) or later"),
        _parameter("until", "query", _DAY, "made on this day (UTC) or earlier"),
        _parameter("uid", "query", _TEXT, "of this series or study"),
        _parameter("before", "query", _POSITIVE, "jobs with smaller numbers; `before` of the page above"),
        _parameter("limit", "query", _POSITIVE, f"jobs at most, {_LINES} by default, never more than {MOST_LINES}"),
    ]
    page = _object(jobs=_list(_LINE_SCHEMA), before=_or_null(_NUMBER))
    reviews = _object(reviews=_list(_REVIEW_SCHEMA), before=_or_null(_NUMBER), counts=_list(_COUNT_SCHEMA))
    paging = job_query[-2:]
    of_job = {**_parameter("job", "path", _POSITIVE, "number of the job"), "required": True}
    of_cohort = {**_parameter("cohort", "path", _POSITIVE, "number of the cohort"), "required": True}
    of_rows = [
        of_cohort,
        _parameter("state", "query", _ITEM_STATE, "rows in this state"),
        _parameter("after", "query", _POSITIVE, "rows behind this one; `after` of the page before"),
        _parameter("limit", "query", _POSITIVE, f"rows at most, {_LINES} by default, never more than {MOST_LINES}"),
    ]
    return {
        "openapi": "3.1.0",
        "info": {"title": "wmh-node", "version": SOFTWARE_VERSION, "description": "Research use only."},
        "servers": [{"url": PREFIX}],
        "components": {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
        "security": [{"token": []}],
        "paths": {
            "/overview": {"get": _operation("overview", "Counts of jobs and deliveries.", _OVERVIEW_SCHEMA)},
            "/jobs": {"get": _operation("jobs", "Jobs, newest first.", page, job_query)},
            "/jobs/{job}": {
                "get": _operation(
                    "job", "One job with its timeline and deliveries.", _JOB_SCHEMA,
                    [of_job], missing="job",
                )
            },
            "/jobs/{job}/review": {"post": _decision(of_job)},
            "/worklist": {
                "get": _operation("worklist", "Results that wait for a review, newest first.", page, paging)
            },
            "/reviews": {
                "get": _operation(
                    "reviews", "What readers said, newest first, and counts by model and scanner.", reviews, paging,
                )
            },
            "/cohorts": {
                "get": _operation(
                    "cohorts", "Cohorts, oldest first.", _object(cohorts=_list(_object(**_COHORT_FACTS)))
                )
            },
            "/cohorts/{cohort}": {
                "get": _operation(
                    "cohort", "One cohort with the rows of its list.", _COHORT_SCHEMA, of_rows, missing="cohort",
                )
            },
        },
    }  # fmt: skip


def _decision(of_job: Mapping[str, Any]) -> dict[str, Any]:
    """A reader's verdict; needs the token of an operator."""
    words = "Accept or reject the result of a job; a later verdict replaces an earlier one."
    found = _operation("review", words, _REVIEW_SCHEMA, [of_job], missing="job")
    problem = {"content": {"application/problem+json": {"schema": _PROBLEM_SCHEMA}}}
    found["responses"] |= {
        "403": {"description": "the token's account has a lower role than operator", **problem},
        "409": {"description": "the job has no result that can be reviewed", **problem},
        "413": {"description": "the body is too large", **problem},
    }
    found["requestBody"] = {"required": True, "content": {"application/json": {"schema": _DECISION_SCHEMA}}}
    return found


def _parameter(name: str, where: str, schema: Any, words: str) -> dict[str, Any]:
    return {"name": name, "in": where, "schema": schema, "description": words}


def _operation(name: str, words: str, schema: Any, parameters: Any = (), *, missing: str = "") -> dict[str, Any]:
    problem = {"content": {"application/problem+json": {"schema": _PROBLEM_SCHEMA}}}
    answers: dict[str, Any] = {
        "200": {"description": words, "content": {"application/json": {"schema": schema}}},
        "400": {"description": "a parameter is unknown, or not as described", **problem},
        "401": {"description": "no valid token", **problem},
        "503": {"description": "the database does not answer just now", **problem},
    }
    if missing:
        answers["404"] = {"description": f"there is no such {missing}", **problem}
    return {"operationId": name, "summary": words, "parameters": list(parameters), "responses": answers}
