"""Query plans: what runs often must not read whole tables when a hospital's year lies in them."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, insert, text
from sqlalchemy.dialects import postgresql, sqlite
from support.clock import ManualClock

from db.deliveries import claim_query
from db.engine import Database
from db.inbox import OPEN_SERIES
from db.jobs import RESENT, claim_queries
from db.records import Scan
from db.scans import earlier_query
from db.schema import deliveries, jobs, scans, series

ROWS = 6_000


@pytest.fixture
def full(database: Database, clock: ManualClock) -> Database:
    """Many jobs, deliveries and series that have ended, a few that are due."""
    now = clock()
    with database.write() as connection:
        connection.execute(insert(jobs), [_job(number, now) for number in range(ROWS)])
        connection.execute(insert(deliveries), [_delivery(number, now) for number in range(ROWS)])
        connection.execute(insert(series), [_series(number, now) for number in range(ROWS)])
        connection.execute(insert(scans), [_scan(number) for number in range(ROWS)])
        connection.execute(text("ANALYZE"))
    return database


def _job(number: int, now: Any) -> dict[str, Any]:
    state = {0: "queued", 1: "running"}.get(number % 600, "done")
    return {
        "series_instance_uid": f"1.2.{number}", "instances_digest": "a" * 64, "instance_count": 24, "state": state,
        "attempts": 1, "max_attempts": 3, "not_before": now - timedelta(seconds=number),
        "lease_owner": "w" if state == "running" else None, "lease_expires": now if state == "running" else None,
        "created_at": now, "updated_at": now,
    }  # fmt: skip


def _scan(number: int) -> dict[str, Any]:
    return {
        "job_id": number + 1, "study_instance_uid": f"1.9.{number}", "patient_key": f"{number // 3:064d}",
        "acquired_on": date(2024, 1, 1 + number % 3), "description": {},
    }  # fmt: skip


def _delivery(number: int, now: Any) -> dict[str, Any]:
    return {
        "job_id": number + 1, "destination": "pacs", "files": [], "state": "pending" if number % 600 == 0 else "sent",
        "attempts": 1, "refusals": 0, "not_before": now, "created_at": now,
    }  # fmt: skip


def _series(number: int, now: Any) -> dict[str, Any]:
    return {
        "series_instance_uid": f"1.2.{number}", "study_instance_uid": "1.2", "instance_count": 24, "conflict_count": 0,
        "judged_count": 0 if number % 600 == 0 else 24, "first_received_at": now, "last_received_at": now,
    }  # fmt: skip


def _plan(connection: Connection, query: Any) -> str:
    dialect = connection.dialect.name
    # Values go as parameters, as in life; only then does the plan show what the prepared statement does.
    explained = "EXPLAIN QUERY PLAN " if dialect == "sqlite" else "EXPLAIN "
    compiled = query.compile(
        dialect=(sqlite.dialect() if dialect == "sqlite" else postgresql.psycopg.dialect()),
        compile_kwargs={"render_postcompile": True},
    )
    parameters: Any = compiled.params
    if dialect == "sqlite":
        processed = compiled.construct_params()
        parameters = tuple(_bound(compiled, name, processed[name]) for name in compiled.positiontup)
    rows = connection.exec_driver_sql(explained + str(compiled), parameters)
    return "\n".join(str(row[-1]) for row in rows)


def _bound(compiled: Any, name: str, value: Any) -> Any:
    processor = compiled._bind_processors.get(name)
    return processor(value) if processor else value


class TestPlans:
    """Claims and the completer's look."""

    def queries(self, now: Any) -> dict[str, Any]:
        expired, queued = claim_queries(now)
        return {
            "ix_jobs_leases": expired,
            "ix_jobs_queue": queued,
            "ix_deliveries_queue": claim_query(now, ()),
            "ix_series_open": OPEN_SERIES,
        }

    @pytest.mark.parametrize("index", ["ix_jobs_leases", "ix_jobs_queue", "ix_deliveries_queue", "ix_series_open"])
    def test_an_index_answers(self, full: Database, clock: ManualClock, index: str) -> None:
        """Each of these looks goes by its index, without scanning or sorting a table."""
        with full.read() as connection:
            plan = _plan(connection, self.queries(clock())[index])
        assert index in plan, plan
        for table in ("jobs", "deliveries", "series"):
            assert f"Seq Scan on {table} " not in plan, plan
            assert f"SCAN {table}\n" not in plan + "\n", plan
        if index in {"ix_jobs_queue", "ix_deliveries_queue"}:
            assert "Sort" not in plan, plan
            assert "TEMP B-TREE" not in plan, plan

    def test_failed_jobs_are_found_by_their_state(self, full: Database) -> None:
        """Asking which failed jobs were sent again looks at failed jobs only."""
        with full.read() as connection:
            plan = _plan(connection, RESENT)
        assert "ix_jobs_queue" in plan, plan

    def test_earlier_scans_are_found_by_their_patient(self, full: Database) -> None:
        """The scans of one patient are looked up, not searched for among all."""
        scan = Scan(1, "1.9.1", f"{7:064d}", None, date(2025, 1, 1), {})
        with full.read() as connection:
            plan = _plan(connection, earlier_query(scan))
        assert "ix_scans_patient" in plan, plan
        assert "Seq Scan on jobs" not in plan and "SCAN jobs" not in plan, plan
