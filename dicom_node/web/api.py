"""`/api/v1`: what the page shows of jobs, as JSON for scripts. Each request brings a token (RFC 6750).

Only reading: whoever acts is a person with a session, or the command line. Without cookies no other site can use it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from datetime import date, datetime, timedelta
from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from db.browse import JobFilter, list_jobs, scanner_of
from db.errors import DatabaseUnavailable, UnknownRow
from db.overview import overview
from db.records import JobState, WebSession
from dicom_node.node.job_words import job_standing, plain
from dicom_node.node.logger import get_logger
from dicom_node.node.logs import describe_error
from dicom_node.node.version import SOFTWARE_VERSION
from dicom_node.web.pages.job import job_of
from dicom_node.web.pages.job_list import filter_of
from dicom_node.web.people.secrets import digest_of
from dicom_node.web.site import Site
from dicom_node.web.visit import Visit

log = get_logger()

PREFIX: Final = "/api/v1"
MOST_LINES: Final = 200
_LINES: Final = 50
_BEARER: Final = "bearer "


class BadQuery(Exception):
    """A parameter is not what the document says."""


def _overview(visit: Visit) -> Mapping[str, Any]:
    database = visit.site.database
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


def _jobs(visit: Visit) -> Mapping[str, Any]:
    wanted = _checked_filter(visit)
    limit = _whole(visit, "limit", _LINES)
    before = _whole(visit, "before", None)
    found = list_jobs(visit.site.database, wanted, min(limit or _LINES, MOST_LINES), before=before)
    is_full = len(found.lines) == min(limit or _LINES, MOST_LINES)
    return {"jobs": [asdict(line) for line in found.lines], "before": found.older if is_full else None}


def _job(visit: Visit) -> Mapping[str, Any]:
    job = job_of(visit)
    deliveries = visit.site.deliveries.list(job.id)
    return {
        **plain(job),
        "scanner": scanner_of(visit.site.database, job.series_instance_uid),
        "standing": job_standing(job, deliveries, visit.site.database.clock()),
        "events": [plain(event) for event in visit.site.jobs.events(job.id)],
        "deliveries": [plain(delivery) for delivery in deliveries],
    }


def _checked_filter(visit: Visit) -> JobFilter:
    state = visit.query.get("state")
    if state is not None and state not in list(JobState):
        raise BadQuery(f"state: expected one of {', '.join(JobState)}")
    found = filter_of(visit)
    for name, value in (("since", found.since), ("until", found.until)):
        if visit.query.get(name) is not None and value is None:
            raise BadQuery(f"{name}: expected a day as YYYY-MM-DD")
    return found


def _whole(visit: Visit, name: str, default: int | None) -> int | None:
    if name not in visit.query:
        return default
    number = visit.number(name)
    if not number:
        raise BadQuery(f"{name}: expected a whole number above 0")
    return number


Handler = Callable[[Visit], Mapping[str, Any]]
_HANDLERS: Final[Mapping[str, Handler]] = {"/overview": _overview, "/jobs": _jobs, "/jobs/{job}": _job}


def api_routes(site: Site) -> list[Route]:
    """The routes, with the document that describes them."""

    async def document(_request: Request) -> Response:
        return JSONResponse(openapi_document())

    found = [Route(PREFIX + path, _endpoint(site, handler), methods=["GET"]) for path, handler in _HANDLERS.items()]
    return [*found, Route(f"{PREFIX}/openapi.json", document, methods=["GET"])]


def _endpoint(site: Site, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        return await run_in_threadpool(_answer, site, handler, request)

    return endpoint


def _answer(site: Site, handler: Handler, request: Request) -> Response:
    try:
        person = _holder(site, request.headers.get("authorization", ""))
        if person is None:
            return _problem(401, "expected Authorization: Bearer TOKEN, see `wmh-node accounts token`")
        visit = Visit(
            site=site,
            path=request.url.path,
            person=person,
            path_values={name: str(value) for name, value in request.path_params.items()},
            query=dict(request.query_params),
        )
        return JSONResponse(_plain(handler(visit)))
    except BadQuery as error:
        return _problem(400, str(error))
    except UnknownRow as error:
        return _problem(404, str(error))
    except DatabaseUnavailable:
        return _problem(503, "the database does not answer just now")
    except Exception as error:
        # Without the traceback's values, which may be a patient's.
        log.error("an API request failed", path=request.url.path, error=describe_error(error))  # noqa: TRY400
        return _problem(500, "this request failed; the reason is in the node's log")


def _holder(site: Site, header: str) -> WebSession | None:
    if header[: len(_BEARER)].lower() != _BEARER:
        return None
    return site.accounts.holder(digest_of(header[len(_BEARER) :].strip()))


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


def _or_null(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"oneOf": [dict(schema), {"type": "null"}]}


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": sorted(properties), "properties": properties}


def _list(of: Any) -> dict[str, Any]:
    return {"type": "array", "items": of}


_LINE_SCHEMA: Final = _object(
    id=_NUMBER, state=_STATE, code=_or_null(_TEXT), reason=_or_null(_TEXT), series_instance_uid=_TEXT,
    instance_count=_NUMBER, created_at=_TIME, updated_at=_TIME, ended_at=_or_null(_TIME), scanner=_or_null(_TEXT),
    measurements=_or_null({"type": "object"}),
)  # fmt: skip
_JOB_SCHEMA: Final = _object(
    id=_NUMBER, state=_STATE, series_instance_uid=_TEXT, study_instance_uid=_or_null(_TEXT), instance_count=_NUMBER,
    attempts=_NUMBER, max_attempts=_NUMBER, created_at=_TIME, ended_at=_or_null(_TIME), code=_or_null(_TEXT),
    reason=_or_null(_TEXT), scanner=_or_null(_TEXT), standing=_list(_TEXT), measurements=_or_null({"type": "object"}),
    events=_list(_object(at=_TIME, what=_TEXT, detail=_TEXT)),
    deliveries=_list(_object(destination=_TEXT, state=_TEXT, attempts=_NUMBER)),
)  # fmt: skip
_OVERVIEW_SCHEMA: Final = _object(
    at=_TIME, jobs={"type": "object", "additionalProperties": _NUMBER},
    deliveries=_list(_object(destination=_TEXT, state=_TEXT, count=_NUMBER)), waiting_series=_NUMBER,
    last_received_at=_or_null(_TIME), last_result_at=_or_null(_TIME),
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
    return {
        "openapi": "3.1.0",
        "info": {"title": "wmh-node", "version": SOFTWARE_VERSION, "description": "Research use only."},
        "servers": [{"url": PREFIX}],
        "components": {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
        "security": [{"token": []}],
        "paths": {
            "/overview": {"get": _operation("overview", "Counts of jobs and deliveries.", _OVERVIEW_SCHEMA)},
            "/jobs": {"get": _operation("jobs", "Jobs, newest first.", page, job_query, bad=True)},
            "/jobs/{job}": {
                "get": _operation(
                    "job", "One job with its timeline and deliveries.", _JOB_SCHEMA,
                    [{**_parameter("job", "path", _POSITIVE, "number of the job"), "required": True}], missing=True,
                )
            },
        },
    }  # fmt: skip


def _parameter(name: str, where: str, schema: Any, words: str) -> dict[str, Any]:
    return {"name": name, "in": where, "schema": schema, "description": words}


def _operation(
    name: str, words: str, schema: Any, parameters: Any = (), *, bad: bool = False, missing: bool = False
) -> dict[str, Any]:
    problem = {"content": {"application/problem+json": {"schema": _PROBLEM_SCHEMA}}}
    answers: dict[str, Any] = {
        "200": {"description": words, "content": {"application/json": {"schema": schema}}},
        "401": {"description": "no valid token", **problem},
    }
    if bad:
        answers["400"] = {"description": "a parameter is not as described", **problem}
    if missing:
        answers["404"] = {"description": "there is no such job", **problem}
    return {"operationId": name, "summary": words, "parameters": list(parameters), "responses": answers}
