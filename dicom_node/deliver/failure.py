"""Why a result set was not delivered. Whether another attempt can help is in the error's type (`permanent`)."""

from __future__ import annotations

from collections.abc import Callable

from db.records import Delivery
from dicom_node.deliver.attempt import Attempt
from dicom_node.deliver.patience import REFUSALS_BELIEVED, DeliveryPatience
from dicom_node.deliver.send.result_classes import remedy
from dicom_node.node.errors import DeliveryError
from dicom_node.node.profiles import DeliveryOptions


class NotDelivered(DeliveryError):
    """The destination does not hold every file; a later attempt may succeed.

    `refused`: the attempt counts as one more refusal in a row. `report_out`: the destination has the report, or may
    have it. `silent`: there was no answer at all. `wait_seconds`: the destination asked not to be tried earlier.
    """

    def __init__(
        self,
        reason: str,
        *,
        refused: bool = False,
        report_out: bool = False,
        silent: bool = False,
        wait_seconds: float = 0.0,
    ) -> None:
        self.wait_seconds = wait_seconds
        self.refused = refused
        self.report_out = report_out
        self.silent = silent
        super().__init__(reason)


class GivenUp(NotDelivered):
    """The destination does not take it, or it was tried for long enough."""

    permanent = True


class FilesLost(DeliveryError):
    """Files of the result set are gone from the outbox: it is made again."""


def failure_of(
    attempt: Attempt,
    delivery: Delivery,
    options: DeliveryOptions,
    patience: DeliveryPatience,
    newer_waits: Callable[[Delivery], int | None],
) -> NotDelivered:
    """What an attempt that did not store every file comes to.

    Args:
        attempt: ended.
        delivery: as it was claimed.
        options: what the destination is sent.
        patience: how long it is tried.
        newer_waits: the job of a newer result that waits for this one, see `DeliveryTable`.
    """
    words, report_out = attempt.words(), attempt.report_out
    refused = _is_refusal(attempt, delivery, patience)
    if refused and delivery.refusals + 1 >= REFUSALS_BELIEVED:
        todo = remedy(
            (file.unsupported for file in attempt.refused), options, f"`wmh-node jobs retry {delivery.job_id}`"
        )
        times = delivery.attempts if attempt.may_pass else REFUSALS_BELIEVED
        what_to_do = f". What to do: {todo}" if todo else ""
        return GivenUp(f"refused {times} times: {words}{what_to_do}", report_out=report_out)
    if attempt.is_partial and (newer := newer_waits(delivery)) is not None:
        reason = f"{words}; not tried again, since the newer result of job {newer} waits for it"
        return GivenUp(reason, report_out=report_out)
    failure = NotDelivered(
        words, refused=refused, report_out=report_out, silent=attempt.silent, wait_seconds=attempt.wait_seconds
    )
    return limited(failure, delivery, patience)


def limited(failure: NotDelivered, delivery: Delivery, patience: DeliveryPatience) -> NotDelivered:
    """The failure itself, or that it was tried for long enough."""
    tried = patience.tried_seconds(delivery.attempts)
    if tried <= patience.total_seconds:
        return failure
    reason = f"not delivered in {tried / 86_400:.1f} days; last: {failure}"
    return GivenUp(reason, report_out=failure.report_out, silent=failure.silent)


def _is_refusal(attempt: Attempt, delivery: Delivery, patience: DeliveryPatience) -> bool:
    """Whether the attempt counts as one more refusal in a row; what may pass, when the same objects are not taken as
    before."""
    tried = patience.tried_seconds(delivery.attempts)
    if not attempt.was_refused(tried, patience.believed_after_seconds):
        return False
    return not attempt.may_pass or attempt.is_as_before(delivery.reason)
