"""Database URLs."""

from __future__ import annotations

import pytest

from db.engine import open_database
from db.engine.url import parse_url, shown
from db.errors import DatabaseUnavailable, InvalidDatabaseUrl
from db.jobs import JobTable


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_postgresql(scheme: str) -> None:
    """Every usual spelling of a PostgreSQL URL means psycopg."""
    assert parse_url(f"{scheme}://node:s3cret@db/wmh").drivername == "postgresql+psycopg"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        "sqlite://",
        "sqlite:///:memory:",
        "mysql://node:s3cret@db/wmh",
        "postgresql://a:s3cret@b:x/",
        "sqlite:///file:x?mode=memory&uri=true",
        "sqlite:///file:x?uri=true",
        "sqlite:////x.sqlite?mode=ro",
    ],
)
def test_refused(text: str) -> None:
    """What cannot serve is refused with what is expected, and without the password."""
    with pytest.raises(InvalidDatabaseUrl, match="expected sqlite:////") as raised:
        parse_url(text)
    assert "s3cret" not in str(raised.value)


def test_password_is_never_shown() -> None:
    """Neither the shown URL, nor repr of the database, nor the error of a failed connection holds the password."""
    url = "postgresql://node:s3cret@127.0.0.1:1/wmh"
    assert shown(parse_url(url)) == "postgresql+psycopg://node:***@127.0.0.1:1/wmh"
    database = open_database(url)
    assert "s3cret" not in repr(database)
    with pytest.raises(DatabaseUnavailable, match="check that the server is running") as raised:
        JobTable(database).list()
    error: BaseException | None = raised.value
    while error is not None:
        assert "s3cret" not in str(error)
        error = error.__cause__
