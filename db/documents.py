"""JSON documents, as both databases take them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from db.errors import InvalidMeasurements


def require_json(what: str, document: Mapping[str, Any]) -> None:
    """PostgreSQL refuses what SQLite would take: refuse it on both.

    Raises:
        InvalidMeasurements: it holds what JSON does not know, such as NaN or a date.
    """
    try:
        json.dumps(dict(document), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InvalidMeasurements(f"{what} cannot be stored: expected values that JSON knows, came: {error}") from error
