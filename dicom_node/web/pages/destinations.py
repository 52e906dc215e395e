"""Destinations: how deliveries to each stand, and a test call."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.responses import Response

from db.audit import record_action
from db.browse import destination_figures
from db.errors import UnknownRow
from dicom_node.web.answers import page
from dicom_node.web.page_request import PageRequest


def show(request: PageRequest) -> Response:
    """`GET /destinations`."""
    return _shown(request, None, ())


def test(request: PageRequest) -> Response:
    """`POST /destinations/{name}/test`: call it now, and show what it answers."""
    name = request.path_values["name"]
    destination = request.site.settings.destination(name)
    if destination is None:
        raise UnknownRow(f"the settings name no destination {name}")
    said = request.site.test_destination(destination)
    with request.site.database.write() as connection:
        record_action(connection, request.site.database.clock(), request.who, "test destination", None, name)
    return _shown(request, name, said)


def _shown(request: PageRequest, tested: str | None, said: Sequence[str]) -> Response:
    found = [
        (destination, destination_figures(request.site.database, destination.name))
        for destination in request.site.settings.destinations
    ]
    return page(request, "destinations.html", destinations=found, tested=tested, said=said)
