"""Answers in HTML: a template with what every page shows around it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader
from starlette.responses import HTMLResponse, RedirectResponse, Response

from db.measured import usable_part
from db.records import AccountRole
from dicom_node.node.job_words import shown_time
from dicom_node.web.page_request import PageRequest

TEMPLATES: Final = Path(__file__).with_name("templates")

# Path, name, the role that sees it.
_MENU: Final = (
    ("/", "Start", AccountRole.VIEWER),
    ("/jobs", "Jobs", AccountRole.VIEWER),
    ("/series", "Series", AccountRole.VIEWER),
    ("/review", "Review", AccountRole.VIEWER),
    ("/cohorts", "Cohorts", AccountRole.VIEWER),
    ("/models", "Models", AccountRole.VIEWER),
    ("/destinations", "Destinations", AccountRole.VIEWER),
    ("/settings", "Settings", AccountRole.ADMIN),
    ("/audit", "Audit", AccountRole.ADMIN),
)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.filters["time"] = lambda at: "" if at is None else shown_time(at)
    environment.filters["ml"] = lambda value: "" if value is None else f"{value:.1f}"
    environment.filters["usable"] = usable_part
    environment.filters["duration"] = duration
    environment.filters["shell_word"] = shlex.quote
    return environment


def page(request: PageRequest, template: str, status: int = 200, **values: Any) -> Response:
    """A whole page.

    Args:
        template: name of its file.
        values: what it shows; every text is escaped.
    """
    around = {
        "menu": [(path, name) for path, name, role in _MENU if request.may(role)],
        "here": "/" + request.path.strip("/").split("/")[0],
        "person": request.person,
        "token": request.form_token,
        "theme": request.theme,
        "path": request.path,
        "may_act": request.may(AccountRole.OPERATOR),
        "is_admin": request.may(AccountRole.ADMIN),
        "provider": request.site.provider,
        "node": request.site.settings.ae_title,
        "now": request.site.database.clock(),
    }
    return HTMLResponse(_environment().get_template(template).render({**around, **values}), status)


def refusal(request: PageRequest, status: int, sentence: str) -> Response:
    """A page that says why not."""
    return page(request, "refusal.html", status, sentence=sentence)


def to(path: str) -> Response:
    """Go there by GET, after a form. The path is one of ours, never one that was sent."""
    return RedirectResponse(path, 303)


def duration(seconds: float | None) -> str:
    """`38 s`, `4 min`, `3 h`, `2 d`; a dash for None."""
    if seconds is None:
        return "–"
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"


def since(at: datetime | None, now: datetime) -> float | None:
    """Seconds between."""
    return None if at is None else (now - at).total_seconds()


def plain_mapping(value: Any) -> Mapping[str, Any]:
    """A JSON object of the database; an empty one where something else is stored."""
    return value if isinstance(value, Mapping) else {}
