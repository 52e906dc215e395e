"""What a long history costs: each query of a hot way at 1,000 and at 1,000,000 rows, on SQLite and on PostgreSQL.

    python tests/benchmarks/history.py [--rows 1000000] [--runs 30] [--folder DIR] [--json]

Every table of the history holds so many rows; the work that is open is the same few rows in both, and so are the rows
that a list gives. What was filled in is flushed before the first call: a server that is still writing it takes five
times as long for a claim. Times go through the public methods, with their commits; the best of all calls counts, which
a busy machine disturbs least. Name a folder in memory (/dev/shm) to leave the disk's flushes out of the ratio. A
benchmark, not a test: nothing passes or fails, and `tests/db/test_plans.py` holds the plans.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parents[2])]

from rich.console import Console  # noqa: E402
from rich.table import Table  # noqa: E402
from sqlalchemy import create_engine  # noqa: E402
from support.databases import postgres_server, sqlite_url  # noqa: E402
from support.history import FEW, fill, scan_after  # noqa: E402
from support.received import instance, series_uid  # noqa: E402

from db.audit import audit_entries  # noqa: E402
from db.deliveries import DeliveryTable  # noqa: E402
from db.engine import Database, open_database  # noqa: E402
from db.engine.migrate import upgrade  # noqa: E402
from db.feedback import FeedbackTable  # noqa: E402
from db.inbox import Inbox  # noqa: E402
from db.jobs import JobTable  # noqa: E402
from db.records import JobState  # noqa: E402
from db.scans import ScanTable  # noqa: E402

_SETTLING: Final = {"sqlite": ("PRAGMA wal_checkpoint(TRUNCATE)",), "postgresql": ("VACUUM ANALYZE", "CHECKPOINT")}


@dataclass(frozen=True)
class Grown:
    """One row of the table: the best time at few and at many rows of history, in ms."""

    database: str
    what: str
    few_ms: float
    many_ms: float
    ratio: float


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--folder", type=Path, default=None, help="where the databases lie while measured")
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of history in each table")
    parser.add_argument("--runs", type=int, default=30, help="calls of each method")
    arguments = parser.parse_args()
    measured: list[Grown] = []
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        measured += _grown("SQLite", [sqlite_url(Path(folder)) for _ in range(2)], arguments.rows, arguments.runs)
    with postgres_server(arguments.folder) as server:
        urls = [server.new_database() for _ in range(2)]
        measured += _grown("PostgreSQL", urls, arguments.rows, arguments.runs)
    if arguments.json:
        print(json.dumps([asdict(step) for step in measured], indent=2))
    else:
        _print(measured)


def _grown(name: str, urls: list[str], rows: int, runs: int) -> Iterator[Grown]:
    few, many = (_filled(url, count) for url, count in zip(urls, (FEW, rows), strict=True))
    with closing(few), closing(many):
        # In turns, so that a busy machine hits both alike.
        for (what, with_few), (_, with_many) in zip(_calls(few), _calls(many), strict=True):
            times: tuple[list[float], list[float]] = ([], [])
            for _ in range(runs):
                for call, into in zip((with_few, with_many), times, strict=True):
                    started = time.perf_counter()
                    call()
                    into.append(time.perf_counter() - started)
            before, after = (min(step) * 1e3 for step in times)
            yield Grown(name, what, before, after, after / before)


def _filled(url: str, rows: int) -> Database:
    upgrade(url)
    database = open_database(url)
    fill(database, rows)
    _settle(url)
    return database


def _settle(url: str) -> None:
    """Let the database finish with what was filled in."""
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for statement in _SETTLING[engine.dialect.name]:
            connection.exec_driver_sql(statement)
    engine.dispose()


def _calls(database: Database) -> Iterator[tuple[str, Callable[[], object]]]:
    inbox, jobs, deliveries = Inbox(database), JobTable(database), DeliveryTable(database)
    feedback, scans = FeedbackTable(database), ScanTable(database)
    numbers = itertools.count()
    association = inbox.open_association("SCANNER", "WMHNODE", "127.0.0.1", "benchmark")

    def claim_and_put_back() -> None:
        job = jobs.claim("benchmark", 60)
        assert job is not None
        jobs.put_back(job.id, "benchmark", "benchmark", 0)

    def claim_and_postpone() -> None:
        delivery = deliveries.claim("benchmark", 60)
        assert delivery is not None
        deliveries.postpone(delivery.id, "benchmark", "benchmark", 0)

    def record() -> None:
        number = next(numbers)
        inbox.record([instance(series_uid(f"7.{number // 40}"), number, association)])

    def enqueue() -> None:
        job = jobs.enqueue(series_uid(f"6.{next(numbers)}"), "d" * 64, 24)
        jobs.cancel(job.id)

    yield "record one instance", record
    yield "open series", inbox.open_series
    yield "enqueue and cancel", enqueue
    yield "failed jobs sent again", jobs.retry_resent
    yield "claim and put back a job", claim_and_put_back
    yield "claim and postpone a delivery", claim_and_postpone
    yield "earlier scans of a patient", lambda: scans.earlier_results(scan_after(10))
    yield "list 20 failed jobs", lambda: jobs.list([JobState.FAILED], 20)
    yield "list 20 failed or cancelled jobs", lambda: jobs.list([JobState.FAILED, JobState.CANCELLED], 20)
    yield "list 50 jobs", lambda: jobs.list(limit=50)
    yield "jobs of a series", lambda: jobs.of_series("1.2.10")
    yield "timeline of a job", lambda: jobs.events(10)
    yield "feedback that is due", feedback.due
    yield "list 50 feedback", lambda: feedback.list(limit=50)
    yield "feedback of a series", lambda: feedback.of_series("1.2.10")
    yield "analysed series of a study", lambda: feedback.analysed_series("1.9.10")
    yield "first job of a study", lambda: feedback.first_job_of_study("1.9.10")
    yield "series of 24 instances", lambda: feedback.series_of_instances([f"1.2.{n}.1" for n in range(24)])
    yield "50 lines of the audit", lambda: audit_entries(database, 50)


def _print(measured: list[Grown]) -> None:
    table = Table("database", "what", "1,000 rows, ms", "many rows, ms", "ratio", box=None)
    for step in measured:
        table.add_row(step.database, step.what, f"{step.few_ms:.2f}", f"{step.many_ms:.2f}", f"{step.ratio:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
