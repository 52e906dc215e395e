"""How fast the database room is: instances recorded and jobs claimed a second, on SQLite and on PostgreSQL.

    python tests/benchmarks/claim.py [--json] [--folder DIR] [--rounds N]

Every number is durable commits: SQLite with synchronous=FULL, PostgreSQL with fsync. So the disk decides most of it;
its own rate of fsync is printed first. The folder of the databases matters: name one on the disk that you mean. A
benchmark, not a test: nothing passes or fails.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parents[2])]

from rich.console import Console  # noqa: E402
from rich.table import Table  # noqa: E402
from support.databases import postgres_server, sqlite_url  # noqa: E402
from support.received import instance, series_uid  # noqa: E402

from db.engine import Database, open_database  # noqa: E402
from db.engine.migrate import upgrade  # noqa: E402
from db.inbox import Inbox  # noqa: E402
from db.jobs import JobTable  # noqa: E402
from db.records import NewDelivery  # noqa: E402

WORKERS = 4


@dataclass(frozen=True)
class Measured:
    """One row of the table; the rate is the mean over all rounds."""

    database: str
    what: str
    per_second: float
    median_ms: float
    worst_ms: float


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--folder", type=Path, default=None, help="where the databases lie while measured")
    parser.add_argument("--rounds", type=int, default=200, help="transactions per measurement")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        measured = [_fsync(Path(folder), arguments.rounds)]
        for name, url in _databases(Path(folder), arguments.folder):
            measured += _measure(name, url, arguments.rounds)
    if arguments.json:
        print(json.dumps([asdict(one) for one in measured], indent=2))
    else:
        _print(measured)


def _databases(folder: Path, parent: Path | None) -> Iterator[tuple[str, str]]:
    yield "SQLite", sqlite_url(folder)
    with postgres_server(parent) as server:
        yield "PostgreSQL", server.new_database()


def _measure(name: str, url: str, rounds: int) -> Iterator[Measured]:
    upgrade(url)
    with closing(open_database(url)) as database:
        yield _record(name, database, 1, rounds)
        yield _record(name, database, 4, rounds)
        yield _enqueue(name, database, rounds)
        yield _claim(name, database, rounds)
        yield _idle_claim(name, database, rounds)
        yield _heartbeat(name, database, rounds)
    yield _claims_of_processes(name, url, rounds)


def _fsync(folder: Path, rounds: int) -> Measured:
    """What the disk can do: append 4 KiB, fsync."""
    with (folder / "fsync").open("wb", buffering=0) as stream:

        def once(_: int) -> None:
            stream.write(bytes(4096))
            os.fsync(stream.fileno())

        return _time("disk", "append 4 KiB and fsync", once, rounds)


def _record(name: str, database: Database, batch: int, rounds: int) -> Measured:
    inbox = Inbox(database)
    association = inbox.open_association("SCANNER", "WMHNODE", "127.0.0.1", "benchmark")
    batches = [
        [instance(series_uid(f"{batch}.{number // 40}"), number * batch + i, association) for i in range(batch)]
        for number in range(rounds)
    ]
    return _time(
        name, f"record, batch of {batch} (instances)", lambda number: inbox.record(batches[number]), rounds, batch
    )


def _enqueue(name: str, database: Database, rounds: int) -> Measured:
    jobs = JobTable(database)
    return _time(name, "enqueue (jobs)", lambda number: jobs.enqueue(series_uid(f"9.{number}"), "d" * 64, 24), rounds)


def _claim(name: str, database: Database, rounds: int) -> Measured:
    jobs = JobTable(database)

    def once(_: int) -> None:
        job = jobs.claim("benchmark", 60)
        assert job is not None
        jobs.deliver(job.id, "benchmark", {"wmh_volume_ml": 1.0}, [NewDelivery("pacs", ["outbox/1/seg.dcm"])])

    return _time(name, "claim and deliver (jobs)", once, rounds)


def _idle_claim(name: str, database: Database, rounds: int) -> Measured:
    jobs = JobTable(database)
    return _time(name, "claim, nothing to do (looks)", lambda _: jobs.claim("benchmark", 60), rounds)


def _heartbeat(name: str, database: Database, rounds: int) -> Measured:
    jobs = JobTable(database)
    jobs.enqueue(series_uid("8"), "d" * 64, 24)
    job = jobs.claim("benchmark", 60)
    assert job is not None
    measured = _time(name, "heartbeat", lambda _: jobs.heartbeat(job.id, "benchmark", 60), rounds)
    jobs.fail(job.id, "benchmark", "end of the benchmark")
    return measured


def _claims_of_processes(name: str, url: str, rounds: int) -> Measured:
    with closing(open_database(url)) as database:
        jobs = JobTable(database)
        for number in range(rounds):
            jobs.enqueue(series_uid(f"7.{number}"), "d" * 64, 24)
    context = multiprocessing.get_context("spawn")
    with context.Pool(WORKERS) as pool:
        pool.map(_warm, [url] * WORKERS, chunksize=1)
        started = time.perf_counter()
        times = [one for some in pool.map(_claim_all, [url] * WORKERS, chunksize=1) for one in some]
        seconds = time.perf_counter() - started
    assert len(times) == rounds, f"{len(times)} claims of {rounds} jobs"
    return Measured(
        name, f"claim, {WORKERS} processes (jobs)", rounds / seconds, statistics.median(times) * 1e3, max(times) * 1e3
    )


def _warm(url: str) -> None:
    with closing(open_database(url)) as database:
        JobTable(database).list(limit=1)
    time.sleep(0.5)  # so that every process of the pool gets one


def _claim_all(url: str) -> list[float]:
    times = []
    with closing(open_database(url)) as database:
        jobs = JobTable(database)
        while True:
            started = time.perf_counter()
            if jobs.claim(f"benchmark-{os.getpid()}", 600) is None:
                return times
            times.append(time.perf_counter() - started)


def _time(name: str, what: str, once: Callable[[int], object], rounds: int, each: int = 1) -> Measured:
    times = []
    for number in range(rounds):
        started = time.perf_counter()
        once(number)
        times.append(time.perf_counter() - started)
    return Measured(name, what, each * rounds / sum(times), statistics.median(times) * 1e3, max(times) * 1e3)


def _print(measured: list[Measured]) -> None:
    table = Table("database", "what", "per second", "median ms", "worst ms", box=None)
    for one in measured:
        table.add_row(one.database, one.what, f"{one.per_second:,.0f}", f"{one.median_ms:.2f}", f"{one.worst_ms:.1f}")
    Console().print(table)


if __name__ == "__main__":
    main()
