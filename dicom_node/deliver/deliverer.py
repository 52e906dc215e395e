"""The deliverer: takes delivery rows that are due, sends their files, and writes down what the destination said."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from db.deliveries import DeliveryTable
from db.errors import LeaseLost, UnknownRow
from db.records import Delivery, Proof
from dicom_node.deliver.attempt import Attempt
from dicom_node.deliver.failure import FilesLost, NotDelivered, failure_of, limited
from dicom_node.deliver.patience import DeliveryPatience
from dicom_node.deliver.paused import PausedDestinations
from dicom_node.deliver.send import SendOutcome
from dicom_node.node import metrics
from dicom_node.node.destinations import AnyDestination
from dicom_node.node.errors import StorageTrouble
from dicom_node.node.heartbeat import Heartbeat
from dicom_node.node.logger import get_logger
from dicom_node.node.logs import describe_error

log = get_logger()

IDLE_SECONDS = 0.5
# After a failed connection the other rows of that destination wait this long without trying: each try may cost a
# timeout, and the rows of healthy destinations stand behind them.
_DOWN_SECONDS = 15.0


class Send(Protocol):
    """`dicom_node.deliver.send.send_files` with our own AE title filled in."""

    def __call__(
        self, paths: Sequence[Path], destination: AnyDestination, go_on: Callable[[SendOutcome], bool]
    ) -> list[SendOutcome]:
        """One outcome per path; what comes after one that does not `go_on` is not tried."""


class Deliverer:
    """Sends what is due, one row at a time.

    Args:
        owner: name of the lease's holder, unique to this thread.
        deliveries: the delivery table.
        destinations: by name.
        storage: where the paths of files start.
        send: sends files to a destination.
        lease_seconds: a row whose sender died is taken again after that long; sending twice is harmless (same UIDs,
            same bytes).
        paused: shared between the deliverers of one process.
        has_settled: whether the machine's clock was not set in the last seconds, see `ClockWatch`.
        fetch: fetches files of the outbox that other machines made; None: there are none.
    """

    def __init__(
        self,
        owner: str,
        deliveries: DeliveryTable,
        destinations: Mapping[str, AnyDestination],
        storage: Path,
        send: Send,
        patience: DeliveryPatience,
        lease_seconds: float,
        paused: PausedDestinations,
        has_settled: Callable[[float], bool] = lambda _seconds: True,
        fetch: Callable[[Sequence[str]], None] | None = None,
    ) -> None:
        self._owner = owner
        self._deliveries = deliveries
        self._destinations = destinations
        self._storage = storage
        self._send = send
        self._patience = patience
        self._lease_seconds = lease_seconds
        self._paused = paused
        self._has_settled = has_settled
        self._fetch = fetch

    def step(self) -> float:
        """For `run_until_stopped`; a row that is being sent is finished before it returns."""
        return 0.0 if self.deliver_once() else IDLE_SECONDS

    def deliver_once(self) -> bool:
        """Take one due row and try it; False when none is due."""
        take_over = self._has_settled(self._lease_seconds)
        skip = self._paused.names()
        delivery = self._deliveries.claim(self._owner, self._lease_seconds, skip, take_over=take_over)
        if delivery is None:
            return False
        try:
            with self._paused.sending_to(delivery.destination):
                self._try(delivery)
        except (LeaseLost, UnknownRow):
            log.warning("delivery taken over by another sender", delivery=delivery.id, job=delivery.job_id)
        return True

    def _try(self, delivery: Delivery) -> None:
        """One attempt, and what it comes to."""
        try:
            proof = self._send_set(delivery)
        except FilesLost as lost:
            queued = self._deliveries.files_lost(delivery.id, self._owner, str(lost))
            facts = {"delivery": delivery.id, "job": delivery.job_id}
            log.error("results lost", **facts, reason=str(lost), made_again=queued)  # noqa: TRY400 - the reason says it
        except NotDelivered as failure:
            self._note(delivery, failure)
        else:
            self._paused.up(delivery.destination)
            self._deliveries.sent(delivery.id, self._owner, proof)
            metrics.delivery_attempted(delivery.destination, "sent")
            if (seconds := self._deliveries.seconds_to_result(delivery.job_id)) is not None:
                metrics.result_proven(seconds)
            log.info("result set sent", delivery=delivery.id, job=delivery.job_id, destination=delivery.destination)

    def _send_set(self, delivery: Delivery) -> Proof | None:
        """Send every file of a delivery that the destination lacks; returns what it promises to prove.

        Raises:
            NotDelivered, FilesLost: the destination does not hold every file.
        """
        destination = self._destinations.get(delivery.destination)
        if destination is None:
            raise self._later(delivery, f"destination {delivery.destination!r} is no longer in the settings")
        files = self._files(delivery)
        attempt = Attempt(files)
        with Heartbeat(self._beat(delivery.id), self._lease_seconds / 3):
            try:
                self._send(files, destination, attempt.go_on)
            except Exception as error:
                # The edge towards peers: what an unforeseen answer breaks must not end the deliveries to the others.
                attempt.broke(describe_error(error))
        if not attempt.sent:
            raise failure_of(attempt, delivery, destination.options, self._patience, self._deliveries.newer_waits)
        return None if destination.proof is None else Proof(destination.proof)

    def _files(self, delivery: Delivery) -> list[Path]:
        """The files of a delivery, all of them there."""
        files = [self._storage / file for file in delivery.files_to_send]
        self._fetch_missing(delivery)
        try:
            missing = [file.name for file in files if not file.exists()]
        except OSError as error:
            raise self._later(delivery, f"the outbox cannot be read: {error.strerror}") from error
        if not missing:
            return files
        reason = f"{', '.join(missing)} missing in the outbox"
        if not (self._storage / "outbox").is_dir():  # then nothing is lost, the storage is away
            raise self._later(delivery, f"{reason}, and the outbox is missing too: is STORAGE mounted?")
        raise FilesLost(reason)

    def _fetch_missing(self, delivery: Delivery) -> None:
        """A result set that another machine made is in the object store."""
        if self._fetch is None:
            return
        try:
            self._fetch([file for file in delivery.files_to_send if not (self._storage / file).exists()])
        except (StorageTrouble, OSError) as error:
            words = str(error) if isinstance(error, StorageTrouble) else describe_error(error)
            raise self._later(delivery, f"the result set is not here yet: {words}") from error

    def _later(self, delivery: Delivery, reason: str) -> NotDelivered:
        return limited(NotDelivered(reason), delivery, self._patience)

    def _beat(self, delivery_id: int) -> Callable[[], bool]:
        return lambda: self._deliveries.heartbeat(delivery_id, self._owner, self._lease_seconds)

    def _note(self, delivery: Delivery, failure: NotDelivered) -> None:
        """Give the delivery up, or say when it is tried again: the failure's type decides."""
        facts = {"delivery": delivery.id, "job": delivery.job_id, "destination": delivery.destination}
        if failure.silent:
            self._paused.down(delivery.destination, min(_DOWN_SECONDS, self._patience.first_seconds / 2))
        if failure.permanent:
            words = f"{delivery.destination}: {failure}"
            self._deliveries.give_up(delivery.id, self._owner, words, report_out=failure.report_out)
            metrics.delivery_attempted(delivery.destination, "given_up")
            log.error("delivery given up", **facts, reason=str(failure))
            return
        wait = max(self._patience.wait_after(delivery.attempts), failure.wait_seconds)
        self._deliveries.postpone(
            delivery.id, self._owner, str(failure), wait, refused=failure.refused, report_out=failure.report_out
        )
        metrics.delivery_attempted(delivery.destination, "postponed")
        log.warning(
            "result set not sent yet", **facts, attempt=delivery.attempts, next_in_seconds=wait, reason=str(failure)
        )
