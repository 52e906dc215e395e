"""What people did: who, when, what."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from db.browse import audit_page
from dicom_node.web.answers import page
from dicom_node.web.visit import Visit

_LINES: Final = 100


def show(visit: Visit) -> Response:
    """`GET /audit?before=`."""
    found = audit_page(visit.site.database, _LINES, visit.number("before"))
    return page(
        visit,
        "audit.html",
        entries=[entry for _, entry in found],
        older=found[-1][0] if len(found) == _LINES else None,
    )
