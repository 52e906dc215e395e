"""Destinations: how deliveries to each stand, and a test call."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.responses import Response

from db.audit import record_action
from db.browse import destination_figures
from db.errors import UnknownRow
from dicom_node.web.answers import page
from dicom_node.web.visit import Visit


def show(visit: Visit) -> Response:
    """`GET /destinations`."""
    return _shown(visit, None, ())


def test(visit: Visit) -> Response:
    """`POST /destinations/{name}/test`: call it now, and show what it answers."""
    name = visit.path_values["name"]
    destination = visit.site.settings.destination(name)
    if destination is None:
        raise UnknownRow(f"the settings name no destination {name}")
    said = visit.site.test_destination(destination)
    with visit.site.database.write() as connection:
        record_action(connection, visit.site.database.clock(), visit.who, "test destination", None, name)
    return _shown(visit, name, said)


def _shown(visit: Visit, tested: str | None, said: Sequence[str]) -> Response:
    found = [
        (destination, destination_figures(visit.site.database, destination.name))
        for destination in visit.site.settings.destinations
    ]
    return page(visit, "destinations.html", destinations=found, tested=tested, said=said)
