"""Templates to HTML: everything is escaped, nothing is fetched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from training.report import words

_TEMPLATES = Path(__file__).parent / "templates"


def render(template: str, **values: Any) -> str:
    """Fill one of the room's templates.

    Args:
        template: its file name.
        values: what it names; a name that is missing is an error, never an empty place.
    """
    return _environment().get_template(template).render(**values)


def _environment() -> Environment:
    # Autoescape for every template, whatever its name ends in: case names come from folder names.
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["capitalize_first"] = _capitalize_first
    environment.globals.update(
        number=words.number,
        with_interval=words.with_interval,
        interval=words.interval,
        p_value=words.p_value,
        paper_number=words.paper_number,
        sentences=words.sentences,
        group_words=words.group_words,
        plural=words.plural,
        dash=words.UNDEFINED,
    )
    return environment


def _capitalize_first(text: str) -> str:
    """First letter large (a symbol such as r excepted), the rest as it is, without the full stop that the page sets."""
    return words.capital(text).rstrip(".")
