"""How fast the database room is: instances recorded and jobs claimed a second, on SQLite and on PostgreSQL.

    python tests/benchmarks/claim.py [--json] [--folder DIR] [--rounds N] [--peers PYTHON] [--queue-rounds N]

Every number is durable commits: SQLite with synchronous=FULL, PostgreSQL with fsync. So the disk decides most of it;
its own rate of fsync is printed first. The folder of the databases matters: name one on the disk that you mean. A
benchmark, not a test: nothing passes or fails. Claim and finish by 1, 4 and 16 processes on PostgreSQL stands beside
procrastinate's and pgqueuer's (`queue_rate.py`), where `--peers` names an environment with `peers.txt` in it.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
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
from support.databases import PostgresServer, postgres_server, sqlite_url  # noqa: E402
from support.received import instance, series_uid  # noqa: E402

from db.engine import Database, open_database  # noqa: E402
from db.engine.migrate import upgrade  # noqa: E402
from db.inbox import Inbox  # noqa: E402
from db.jobs import JobTable  # noqa: E402
from db.records import NewDelivery  # noqa: E402

_PROCESSES = (1, 4, 16)
_PEERS = ("procrastinate", "pgqueuer")


@dataclass(frozen=True)
class Measured:
    """One row of the table; the rate is the mean over all rounds."""

    database: str
    what: str
    per_second: float
    median_ms: float
    worst_ms: float


@dataclass(frozen=True)
class QueueRate:
    """Jobs that so many processes claim and finish a second: the best round, all rounds, beside the better peer."""

    queue: str
    processes: int
    per_second: float
    rounds: list[float]
    ratio: float | None


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--folder", type=Path, default=None, help="where the databases lie while measured")
    parser.add_argument("--rounds", type=int, default=200, help="transactions per measurement")
    parser.add_argument("--peers", type=Path, default=None, help="Python that has procrastinate and pgqueuer")
    parser.add_argument("--queue-rounds", type=int, default=3, help="rounds of each queue and number of processes")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder, postgres_server(arguments.folder) as server:
        measured = [_fsync(Path(folder), arguments.rounds)]
        for name, url in (("SQLite", sqlite_url(Path(folder))), ("PostgreSQL", server.new_database())):
            measured += _measure(name, url, arguments.rounds)
        queues = list(_queue_rates(server, arguments.peers, 2 * arguments.rounds, arguments.queue_rounds))
    if arguments.json:
        document = {"calls": [asdict(call) for call in measured], "queues": [asdict(queue) for queue in queues]}
        print(json.dumps(document, indent=2))
    else:
        _print(measured, queues)


def _measure(name: str, url: str, rounds: int) -> Iterator[Measured]:
    upgrade(url)
    with closing(open_database(url)) as database:
        yield _record(name, database, 1, rounds)
        yield _record(name, database, 4, rounds)
        yield _enqueue(name, database, rounds)
        yield _claim(name, database, rounds)
        yield _idle_claim(name, database, rounds)
        yield _heartbeat(name, database, rounds)


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


def _queue_rates(server: PostgresServer, peers: Path | None, jobs: int, rounds: int) -> Iterator[QueueRate]:
    """Each queue in turn, round by round, so that a busy machine hits all of them alike; the best round counts."""
    queues = {"wmh-node": Path(sys.executable)} | ({} if peers is None else dict.fromkeys(_PEERS, peers))
    for processes in _PROCESSES:
        rates: dict[str, list[float]] = {queue: [] for queue in queues}
        for _ in range(rounds):
            for queue, python in queues.items():
                rates[queue].append(_queue_rate(python, queue, server.new_database(), processes, jobs))
        best = max((max(rates[queue]) for queue in rates if queue in _PEERS), default=None)
        for queue, found in rates.items():
            yield QueueRate(queue, processes, max(found), found, None if best is None else max(found) / best)


def _queue_rate(python: Path, queue: str, url: str, processes: int, jobs: int) -> float:
    command = [str(python), str(Path(__file__).with_name("queue_rate.py")), queue, url, str(processes), str(jobs)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    if done.returncode:
        sys.exit(f"{queue}, {processes} processes: {done.stderr[-2000:]}")
    return float(done.stdout)


def _time(name: str, what: str, once: Callable[[int], object], rounds: int, each: int = 1) -> Measured:
    times = []
    for number in range(rounds):
        started = time.perf_counter()
        once(number)
        times.append(time.perf_counter() - started)
    return Measured(name, what, each * rounds / sum(times), statistics.median(times) * 1e3, max(times) * 1e3)


def _print(measured: list[Measured], queues: list[QueueRate]) -> None:
    table = Table("database", "what", "per second", "median ms", "worst ms", box=None)
    for call in measured:
        table.add_row(
            call.database, call.what, f"{call.per_second:,.0f}", f"{call.median_ms:.2f}", f"{call.worst_ms:.1f}"
        )
    Console().print(table)
    table = Table("queue, claim and finish", "processes", "jobs per second", "of the better peer", box=None)
    for rate in queues:
        ratio = "" if rate.ratio is None else f"{rate.ratio:.2f}"
        table.add_row(rate.queue, str(rate.processes), f"{rate.per_second:,.0f}", ratio)
    Console().print(table)


if __name__ == "__main__":
    main()
