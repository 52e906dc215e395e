"""Which queued job comes first: by priority, with ageing.

A job's place in the queue is a time: when it became due, moved by its priority. So the index on the place answers a
claim, nothing is ever sorted or raised later, and waiting counts: a low job comes before every medium one that became
due 12 hours after it. No priority can starve another.

| priority | moved by | that is                                                              |
|----------|----------|----------------------------------------------------------------------|
| high     | -24 h    | before every medium job that has waited for less than a day          |
| medium   | 0        | in the order in which jobs became due                                |
| low      | +12 h    | research of an evening is analysed next morning, whatever else comes |

The words are those of the C-STORE-RQ's Priority, (0000,0700), PS3.7 table E.1-1.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, case, literal_column

from db.records import Priority

MOVED_BY: Final[Mapping[Priority, timedelta]] = {
    Priority.HIGH: timedelta(hours=-24),
    Priority.MEDIUM: timedelta(0),
    Priority.LOW: timedelta(hours=12),
}
_ORDER: Final = (Priority.LOW, Priority.MEDIUM, Priority.HIGH)


def place_of(priority: Priority, not_before: datetime) -> datetime:
    """Where in the queue a job stands that is due at `not_before`."""
    return not_before + MOVED_BY[priority]


def highest(*given: Priority) -> Priority:
    """The highest of one or more."""
    return max(given, key=_ORDER.index)


def highest_column(one: Any, other: Any) -> ColumnElement[str]:
    """The same of two columns."""
    words: list[ColumnElement[str]] = [literal_column(f"'{priority.value}'") for priority in reversed(_ORDER)]
    return case(*(((one == word) | (other == word), word) for word in words[:-1]), else_=words[-1])
