"""Query plans: what runs often goes by an index of open work, not of a hospital's history."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection
from sqlalchemy.dialects import postgresql, sqlite
from support.clock import ManualClock
from support.databases import PostgresServer, sqlite_url
from support.history import fill, scan_after

from db.claimable import EXPIRED, QUEUED, SHARED
from db.deliveries import claim_query
from db.engine import Database, open_database
from db.engine.migrate import upgrade
from db.feedback import analysed_query, due_query, first_job_query
from db.inbox import OPEN_SERIES
from db.jobs import RESENT, SENT_AGAIN, list_query
from db.proofs import unproven_query
from db.records import JobState
from db.reviews import worklist_query
from db.scans import earlier_query

ROWS = 20_000
NOW = ManualClock()()
LATER = {"now": NOW + timedelta(days=1)}
# The query, its parameters, the index that answers it (of one of these names).
QUERIES: dict[str, tuple[Callable[[], Any], dict[str, Any], str]] = {
    "leases that ran out": (lambda: EXPIRED, LATER, "ix_jobs_running"),
    "queue": (lambda: QUEUED, LATER, "ix_jobs_queued"),
    "leases that ran out, for other machines": (lambda: SHARED[0], LATER, "ix_jobs_running"),
    # Where nothing is shared yet, PostgreSQL expects so few rows that it takes the other index of open work and sorts.
    "queue for other machines": (lambda: SHARED[1], LATER, "ix_jobs_queued|ix_jobs_not_done"),
    "deliveries": (lambda: claim_query(NOW, ()), {}, "ix_deliveries_pending"),
    "deliveries, some left alone": (lambda: claim_query(NOW, ("pacs",)), {}, "ix_deliveries_pending"),
    "deliveries to prove": (lambda: unproven_query(NOW, ()), {}, "ix_deliveries_unproven"),
    "open series": (lambda: OPEN_SERIES, {}, "ix_series_open"),
    "series sent again": (lambda: RESENT, {}, "ix_series_resent"),
    "failed jobs sent again": (lambda: SENT_AGAIN, {"uids": ["1.2.7", "1.2.9"]}, "uq_jobs|autoindex_jobs"),
    "failed jobs": (lambda: list_query([JobState.FAILED], 50), {}, "ix_jobs_not_done"),
    "rejected and failed": (lambda: list_query([JobState.REJECTED, JobState.FAILED], 50), {}, "ix_jobs_not_done"),
    "earlier scans": (lambda: earlier_query(scan_after(10)), {}, "ix_scans_patient"),
    "feedback that is due": (lambda: due_query(NOW, 1), {}, "ix_feedback_waiting"),
    "results to review": (lambda: worklist_query(50, None), {}, "ix_jobs_review"),
    "analysed series of a study": (lambda: analysed_query("1.9.10"), {}, "ix_jobs_study"),
    "first job of a study": (lambda: first_job_query("1.9.10"), {}, "ix_jobs_study"),
}
# Answered by the index alone, as its columns hold all that is asked for.
BY_INDEX_ALONE = ("first job of a study",)
TABLES = ("jobs", "deliveries", "series", "scans", "feedback", "associations", "instances")


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def full(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """Many rows that have ended, a few that are open."""
    if request.param == "sqlite":
        url = sqlite_url(tmp_path_factory.mktemp("plans"))
    else:
        server: PostgresServer = request.getfixturevalue("postgres")
        url = server.new_database()
    upgrade(url)
    with closing(open_database(url)) as database:
        fill(database, ROWS)
        if not database.is_sqlite:
            with database.single() as connection:
                connection.exec_driver_sql("VACUUM")  # what lets PostgreSQL answer by an index alone
        yield database


def _plan(connection: Connection, query: Any, parameters: dict[str, Any]) -> str:
    # Values go as parameters, as in life; only then does the plan show what the prepared statement does.
    is_sqlite = connection.dialect.name == "sqlite"
    compiled = query.compile(dialect=sqlite.dialect() if is_sqlite else postgresql.psycopg.dialect())
    state = compiled.construct_expanded_state(parameters)
    bound = {name: _bound(state.processors.get(name), value) for name, value in state.parameters.items()}
    values: Any = tuple(bound[name] for name in state.positiontup) if is_sqlite else bound
    rows = connection.exec_driver_sql(f"EXPLAIN {'QUERY PLAN ' if is_sqlite else ''}{state.statement}", values)
    return "\n".join(str(row[-1]) for row in rows)


def _bound(processor: Any, value: Any) -> Any:
    return processor(value) if callable(processor) else value


@pytest.mark.parametrize("what", QUERIES)
def test_an_index_answers(full: Database, what: str) -> None:
    """Each look on a hot way goes by its index, without scanning a table; queues are not sorted either."""
    query, parameters, index = QUERIES[what]
    with full.read() as connection:
        plan = _plan(connection, query(), parameters)
    assert any(name in plan for name in index.split("|")), plan
    for table in TABLES:
        assert f"Seq Scan on {table}" not in plan, plan
        assert f"SCAN {table}\n" not in plan + "\n", plan
    if what in {"queue", "deliveries", "feedback that is due", "leases that ran out"}:
        assert "Sort" not in plan, plan
        assert "TEMP B-TREE" not in plan, plan
    if what in BY_INDEX_ALONE:
        assert "Index Only Scan" in plan or "COVERING INDEX" in plan, plan


def test_no_plan_is_compiled(full: Database) -> None:
    """PostgreSQL spends no 200 ms on compiling a query that takes one: the estimate of a long history asks for it."""
    if full.is_sqlite:
        pytest.skip("SQLite has no JIT")
    with full.read() as connection:
        assert connection.exec_driver_sql("SHOW jit").scalar_one() == "off"
