"""The settings as the node reads them, with the source of each; nothing can be changed here."""

from __future__ import annotations

import json
from typing import Any

from starlette.responses import Response

from dicom_node.node.settings import ENVIRONMENT_PREFIX, redacted
from dicom_node.web.answers import page
from dicom_node.web.visit import Visit


def show(visit: Visit) -> Response:
    """`GET /settings`."""
    rows = [
        (ENVIRONMENT_PREFIX + name.upper(), _text(value), visit.site.sources.get(name, "default"))
        for name, value in redacted(visit.site.settings).items()
    ]
    return page(visit, "settings.html", rows=rows)


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
