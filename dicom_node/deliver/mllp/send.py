"""One report to an HL7 v2 receiver, and the outcome by its acknowledgment."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from dicom_node.deliver.mllp.acknowledgment import Acknowledged, Verdict, acknowledged
from dicom_node.deliver.mllp.addressed import addressed
from dicom_node.deliver.mllp.connection import MllpCall, NoAnswer, NoConnection, connected, exchange
from dicom_node.deliver.send.scu import SendOutcome
from dicom_node.node.errors import ConfigurationError, DeliveryError
from dicom_node.node.hl7_text import NotHl7, parse_message

__all__ = ["MllpCall", "look_at_receiver", "send_message"]

# The C-STORE statuses of the same meaning, by which deliveries go: success; data set does not match SOP class.
_SUCCESS: Final = 0x0000
_REFUSED: Final = 0xA900


def send_message(paths: Sequence[Path], call: MllpCall, go_on: Callable[[SendOutcome], bool]) -> list[SendOutcome]:
    """Send reports, each in a connection of its own.

    Args:
        paths: files with one HL7 message each.
        call: the receiver, and how to call it.
        go_on: asked after each; where it says no, those behind it are not tried.

    Returns:
        One outcome per path, in the order of `paths`.
    """
    outcomes: list[SendOutcome] = []
    for path in paths:
        outcomes.append(_send(path, call))
        if not go_on(outcomes[-1]):
            break
    left = paths[len(outcomes) :]
    return [*outcomes, *(SendOutcome(path, None, False, "not tried: one before it was not taken") for path in left)]


def look_at_receiver(call: MllpCall) -> None:
    """Connect, to see that address and TLS are right; nothing is sent.

    Raises:
        DeliveryError: what is wrong.
    """
    try:
        with connected(call):
            return
    except NoConnection as error:
        raise DeliveryError(f"{call.destination.name}: {error}") from error
    except ConfigurationError as error:
        raise DeliveryError(str(error)) from error


def _send(path: Path, call: MllpCall) -> SendOutcome:
    try:
        message = addressed(parse_message(path.read_bytes()), call.destination)
    except OSError as error:
        return SendOutcome(path, None, False, f"cannot be read: {error.strerror}")
    except NotHl7 as error:
        return SendOutcome(path, None, False, f"the report in the outbox is damaged: {error}")
    try:
        with connected(call) as connection:
            said = acknowledged(exchange(connection, message.as_bytes(), call), message)
    except (NoConnection, ConfigurationError) as error:
        return SendOutcome(path, None, False, str(error))
    except NoAnswer as error:
        return SendOutcome(path, None, False, str(error), lost=True)
    except NotHl7 as error:
        return SendOutcome(path, None, False, str(error), lost=True, answered=True)
    return _outcome(path, said)


def _outcome(path: Path, said: Acknowledged) -> SendOutcome:
    answer = f"answer {said.code}"
    match said.verdict:
        case Verdict.ACCEPTED:
            return SendOutcome(path, _SUCCESS, True, said.words, answered=True, answer=answer)
        case Verdict.REFUSED:
            return SendOutcome(path, _REFUSED, False, said.words, answered=True, answer=answer)
        case Verdict.LATER:
            return SendOutcome(path, None, False, said.words, answered=True, answer=answer)
