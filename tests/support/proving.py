"""Result sets on their way to a real peer, with what proves them: the node's own parts, one step at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from db.deliveries import DeliveryTable
from db.engine import Database, open_database
from db.jobs import JobTable
from db.proofs import ProofTable
from db.records import Delivery, NewDelivery
from dicom_node.deliver.deliverer import Deliverer
from dicom_node.deliver.patience import DeliveryPatience
from dicom_node.deliver.paused import PausedDestinations
from dicom_node.deliver.prover import Prover
from dicom_node.node.destinations import AnyDestination
from dicom_node.node.settings import Settings
from dicom_node.serve.peer_calls import PeerCalls


@dataclass
class Proving:
    """A deliverer and a prover on one database."""

    storage: Path
    database: Database
    deliverer: Deliverer
    prover: Prover
    _series: int = 0

    def deliver(self, files: Sequence[Path], *names: str) -> int:
        """A job whose result set is these files, which lie under the storage; returns its number."""
        self._series += 1
        jobs = JobTable(self.database)
        job = jobs.enqueue(f"1.2.3.{self._series}", f"{self._series:064x}", 1)
        assert jobs.claim("worker", 60) is not None
        paths = [str(file.relative_to(self.storage)) for file in files]
        jobs.deliver(job.id, "worker", {}, [NewDelivery(name, paths) for name in names])
        return job.id

    def standing(self, job_id: int) -> tuple[list[str], str]:
        """States of the deliveries and of the job."""
        return [str(row.state) for row in self.rows(job_id)], str(JobTable(self.database).get(job_id).state)

    def rows(self, job_id: int) -> list[Delivery]:
        """Its deliveries."""
        return DeliveryTable(self.database).list(job_id)

    def events(self, job_id: int) -> list[str]:
        """Its timeline, in words that do not vary."""
        return [event.what for event in JobTable(self.database).events(job_id)]


@contextmanager
def proving(
    storage: Path,
    url: str,
    destinations: Mapping[str, AnyDestination],
    clock: Any = None,
    commit_seconds: float = 3600.0,
) -> Any:
    """A `Proving` while the block lasts; the database has its tables already."""
    database = open_database(url) if clock is None else open_database(url, clock)
    with closing(database):
        table, paused = DeliveryTable(database), PausedDestinations()
        patience = DeliveryPatience(30, 3600, 7 * 86_400)
        calls = PeerCalls(Settings(storage=storage, database_url=url))
        deliverer = Deliverer("deliver", table, destinations, storage, calls.send, patience, 60, paused)
        prover = Prover(
            "prove", ProofTable(database), destinations, storage, calls.ask, calls.find_missing, patience,
            commit_seconds, 60, paused, table.heartbeat, database.clock,
        )  # fmt: skip
        yield Proving(storage, database, deliverer, prover)
