"""What worker processes of the database tests do; in its own module, so that `spawn` can import it."""

from __future__ import annotations

import os
import signal
import time
from contextlib import closing, contextmanager

from support.received import instance, series_uid

from db import jobs as job_table
from db.deliveries import DeliveryTable
from db.engine import open_database
from db.feedback import FeedbackTable
from db.inbox import Inbox
from db.jobs import JobTable
from db.records import NewDelivery


def finish_all(url: str, worker: int) -> list[int]:
    """Claim jobs and finish each until there is none; returns the ids."""
    claimed = []
    with closing(open_database(url)) as database:
        jobs = JobTable(database)
        while (job := jobs.claim(f"worker-{worker}", 600)) is not None:
            claimed.append(job.id)
            jobs.deliver(job.id, f"worker-{worker}", {}, [NewDelivery("a", ["x"]), NewDelivery("b", ["x"])])
    return claimed


def send_all(url: str, sender: int) -> list[int]:
    """Claim deliveries and send each until there is none; returns the ids."""
    claimed = []
    with closing(open_database(url)) as database:
        deliveries = DeliveryTable(database)
        while (delivery := deliveries.claim(f"sender-{sender}", 600)) is not None:
            claimed.append(delivery.id)
            deliveries.sent(delivery.id, f"sender-{sender}")
    return claimed


def record_series(url: str, receiver: int, count: int) -> list[str]:
    """Record the same series as every other receiver does, in batches of 3; returns the outcomes."""
    outcomes = []
    with closing(open_database(url)) as database:
        inbox = Inbox(database)
        association = inbox.open_association("SCANNER", "WMHNODE", "127.0.0.1", f"receiver-{receiver}")
        for first in range(0, count, 3):
            batch = [instance(series_uid(1), number, association) for number in range(first, first + 3)]
            outcomes += [str(outcome) for outcome in inbox.record(batch)]
    return outcomes


def enqueue_same(url: str, _: int) -> int:
    """Enqueue the same state of the same series as the others; returns the job's id."""
    with closing(open_database(url)) as database:
        return JobTable(database).enqueue(series_uid(1), "a" * 64, 24).id


def record_until_killed(url: str, path: str) -> None:
    """Record one instance after the other, and append each that was answered for to a file."""
    with closing(open_database(url)) as database, open(path, "ab", buffering=0) as answered:  # noqa: PTH123
        inbox = Inbox(database)
        association = inbox.open_association("SCANNER", "WMHNODE", "127.0.0.1", "receiver-1")
        number = 0
        while True:
            inbox.record([instance(series_uid(1), number, association)])
            answered.write(f"{number}\n".encode())
            number += 1


def die_inside(url: str, step: str) -> None:
    """Claim or hand in a job, and be killed after the statements and before the commit."""
    # PostgreSQL's usual way is one statement, which has no middle: the general way is what can be killed in it.
    job_table.claim_queued = job_table.deliver_first = lambda *_: None  # type: ignore[assignment]
    database = open_database(url)
    jobs = JobTable(database)
    real = database.write

    def write_and_die(*_wakes):  # type: ignore[no-untyped-def]
        from contextlib import contextmanager

        @contextmanager
        def inner():  # type: ignore[no-untyped-def]
            with real() as connection:
                yield connection
                os.kill(os.getpid(), signal.SIGKILL)
                time.sleep(60)

        return inner()

    if step == "claim":
        database.write = write_and_die  # type: ignore[method-assign]
        jobs.claim("victim", 60)
    else:
        job = jobs.claim("victim", 60)
        assert job is not None
        database.write = write_and_die  # type: ignore[method-assign]
        jobs.deliver(job.id, "victim", {"wmh_volume_ml": 1.0}, [NewDelivery("pacs", ["seg.dcm"])])


def receive_feedback(url: str, sop_class: str) -> list[int]:
    """Make the rows of a segmentation series as every other worker does; returns those made here."""
    with closing(open_database(url)) as database:
        return FeedbackTable(database).receive(series_uid("seg"), 4, [sop_class], closes=True)


def die_receiving_feedback(url: str, sop_class: str) -> None:
    """The same, killed after the statements and before the commit."""
    database = open_database(url)
    real = database.write

    @contextmanager
    def write_and_die(*_wakes):  # type: ignore[no-untyped-def]
        with real() as connection:
            yield connection
            os.kill(os.getpid(), signal.SIGKILL)

    database.write = write_and_die  # type: ignore[method-assign]
    FeedbackTable(database).receive(series_uid("seg"), 1, [sop_class], closes=True)
