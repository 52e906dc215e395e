"""Workers on machines of their own with PostgreSQL, and a shared folder or an object store: each has its own fault."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support.databases import postgres_server
from support.machines import ADDRESS, STORE_ADDRESS, Machines, give_folder, take_folder
from support.models import tiny_bundle
from support.node import SHORT_LEASE_SECONDS, Node
from support.phantoms import phantom_files
from support.processes import free_port, listens, program, until
from support.scp import RecordingScp
from support.seaweed import seaweed

from db.deliveries import DeliveryTable
from db.engine import open_database
from dicom_node.demo.phantom.phantom import PhantomSpec

pytestmark = [pytest.mark.peer("postgres"), pytest.mark.slow, pytest.mark.timeout(1500)]

WORK = [sys.executable, "-m", "dicom_node.cli", "work"]


@dataclass(frozen=True)
class Worker:
    """`wmh-node work` on a machine, which sees the shared folder at `storage`."""

    process: subprocess.Popen[bytes]
    log: Path
    storage: Path

    @property
    def claims(self) -> int:
        """How many jobs it has taken."""
        return self.log.read_text(errors="replace").count("job claimed")

    def is_busy(self) -> bool:
        """Whether it has a job."""
        return self.claims > self.log.read_text(errors="replace").count("result set written")


class Site:
    """Receiver, deliverer and PACS on one machine; workers on others, with a shared folder or an object store."""

    def __init__(
        self,
        folder: Path,
        machines: Machines,
        node: Node,
        over_network: str,
        pacs: RecordingScp,
        *,
        has_folder: bool,
    ) -> None:
        self.folder, self.machines, self.node, self.pacs = folder, machines, node, pacs
        self._has_folder = has_folder
        self.over_network = over_network
        self._seeds = 0
        self.sent = 0

    @contextmanager
    def worker(self, name: str) -> Iterator[Worker]:
        """A worker on the machine of that name."""
        storage, log = self.folder / f"{name}-storage", self.folder / f"{name}.log"
        storage.mkdir(exist_ok=True)
        environment: Mapping[str, str] = {
            **self.node.environment,
            "WMH_NODE_WORK": "all" if self._has_folder else "analyse",
            "WMH_NODE_DATABASE_URL": self.over_network,
            "WMH_NODE_STORAGE": str(storage),
            "WMH_NODE_THREADS": "1",
        }
        if self._has_folder:
            command = self.machines.command(name, self.node.storage, storage, WORK)
        else:
            command = [*self.machines.inside(name), *WORK]
        with program(command, log, environment=environment) as process:
            until(lambda: "model ready" in log.read_text() or process.poll() is not None, f"{name} ready", 120, log)
            yield Worker(process, log, storage)

    def take_storage(self, name: str, worker: Worker) -> None:
        """What the worker reads from and writes to is away."""
        if self._has_folder:
            take_folder(worker.process.pid, worker.storage)
        else:
            self.machines.hide_store(name)

    def give_storage(self, name: str, worker: Worker) -> None:
        """Undo `take_storage`."""
        if self._has_folder:
            give_folder(worker.process.pid, self.node.storage, worker.storage)
            return
        self.machines.show_store(name)

    def nothing_beside(self, worker: Worker) -> bool:
        """Whether nothing was written below the mount point."""
        return not self._has_folder or list(worker.storage.iterdir()) == []

    def send(self, count: int) -> None:
        """That many more series."""
        files: list[Path] = []
        for _ in range(count):
            self._seeds += 1
            spec = PhantomSpec(slices=12, matrix=128, seed=self._seeds)
            files += phantom_files(spec, self.folder / f"series{self._seeds}")
        self.node.send(files)
        self.sent += count

    def send_until_busy(self, worker: Worker) -> None:
        """Series after series, until this worker has one."""
        for _ in range(20):
            self.send(2)
            patience = time.monotonic() + 10
            while time.monotonic() < patience:
                if worker.is_busy():
                    return
                time.sleep(0.02)
        raise AssertionError(f"{worker.log.stem} never had a job")

    def all_done(self) -> list[Any]:
        """Wait until every series that was sent has ended."""
        return self.node.ended_jobs(self.sent, 300)


@pytest.fixture(params=["a shared folder", "an object store"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    """The machines `one`, `two`, `three` and `four`, and no worker yet."""
    has_folder = request.param == "a shared folder"
    with ExitStack() as opened:
        machines = opened.enter_context(Machines("one", "two", "three", "four"))
        server = opened.enter_context(postgres_server(address=ADDRESS))
        pacs = opened.enter_context(RecordingScp(free_port()))
        store = {} if has_folder else opened.enter_context(seaweed(tmp_path / "weed", STORE_ADDRESS)).settings
        url = server.new_database()
        node = Node(
            tmp_path / "front",
            f"pacs=TESTPACS@127.0.0.1:{pacs.port}",
            tiny_bundle(tmp_path / "model"),
            database_url=url,
            lease_seconds=SHORT_LEASE_SECONDS,
            work="complete",
            **store,
        )
        node.storage.mkdir(parents=True)
        node.cli("db", "upgrade")
        for role in ("receive", "deliver") if has_folder else ("receive", "deliver", "work"):
            command = [sys.executable, "-m", "dicom_node.cli", role]
            opened.enter_context(program(command, tmp_path / f"{role}.log", environment=node.environment))
        until(lambda: listens(node.port), "receiver listening", 90, tmp_path / "receive.log")
        yield Site(tmp_path, machines, node, server.url_over_network(url), pacs, has_folder=has_folder)


def _nothing_lost_or_doubled(site: Site) -> None:
    jobs = site.all_done()
    assert [(job.id, str(job.state), job.reason) for job in jobs if str(job.state) != "done"] == []
    assert len(jobs) == len({job.series_instance_uid for job in jobs}) == site.sent
    database = open_database(site.node.database_url)
    try:
        rows = [DeliveryTable(database).list(job.id) for job in jobs]
        written = [sum(event.what == "results written" for event in site.node.jobs.events(job.id)) for job in jobs]
    finally:
        database.close()
    assert [len(deliveries) for deliveries in rows] == [1] * site.sent
    assert written == [1] * site.sent, "a result was committed twice"
    objects = {str(dataset.SOPInstanceUID) for dataset in site.pacs.datasets}
    assert len(set(site.pacs.kept)) == len(objects), "same UID, other content"
    assert len(site.pacs.kept) == len(objects), "an object was sent twice"
    assert len({str(dataset.SOPInstanceUID) for dataset in site.pacs.of_modality("SEG")}) == site.sent
    for job in jobs:
        (delivery,) = rows[jobs.index(job)]
        assert len({Path(file).parent for file in delivery.files}) == 1
        assert all((site.node.storage / file).is_file() for file in delivery.files)
    assert list((site.node.storage / "outbox" / "unfinished").iterdir()) == []


def test_each_worker_has_its_own_fault(site: Site) -> None:
    """One is cut off from the database in the middle of a job, one loses the storage, one is killed: a fourth does the
    work; those that come back go on by themselves, and nothing is lost, doubled or stuck."""
    with site.worker("two") as two, site.worker("one") as one, site.worker("three") as three:
        site.send_until_busy(one)
        site.machines.cut_off("one")
        site.send_until_busy(two)
        site.take_storage("two", two)
        site.send_until_busy(three)
        os.kill(three.process.pid, signal.SIGKILL)
        site.send(2)
        with site.worker("four"):
            site.all_done()
        assert (one.process.poll(), two.process.poll()) == (None, None), "a fault ended a worker"
        assert site.nothing_beside(two), "something was written below the mount point"
        site.machines.join("one")
        site.give_storage("two", two)
        _works_alone(site, two, beside=one)
        _works_alone(site, one, beside=two)
    _nothing_lost_or_doubled(site)


@pytest.mark.parametrize("site", ["an object store"], indirect=True)
def test_a_second_machine_that_receives_is_refused(site: Site) -> None:
    """It opens no port and says what to do, by `config check` too, before it has taken anything; the first one goes
    on."""
    until(
        lambda: "sharing by the object store" in (site.folder / "deliver.log").read_text(),
        "the first one known",
        120,
        site.folder / "deliver.log",
    )
    environment = {
        **site.node.environment,
        "WMH_NODE_DATABASE_URL": site.over_network,
        "WMH_NODE_STORAGE": str(site.folder / "second"),
    }
    for command in (["receive"], ["serve"], ["config", "check"]):
        program = [*site.machines.inside("one"), sys.executable, "-m", "dicom_node.cli", *command]
        done = subprocess.run(
            program, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=240, check=False
        )
        assert done.returncode not in (0, None), done.stderr
        assert "another machine receives" in " ".join((done.stdout + done.stderr).split()), done.stdout + done.stderr
    site.send(1)
    with site.worker("two"):
        _nothing_lost_or_doubled(site)


def _works_alone(site: Site, worker: Worker, beside: Worker) -> None:
    """While the other one is halted, this one takes the next job."""
    os.kill(beside.process.pid, signal.SIGSTOP)
    try:
        before = worker.claims
        site.send(1)
        site.all_done()
        assert worker.claims > before
    finally:
        os.kill(beside.process.pid, signal.SIGCONT)
