"""What people did: who, when, what."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from db.browse import audit_page
from dicom_node.web.answers import page
from dicom_node.web.page_request import PageRequest

_LINES: Final = 100


def show(request: PageRequest) -> Response:
    """`GET /audit?before=`."""
    found = audit_page(request.site.database, _LINES, request.number("before"))
    return page(
        request,
        "audit.html",
        entries=[entry for _, entry in found],
        older=found[-1][0] if len(found) == _LINES else None,
    )
