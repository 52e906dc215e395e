"""A database on a clock that tests move."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from support.clock import ManualClock
from support.databases import with_schema

from db.engine import Database, open_database


@pytest.fixture
def clock() -> ManualClock:
    """The time of the database's rows; it moves when the test says so."""
    return ManualClock()


@pytest.fixture
def database(tmp_path: Path, clock: ManualClock) -> Iterator[Database]:
    """An open SQLite database with the current schema and no rows."""
    with closing(open_database(with_schema(f"sqlite:///{tmp_path / 'node.sqlite'}"), clock)) as opened:
        yield opened
