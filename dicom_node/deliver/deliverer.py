"""The deliverer: takes delivery rows that are due, sends their files, and writes down what the destination said."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import structlog

from db.deliveries import DeliveryTable
from db.engine.values import storable
from db.errors import LeaseLost, UnknownRow
from db.records import Delivery
from dicom_node.deliver.attempt import Attempt
from dicom_node.deliver.patience import REFUSALS_BELIEVED, DeliveryPatience
from dicom_node.deliver.paused import PausedDestinations
from dicom_node.deliver.send import SendOutcome
from dicom_node.deliver.send.result_classes import remedy
from dicom_node.node import metrics
from dicom_node.node.heartbeat import Heartbeat
from dicom_node.node.logs import describe_error
from dicom_node.node.profiles import DeliveryOptions
from dicom_node.node.settings import Destination

log = structlog.get_logger()

IDLE_SECONDS = 0.5
# After a failed connection the other rows of that destination wait this long without trying: each try may cost a
# timeout, and the rows of healthy destinations stand behind them.
_DOWN_SECONDS = 15.0


class Send(Protocol):
    """`dicom_node.deliver.send.send_files` with our own AE title filled in."""

    def __call__(
        self, paths: Sequence[Path], destination: Destination, go_on: Callable[[SendOutcome], bool]
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
    """

    def __init__(
        self,
        owner: str,
        deliveries: DeliveryTable,
        destinations: Mapping[str, Destination],
        storage: Path,
        send: Send,
        patience: DeliveryPatience,
        lease_seconds: float,
        paused: PausedDestinations,
        has_settled: Callable[[float], bool] = lambda _seconds: True,
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
        destination = self._destinations.get(delivery.destination)
        if destination is None:
            self._again(delivery, f"destination {delivery.destination!r} is no longer in the settings")
            return
        files = [self._storage / file for file in delivery.files]
        try:
            missing = [file.name for file in files if not file.exists()]
        except OSError as error:
            self._again(delivery, f"the outbox cannot be read: {error.strerror}")
            return
        if missing:
            self._make_again(delivery, f"{', '.join(missing)} missing in the outbox")
            return
        with Heartbeat(self._beat(delivery.id), self._lease_seconds / 3):
            attempt = self._send_in_order(files, destination)
        self._settle(delivery, attempt, destination.options)

    def _send_in_order(self, files: Sequence[Path], destination: Destination) -> Attempt:
        """Send one file after the other, as far as the answers allow."""
        attempt = Attempt(files)
        try:
            self._send(files, destination, attempt.go_on)
        except Exception as error:
            # The edge towards peers: what an unforeseen answer breaks must not end the deliveries to the others.
            attempt.broke(describe_error(error))
        return attempt

    def _beat(self, delivery_id: int) -> Callable[[], bool]:
        return lambda: self._deliveries.heartbeat(delivery_id, self._owner, self._lease_seconds)

    def _settle(self, delivery: Delivery, attempt: Attempt, options: DeliveryOptions) -> None:
        if attempt.sent:
            self._paused.up(delivery.destination)
            self._deliveries.sent(delivery.id, self._owner)
            metrics.delivery_attempted(delivery.destination, "sent")
            if (seconds := self._deliveries.seconds_to_result(delivery.job_id)) is not None:
                metrics.result_proven(seconds)
            log.info("result set sent", delivery=delivery.id, job=delivery.job_id, destination=delivery.destination)
            return
        refused = self._is_refusal(delivery, attempt)
        if refused and delivery.refusals + 1 >= REFUSALS_BELIEVED:
            retry = f"`wmh-node jobs retry {delivery.job_id}`"
            todo = remedy((one.unsupported for one in attempt.refused), options, retry)
            words = f"{attempt.words()}. What to do: {todo}" if todo else attempt.words()
            times = f"{delivery.attempts if attempt.may_pass else REFUSALS_BELIEVED} times"
            self._give_up(delivery, f"refused {times}: {words}", report_out=attempt.report_out)
            return
        if attempt.is_partial and (newer := self._deliveries.newer_waits(delivery)) is not None:
            words = f"{attempt.words()}; not tried again, since the newer result of job {newer} waits for it"
            self._give_up(delivery, words, report_out=attempt.report_out)
            return
        if attempt.silent:
            seconds = min(_DOWN_SECONDS, self._patience.first_seconds / 2)
            self._paused.down(delivery.destination, seconds)
        self._again(delivery, attempt.words(), refused=refused, report_out=attempt.report_out)

    def _is_refusal(self, delivery: Delivery, attempt: Attempt) -> bool:
        """Whether the attempt counts as one more refusal in a row; what may pass, when it is the same as before."""
        tried = self._patience.tried_seconds(delivery.attempts)
        if not attempt.was_refused(tried, self._patience.believed_after_seconds):
            return False
        return not attempt.may_pass or storable(attempt.words()) == delivery.reason

    def _again(self, delivery: Delivery, reason: str, *, refused: bool = False, report_out: bool = False) -> None:
        tried = self._patience.tried_seconds(delivery.attempts)
        if tried > self._patience.total_seconds:
            words = f"not delivered in {tried / 86_400:.1f} days; last: {reason}"
            self._give_up(delivery, words, report_out=report_out)
            return
        wait = self._patience.wait_after(delivery.attempts)
        self._deliveries.postpone(delivery.id, self._owner, reason, wait, refused=refused, report_out=report_out)
        metrics.delivery_attempted(delivery.destination, "postponed")
        log.warning(
            "result set not sent yet",
            delivery=delivery.id,
            job=delivery.job_id,
            destination=delivery.destination,
            attempt=delivery.attempts,
            next_in_seconds=wait,
            reason=reason,
        )

    def _make_again(self, delivery: Delivery, reason: str) -> None:
        if not (self._storage / "outbox").is_dir():  # then nothing is lost, the storage is away
            self._again(delivery, f"{reason}, and the outbox is missing too: is STORAGE mounted?")
            return
        queued = self._deliveries.files_lost(delivery.id, self._owner, reason)
        log.error("results lost", delivery=delivery.id, job=delivery.job_id, reason=reason, made_again=queued)

    def _give_up(self, delivery: Delivery, reason: str, *, report_out: bool) -> None:
        words = f"{delivery.destination}: {reason}"
        self._deliveries.give_up(delivery.id, self._owner, words, report_out=report_out)
        metrics.delivery_attempted(delivery.destination, "given_up")
        log.error(
            "delivery given up",
            delivery=delivery.id,
            job=delivery.job_id,
            destination=delivery.destination,
            reason=reason,
        )
