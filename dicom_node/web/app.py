"""The application: one table of pages, and what stands around it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from db.records import AccountRole
from dicom_node.web.answers import refusal
from dicom_node.web.api import api_routes
from dicom_node.web.events import event_stream
from dicom_node.web.guard import Entry, Headers, guarded
from dicom_node.web.page_request import PageRequest
from dicom_node.web.pages import (
    audit,
    cohorts,
    destinations,
    entry,
    job,
    job_list,
    models,
    provider_login,
    review,
    series_list,
    settings,
    slices,
    start,
)
from dicom_node.web.people.identity_provider import BACK
from dicom_node.web.site import Site

STATIC: Final = Path(__file__).with_name("static")
_VIEWER, _OPERATOR, _ADMIN = AccountRole.VIEWER, AccountRole.OPERATOR, AccountRole.ADMIN

ENTRIES: Final = (
    Entry("GET", "/login", None, entry.show_login),
    Entry("POST", "/login", None, entry.log_in),
    Entry("GET", "/login/provider", None, provider_login.begin),
    Entry("GET", BACK, None, provider_login.finish),
    Entry("GET", "/first", None, entry.show_first),
    Entry("POST", "/first", None, entry.make_first),
    Entry("POST", "/theme", None, entry.choose_theme),
    Entry("POST", "/logout", _VIEWER, entry.log_out),
    Entry("GET", "/", _VIEWER, start.show),
    Entry("GET", "/jobs", _VIEWER, job_list.show),
    Entry("GET", "/jobs/{job}", _VIEWER, job.show),
    Entry("POST", "/jobs/{job}/retry", _OPERATOR, job.retry),
    Entry("POST", "/jobs/{job}/cancel", _OPERATOR, job.cancel),
    Entry("POST", "/jobs/{job}/acknowledge", _OPERATOR, job.acknowledge),
    Entry("POST", "/jobs/{job}/withdraw", _OPERATOR, job.withdraw),
    Entry("POST", "/jobs/{job}/prioritise", _OPERATOR, job.prioritise),
    Entry("POST", "/jobs/{job}/hold", _OPERATOR, job.hold),
    Entry("POST", "/jobs/{job}/release", _OPERATOR, job.release),
    Entry("POST", "/jobs/{job}/accept", _OPERATOR, review.accept),
    Entry("POST", "/jobs/{job}/reject", _OPERATOR, review.reject),
    Entry("POST", "/jobs/{job}/correct", _OPERATOR, review.correct, takes_file=True),
    Entry("POST", "/jobs/{job}/patient", _OPERATOR, job.show_patient),
    Entry("GET", "/jobs/{job}/slices", _VIEWER, slices.show),
    Entry("GET", "/jobs/{job}/slices/{slice}.png", _VIEWER, slices.slice_png),
    Entry("GET", "/jobs/{job}/pages/{page}.png", _VIEWER, slices.page_png),
    Entry("GET", "/series", _VIEWER, series_list.show),
    Entry("GET", "/review", _VIEWER, review.show),
    Entry("GET", "/cohorts", _VIEWER, cohorts.show),
    Entry("GET", "/cohorts/{cohort}", _VIEWER, cohorts.show_one),
    Entry("POST", "/cohorts/{cohort}/pause", _OPERATOR, cohorts.pause),
    Entry("POST", "/cohorts/{cohort}/resume", _OPERATOR, cohorts.resume),
    Entry("GET", "/models", _VIEWER, models.show),
    Entry("GET", "/models/shipped", _VIEWER, models.show_shipped),
    Entry("GET", "/models/{digest}", _VIEWER, models.show_one),
    Entry("POST", "/models/rollback", _ADMIN, models.roll_back),
    Entry("POST", "/models/{digest}/promote", _ADMIN, models.promote),
    Entry("GET", "/destinations", _VIEWER, destinations.show),
    Entry("POST", "/destinations/{name}/test", _OPERATOR, destinations.test),
    Entry("GET", "/settings", _ADMIN, settings.show),
    Entry("GET", "/audit", _ADMIN, audit.show),
)


def build_app(site: Site) -> Starlette:
    """The page as an ASGI application."""
    routes = [Route(entry.path, guarded(site, entry), methods=[entry.method]) for entry in ENTRIES]

    async def events(http: Request) -> Response:
        return await event_stream(site, http)

    async def unknown(http: Request, _error: Exception) -> Response:
        return refusal(PageRequest(site, http.url.path), 404, "There is no such page.")

    return Starlette(
        routes=[*routes, *api_routes(site), Route("/events", events), Mount("/static", StaticFiles(directory=STATIC))],
        middleware=[Middleware(Headers, site=site)],
        exception_handlers={404: unknown},
    )
