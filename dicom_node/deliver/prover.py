"""The prover: asks destinations that have stored a set for the proof that they promised, and writes down the answer."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final, Protocol

from db.errors import LeaseLost, UnknownRow
from db.proofs import ProofTable
from db.records import CommitmentObject, Delivery, Proof
from dicom_node.deliver.commit.ask import ProofNotOffered, TakeReport
from dicom_node.deliver.commit.taking import take_report
from dicom_node.deliver.deliverer import IDLE_SECONDS
from dicom_node.deliver.patience import DeliveryPatience
from dicom_node.deliver.paused import PausedDestinations
from dicom_node.deliver.send.object_file import read_object_file
from dicom_node.deliver.verify.sent_object import SentObject, read_sent_object
from dicom_node.node import metrics
from dicom_node.node.clock import ClockWatch, clock_watch
from dicom_node.node.commitment import Reference
from dicom_node.node.destinations import AnyDestination, Destination
from dicom_node.node.errors import DeliveryError
from dicom_node.node.heartbeat import Heartbeat
from dicom_node.node.logger import get_logger
from dicom_node.node.logs import describe_error

log = get_logger()

_MOST_QUESTIONS: Final = 2
# An archive lists an object a moment after it has stored it.
_LOOK_AGAIN_SECONDS: Final = (1.0, 3.0)


class Ask(Protocol):
    """`dicom_node.deliver.commit.ask.ask_commitment` with our own AE title filled in."""

    def __call__(
        self, destination: Destination, transaction_uid: str, objects: Sequence[Reference], take: TakeReport
    ) -> bool:
        """Whether the report came at once."""


FindMissing = Callable[[AnyDestination, Sequence[SentObject]], list[SentObject]]
"""C-FIND or QIDO-RS: the objects that a destination does not list."""


class Prover:
    """Asks for what is due, one delivery at a time.

    Args:
        owner: name of the lease's holder, unique to this thread.
        proofs: the table of deliveries to prove.
        destinations: by name.
        storage: where the paths of files start.
        ask: asks for storage commitment.
        find_missing: looks objects up.
        patience: how long a destination is asked that does not answer.
        commit_seconds: how long a report of storage commitment is awaited.
        lease_seconds: a row whose prover died is taken again after that long.
        paused: shared between the deliverers of one process.
        beat: renews the lease of a delivery.
        now: the database's clock.
        watch: whether the machine's clock was not set lately.
    """

    def __init__(
        self,
        owner: str,
        proofs: ProofTable,
        destinations: Mapping[str, AnyDestination],
        storage: Path,
        ask: Ask,
        find_missing: FindMissing,
        patience: DeliveryPatience,
        commit_seconds: float,
        lease_seconds: float,
        paused: PausedDestinations,
        beat: Callable[[int, str, float], bool],
        now: Callable[[], datetime],
        watch: ClockWatch | None = None,
    ) -> None:
        self._owner = owner
        self._proofs = proofs
        self._destinations = destinations
        self._storage = storage
        self._ask = ask
        self._find_missing = find_missing
        self._patience = patience
        self._commit_seconds = commit_seconds
        self._lease_seconds = lease_seconds
        self._paused = paused
        self._beat = beat
        self._now = now
        self._watch = watch or clock_watch()

    def step(self) -> float:
        """For `run_until_stopped`; a question that was asked is finished before it returns."""
        return 0.0 if self.prove_once() else IDLE_SECONDS

    def prove_once(self) -> bool:
        """Take one delivery whose question is due, and ask it; False when none is due."""
        take_over = self._watch.has_settled(self._lease_seconds)
        delivery = self._proofs.claim(self._owner, self._lease_seconds, self._paused.names(), take_over=take_over)
        if delivery is None:
            return False
        try:
            with self._paused.sending_to(delivery.destination):
                self._prove(delivery)
        except (LeaseLost, UnknownRow):
            log.info("proven in another way meanwhile", delivery=delivery.id, job=delivery.job_id)
        return True

    def _prove(self, delivery: Delivery) -> None:
        facts = {"delivery": delivery.id, "job": delivery.job_id, "destination": delivery.destination}
        try:
            with Heartbeat(lambda: self._beat(delivery.id, self._owner, self._lease_seconds), self._lease_seconds / 3):
                outcome = self._question(delivery)
        except ProofNotOffered as error:
            self._proofs.refused(delivery.id, self._owner, str(error))
            log.error("delivery cannot be proven", **facts, reason=str(error))  # noqa: TRY400 - the reason says it
            outcome = "refused"
        except DeliveryError as error:
            outcome = self._later(delivery, str(error))
        except (LeaseLost, UnknownRow):
            raise
        except Exception as error:  # the edge towards peers: an unforeseen answer must not end the other deliveries
            outcome = self._later(delivery, describe_error(error))
        metrics.delivery_attempted(delivery.destination, outcome)

    def _question(self, delivery: Delivery) -> str:
        """Ask, and write down the answer; returns the outcome for the metrics."""
        destination = self._destinations.get(delivery.destination)
        if destination is None:
            raise DeliveryError(f"destination {delivery.destination!r} is no longer in the settings")
        if delivery.proof is Proof.COMMIT and isinstance(destination, Destination):
            return self._ask_commitment(delivery, destination)
        return self._verify(delivery, destination)

    # Storage commitment

    def _ask_commitment(self, delivery: Delivery, destination: Destination) -> str:
        if (asked := self._proofs.questions(delivery.id)) >= _MOST_QUESTIONS:
            hours = asked * self._commit_seconds / 3600
            reason = f"stored, but no report of storage commitment in {hours:.1f} hours after {asked} requests"
            todo = f"does {destination.ae_title} know the port of our receiver? A report that comes later still counts"
            self._proofs.unanswered(delivery.id, self._owner, f"{reason}; {todo}")
            log.error("storage commitment unanswered", delivery=delivery.id, job=delivery.job_id)
            return "unanswered"
        objects = [self._commitment_object(file) for file in delivery.files_to_send]
        transaction_uid = f"2.25.{uuid.uuid4().int}"
        self._proofs.begin(delivery.id, self._owner, transaction_uid, objects)
        references = [Reference(obj.sop_class_uid, obj.sop_instance_uid) for obj in objects]
        if self._ask(destination, transaction_uid, references, take_report(self._proofs)):
            return "reported"
        self._proofs.asked(delivery.id, self._owner, transaction_uid, self._commit_seconds)
        return "asked"

    def _commitment_object(self, file: str) -> CommitmentObject:
        found = read_object_file(self._storage / file)
        return CommitmentObject(found.sop_class_uid, found.sop_instance_uid, file)

    # Verification

    def _verify(self, delivery: Delivery, destination: AnyDestination) -> str:
        by_path = {self._storage / file: file for file in delivery.files_to_send}
        objects = [read_sent_object(path) for path in by_path]
        missing = self._find_missing(destination, objects)
        for seconds in _LOOK_AGAIN_SECONDS:
            if not missing:
                break
            time.sleep(seconds)
            missing = self._find_missing(destination, missing)
        if missing:
            files = {by_path[obj.path]: "stored, but not listed when asked" for obj in missing}
            self._proofs.lacking(delivery.id, self._owner, files)
            return "missing"
        self._proofs.proven(delivery.id, self._owner, "lists every object")
        if (waited := self._proofs.seconds_to_result(delivery.job_id)) is not None:
            metrics.result_proven(waited)
        return "verified"

    def _later(self, delivery: Delivery, reason: str) -> str:
        """Ask again after a tenth of the time that was spent on it, as long as the patience allows."""
        age = max((self._now() - delivery.created_at).total_seconds(), 0.0)
        # Without a reason no question has failed yet: one failure after a week's silence of ours ends nothing.
        if age > self._patience.total_seconds and delivery.reason is not None:
            self._proofs.unanswered(
                delivery.id, self._owner, f"stored, but not proven in {age / 86_400:.1f} days: {reason}"
            )
            return "unanswered"
        wait = min(max(age / 10, self._patience.first_seconds), self._patience.longest_seconds)
        self._proofs.postpone(delivery.id, self._owner, reason, wait)
        facts = {"delivery": delivery.id, "destination": delivery.destination}
        log.warning("delivery not proven yet", **facts, next_in_seconds=wait, reason=reason)
        return "not_proven"
