"""Database URLs: which ones are accepted, and how they may be shown."""

from __future__ import annotations

from typing import Final

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from db.errors import InvalidDatabaseUrl

_EXPECTED: Final = "expected sqlite:////absolute/path.sqlite or postgresql://USER:PASSWORD@HOST/NAME"
_POSTGRESQL: Final = frozenset({"postgres", "postgresql", "postgresql+psycopg"})


def parse_url(text: str) -> URL:
    """A URL that we can open; `postgresql://` means the psycopg driver.

    Raises:
        InvalidDatabaseUrl: not a URL, another kind of database, or SQLite in memory (processes could not share it).
    """
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        # `from None`: the parser's own message quotes the text, password and all.
        raise InvalidDatabaseUrl(f"the database URL cannot be read; {_EXPECTED}") from None
    if url.drivername in _POSTGRESQL:
        return url.set(drivername="postgresql+psycopg")
    if url.drivername not in {"sqlite", "sqlite+pysqlite"}:
        raise InvalidDatabaseUrl(f"the database {url.drivername!r} is not supported; {_EXPECTED}")
    # SQLite's own URIs (`file:x?mode=memory`) are another way to say so; a plain path says all that we need.
    if not url.database or url.database == ":memory:" or "mode" in url.query or url.database.startswith("file:"):
        raise InvalidDatabaseUrl(
            f"SQLite in memory, or by a URI of its own, cannot be shared between the node's processes; {_EXPECTED}"
        )
    return url


def shown(url: URL) -> str:
    """The URL with its password replaced by `***`."""
    return url.render_as_string(hide_password=True)
