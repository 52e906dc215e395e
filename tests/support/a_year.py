"""Years of a node in minutes: series of tiny files, moved through the tables on a clock that is set forward.

    .venv/bin/python tests/support/a_year.py [--days 365] [--a-day 100]

Prints how full the simulated disk was at most, and what was removed without proof (nothing may be).
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

from support.clock import ManualClock  # noqa: E402

from db.deliveries import DeliveryTable  # noqa: E402
from db.engine import Database, open_database  # noqa: E402
from db.engine.migrate import upgrade  # noqa: E402
from db.inbox import Inbox  # noqa: E402
from db.jobs import JobTable  # noqa: E402
from db.records import AssociationEnd, Job, NewDelivery, ReceivedInstance  # noqa: E402
from db.retention import RetentionTable  # noqa: E402
from dicom_node.node.disk import DiskUse  # noqa: E402
from dicom_node.node.logs import configure_logs  # noqa: E402
from dicom_node.node.settings import load_settings  # noqa: E402
from dicom_node.upkeep.disk.purge import Purge  # noqa: E402
from dicom_node.upkeep.disk.rules import rules_of  # noqa: E402

IMAGE_BYTES, RESULT_BYTES = 700, 300
_DAY = 86_400.0


@dataclass
class SmallNode:
    """A node's storage and tables, with files of a few hundred bytes."""

    storage: Path
    clock: ManualClock = field(default_factory=ManualClock)
    total_bytes: int = 10**9
    url: str = ""

    def __post_init__(self) -> None:
        (self.storage / "outbox" / "unfinished").mkdir(parents=True, exist_ok=True)
        url = self.url = self.url or f"sqlite:///{self.storage}/node.sqlite"
        upgrade(url)
        self.database: Database = open_database(url, self.clock)
        self.inbox, self.jobs = Inbox(self.database), JobTable(self.database)
        self.deliveries, self.retention = DeliveryTable(self.database), RetentionTable(self.database)
        self.association = self.inbox.open_association("SCANNER", "WMHNODE", "10.0.0.7", "receiver")
        self.inbox.end_association(self.association, AssociationEnd.RELEASED)
        self.numbers = 0

    def purge(self, **settings: object) -> Purge:
        """The node's own, on a disk that holds nothing else."""
        found = load_settings(None, storage=self.storage, **settings)
        return Purge(self.retention, self.storage, rules_of(found), found.disk_low, self.disk)

    def disk(self) -> DiskUse:
        """How full the simulated disk is: files of inbox and outbox alone."""
        used = sum(entry.stat().st_size for kind in ("inbox", "outbox") for entry in _files(f"{self.storage}/{kind}"))
        return DiskUse(self.total_bytes, self.total_bytes - used)

    def files(self) -> list[Path]:
        """Of inbox and outbox."""
        return [path for kind in ("inbox", "outbox") for path in (self.storage / kind).rglob("*") if path.is_file()]

    def receive(self, study: str | None = None, images: int = 2) -> str:
        """A series in the inbox; returns its UID."""
        self.numbers += 1
        uid = f"1.2.826.0.1.3680043.10.9999.1.{self.numbers}"
        self.inbox.record([self.image(uid, number, study or f"{uid}.0") for number in range(1, images + 1)])
        return uid

    def image(self, series: str, number: int, study: str) -> ReceivedInstance:
        """One file at its place, and what its row says."""
        digest = hashlib.sha256(f"{series} {number}".encode()).hexdigest()
        folder = hashlib.sha256(series.encode()).hexdigest()
        path = f"inbox/{folder[:2]}/{folder[2:]}/{number:04d}-{digest}.dcm"
        file = self.storage / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"x" * IMAGE_BYTES)
        return ReceivedInstance(
            f"{series}.{number}", "1.2.840.10008.5.1.4.1.1.4", series, study, "1.2.840.10008.1.2.1", path, digest,
            IMAGE_BYTES, self.association,
        )  # fmt: skip

    def work(self, series: str, images: int = 2) -> Job:
        """A claimed job about a series."""
        self.jobs.enqueue(series, hashlib.sha256(series.encode()).hexdigest(), images)
        job = self.jobs.claim("worker", 60)
        assert job is not None
        return job

    def results(self, job: Job) -> list[str]:
        """A result set in the outbox; its files relative to STORAGE."""
        folder = self.storage / "outbox" / str(job.id) / "1"
        folder.mkdir(parents=True)
        for name in ("seg.dcm", "sr.dcm"):
            (folder / name).write_bytes(b"r" * RESULT_BYTES)
        return [f"outbox/{job.id}/1/{name}" for name in ("seg.dcm", "sr.dcm")]

    def done(self, study: str | None = None) -> Job:
        """A job whose result every destination has."""
        job = self.work(self.receive(study))
        self.jobs.deliver(job.id, "worker", {}, [NewDelivery("pacs", self.results(job))])
        self.send()
        return self.jobs.get(job.id)

    def analysed(self) -> None:
        """A job whose result is to be sent."""
        job = self.work(self.receive())
        self.jobs.deliver(job.id, "worker", {}, [NewDelivery("pacs", self.results(job))])

    def undelivered(self) -> Job:
        """A job whose result waits for a destination that is down."""
        job = self.work(self.receive())
        return self.jobs.deliver(job.id, "worker", {}, [NewDelivery("archive", self.results(job))])

    def kept_here(self) -> Job:
        """A job whose result goes to no destination."""
        job = self.work(self.receive())
        self.results(job)
        return self.jobs.deliver(job.id, "worker", {}, [])

    def rejected(self) -> Job:
        """A job that was rejected."""
        job = self.work(self.receive())
        return self.jobs.reject(job.id, "worker", "not_flair", "it is no FLAIR")

    def failed(self) -> Job:
        """A job that failed."""
        job = self.work(self.receive())
        return self.jobs.fail(job.id, "worker", "it cannot be analysed")

    def send(self) -> None:
        """Deliver what is due to the destination that is up."""
        while (due := self.deliveries.claim("sender", 60, skip=["archive"])) is not None:
            self.deliveries.sent(due.id, "sender")


def _files(folder: str) -> Iterator[os.DirEntry[str]]:
    for entry in os.scandir(folder):
        if entry.is_dir():
            yield from _files(entry.path)
        else:
            yield entry


@dataclass
class Lived:
    """What the simulated time gave."""

    series: int
    most_percent: float
    removed_unproven: int
    kept_unproven: int
    left_over: int


def live(node: SmallNode, days: int, a_day: int, tell: Callable[[str], None] = lambda _line: None) -> Lived:
    """So many days with so many series each: most are done, some rejected, some fail, one a day waits for ever."""
    chance, purge = random.Random(1), node.purge()
    must_stay: list[Job] = []
    most = 0.0
    for day in range(days):
        for number in range(a_day):
            node.clock.pass_seconds(_DAY / a_day)
            draw = chance.random()
            if draw < 0.05:
                node.rejected()
            elif draw < 0.07:
                job = node.failed()
                if chance.random() < 0.5:
                    node.jobs.acknowledge(job.id)
                else:
                    must_stay.append(job)
            elif number == 0 and day % 3 == 0:
                must_stay.append(node.undelivered())
            else:
                node.analysed()
        node.send()
        while purge.step():
            pass
        most = max(most, node.disk().percent)
        if day % 30 == 29:
            tell(f"day {day + 1}: {node.disk().percent:.1f} % of the disk used, {len(must_stay)} must stay")
    missing = [
        job
        for job in must_stay
        for instance in node.inbox.instances_of_job(job)
        if not (node.storage / instance.path).exists()
    ]
    known = {instance.path for job in node.jobs.list() for instance in node.inbox.instances_of_job(job)}
    strays = [
        path
        for path in (node.storage / "inbox").rglob("*.dcm")
        if path.relative_to(node.storage).as_posix() not in known
    ]
    return Lived(node.numbers, most, len(missing), len(must_stay), len(strays))


def main() -> None:
    """Simulate, and say what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--a-day", type=int, default=100)
    given = parser.parse_args()
    configure_logs("warning")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        # Room for 12 days of all series, and for what must stay a whole year.
        node = SmallNode(Path(folder), total_bytes=12 * given.a_day * 2000 + given.days * 2 * 2000)
        with closing(node.database):
            lived = live(node, given.days, given.a_day, print)
    print(
        f"{lived.series} series in {given.days} days: the disk was at most {lived.most_percent:.1f} % full (mark 80); "
        f"removed without proof: {lived.removed_unproven}; kept without proof: {lived.kept_unproven}"
    )
    sys.exit(1 if lived.removed_unproven or lived.most_percent > 80 else 0)


if __name__ == "__main__":
    main()
