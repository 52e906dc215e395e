"""Values from outside, such as an exception's text or a JSON document, checked for both databases."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from db.errors import InvalidMeasurements

_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def storable(text: str) -> str:
    """The text without what PostgreSQL's text or UTF-8 cannot hold: NUL and lone surrogates become U+FFFD.

    A reason that cannot be stored would leave its job without an end.
    """
    return text.replace("\x00", _REPLACEMENT).encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def require_json(what: str, document: Mapping[str, Any]) -> None:
    """PostgreSQL refuses some values that SQLite accepts: refuse them on both.

    Raises:
        InvalidMeasurements: it holds a value that JSON lacks, such as NaN or a date.
    """
    try:
        json.dumps(dict(document), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InvalidMeasurements(f"{what} cannot be stored: expected JSON values, got: {error}") from error
