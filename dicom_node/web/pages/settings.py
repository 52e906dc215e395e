"""The settings as the node reads them, with the source of each; nothing can be changed here."""

from __future__ import annotations

from starlette.responses import Response

from dicom_node.node.settings import ENVIRONMENT_PREFIX, texts_of
from dicom_node.web.answers import page
from dicom_node.web.page_request import PageRequest


def show(request: PageRequest) -> Response:
    """`GET /settings`."""
    rows = [
        (ENVIRONMENT_PREFIX + name.upper(), value, request.site.sources.get(name, "default"))
        for name, value in texts_of(request.site.settings).items()
    ]
    return page(request, "settings.html", rows=rows)
