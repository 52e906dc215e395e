"""Every contract test runs on SQLite and on a real PostgreSQL server."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from support.clock import ManualClock
from support.databases import PostgresServer, postgres_server, sqlite_url

from db.engine import Database, open_database
from db.engine.migrate import upgrade
from db.schema import metadata


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server of this test session."""
    with postgres_server() as server:
        yield server


@pytest.fixture(scope="session")
def postgres_migrated(postgres: PostgresServer) -> str:
    """URL of a database with the current schema."""
    url = postgres.new_database()
    upgrade(url)
    return url


@pytest.fixture
def postgres_url(postgres_migrated: str) -> str:
    """The same, without rows: emptied, since making a database for each test takes seconds on a busy disk."""
    with closing(open_database(postgres_migrated)) as database, database.write() as connection:
        names = ", ".join(table.name for table in metadata.sorted_tables)
        connection.exec_driver_sql(f"TRUNCATE {names} RESTART IDENTITY")
    return postgres_migrated


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with the current schema, to copy."""
    url = sqlite_url(tmp_path_factory.mktemp("template"))
    upgrade(url)
    return Path(url.removeprefix("sqlite:///"))


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of a database without tables."""
    if request.param == "sqlite":
        return sqlite_url(tmp_path)
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.new_database()


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of a database with the current schema and no rows."""
    if request.param == "sqlite":
        copy = sqlite_url(tmp_path)
        shutil.copyfile(request.getfixturevalue("sqlite_template"), copy.removeprefix("sqlite:///"))
        return copy
    emptied: str = request.getfixturevalue("postgres_url")
    return emptied


@pytest.fixture
def clock() -> ManualClock:
    """The time of the database's rows."""
    return ManualClock()


@pytest.fixture
def database(url: str, clock: ManualClock) -> Iterator[Database]:
    """An open database on the manual clock."""
    with closing(open_database(url, clock)) as opened:
        yield opened
