"""Jobs that processes claim and finish a second, one job at a time: ours, procrastinate's or pgqueuer's job table.

    python tests/benchmarks/queue_rate.py QUEUE URL PROCESSES JOBS

Prints jobs a second. QUEUE is wmh-node, procrastinate or pgqueuer; URL an empty PostgreSQL database. It runs by the
interpreter in which the queue is installed: `claim.py` calls it so, and compares. Each process takes a job, finishes it
and takes the next, as one does whose jobs last seconds: no batches. Two durable commits a job. The first few jobs of
each process are not counted: they compile and prepare what the others use.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import closing, contextmanager
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parents[2])]


WARM = 12


def main() -> None:
    """Fill the queue, let processes empty it, print the rate."""
    queue, url, processes, jobs = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    _FILL[queue](url, jobs + processes * WARM)
    context = multiprocessing.get_context("spawn")
    ready = context.Barrier(processes + 1)
    counts = context.SimpleQueue()
    started = [context.Process(target=_work, args=(queue, url, ready, counts)) for _ in range(processes)]
    for process in started:
        process.start()
    ready.wait()
    begun = time.perf_counter()
    done = sum(counts.get() for _ in started)
    seconds = time.perf_counter() - begun
    for process in started:
        process.join()
    if done != jobs:
        sys.exit(f"{queue}: {done} jobs were finished of {jobs}")
    print(jobs / seconds)


def _work(queue: str, url: str, ready: Barrier, counts: Any) -> None:
    _EMPTY[queue](url, ready.wait, counts.put)


# Ours


def _fill_ours(url: str, jobs: int) -> None:
    from db.engine import open_database
    from db.engine.migrate import upgrade
    from db.jobs import JobTable

    upgrade(url)
    with closing(open_database(url)) as database:
        table = JobTable(database)
        for number in range(jobs):
            table.enqueue(f"1.2.{number}", "d" * 64, 24)


def _empty_ours(url: str, ready: Callable[[], object], done: Callable[[int], None]) -> None:
    import os

    from db.engine import open_database
    from db.jobs import JobTable

    owner, count = f"worker-{os.getpid()}", 0
    with closing(open_database(url)) as database:
        table = JobTable(database)
        while (job := table.claim(owner, 600)) is not None:
            table.deliver(job.id, owner, {"wmh_volume_ml": 4.2}, [])
            count += 1
            if count == WARM:
                ready()
        done(count - WARM)


# procrastinate


@contextmanager
def _loop() -> Iterator[Callable[[Coroutine[Any, Any, Any]], Any]]:
    with asyncio.Runner() as runner:
        yield runner.run


def _fill_procrastinate(url: str, jobs: int) -> None:
    import procrastinate

    async def fill() -> None:
        app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=_plain(url)))

        @app.task(name="work")
        def work(number: int) -> None:
            del number

        async with app.open_async():
            await app.schema_manager.apply_schema_async()
            for first in range(0, jobs, 500):
                await work.batch_defer_async(*[{"number": n} for n in range(first, min(jobs, first + 500))])

    with _loop() as run:
        run(fill())


def _empty_procrastinate(url: str, ready: Callable[[], object], done: Callable[[int], None]) -> None:
    import procrastinate
    from procrastinate.jobs import Status

    async def empty() -> int:
        count = 0
        app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=_plain(url), min_size=1, max_size=1))
        async with app.open_async():
            manager = app.job_manager
            worker = await manager.register_worker()
            while (job := await manager.fetch_job(None, worker)) is not None:
                await manager.finish_job(job, Status.SUCCEEDED, delete_job=False)
                count += 1
                if count == WARM:
                    ready()
        return count - WARM

    with _loop() as run:
        done(run(empty()))


# pgqueuer


async def _pgqueuer(url: str) -> Any:
    import asyncpg
    from pgqueuer.db import AsyncpgDriver
    from pgqueuer.queries import Queries

    return Queries(AsyncpgDriver(await asyncpg.connect(_plain(url))))


def _fill_pgqueuer(url: str, jobs: int) -> None:
    async def fill() -> None:
        queries = await _pgqueuer(url)
        await queries.install()
        for first in range(0, jobs, 500):
            count = min(jobs, first + 500) - first
            await queries.enqueue(["work"] * count, [b"1"] * count, [0] * count)

    with _loop() as run:
        run(fill())


def _empty_pgqueuer(url: str, ready: Callable[[], object], done: Callable[[int], None]) -> None:
    import uuid
    from datetime import timedelta

    from pgqueuer.queries import EntrypointExecutionParameter

    async def empty() -> int:
        count = 0
        queries = await _pgqueuer(url)
        manager = uuid.uuid4()
        work = {"work": EntrypointExecutionParameter(0)}
        while jobs := await queries.dequeue(1, work, manager, None, timedelta(seconds=600)):
            await queries.log_jobs([(jobs[0], "successful", None)])
            count += 1
            if count == WARM:
                ready()
        return count - WARM

    with _loop() as run:
        done(run(empty()))


def _plain(url: str) -> str:
    return url.replace("postgresql+psycopg://", "postgresql://")


_FILL = {"wmh-node": _fill_ours, "procrastinate": _fill_procrastinate, "pgqueuer": _fill_pgqueuer}
_EMPTY = {"wmh-node": _empty_ours, "procrastinate": _empty_procrastinate, "pgqueuer": _empty_pgqueuer}

if __name__ == "__main__":
    main()
