"""The states of a delivery, and the only ways between them.

Source: docs/maintainer/architecture.md, "Proof of delivery".

| action    | from                                     | to         | when                                            |
|-----------|------------------------------------------|------------|-------------------------------------------------|
| stored    | pending                                  | sent       | the destination has stored every object         |
| give up   | pending                                  | given_up   | it does not store all, or was tried long enough |
| cancel    | pending                                  | cancelled  | with its job, or for a newer result             |
| prove     | sent, unanswered                         | committed  | it says that it holds all, also when late       |
| resend    | sent                                     | pending    | it says that it lacks objects: these are sent   |
| refuse    | sent, unanswered                         | refused    | it says so again and again, or gives no proof   |
| no answer | sent                                     | unanswered | it was asked for its proof twice, in vain       |
| retry     | given_up, cancelled, refused, unanswered | pending    | an administrator retries the job                |
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from db.errors import IllegalTransition
from db.records import DeliveryState


class DeliveryAction(StrEnum):
    """What moves a delivery."""

    STORED = "stored"
    GIVE_UP = "give up"
    CANCEL = "cancel"
    PROVE = "prove"
    RESEND = "resend"
    REFUSE = "refuse"
    NO_ANSWER = "no answer"
    RETRY = "retry"


_S = DeliveryState
DELIVERY_TRANSITIONS: Final[Mapping[DeliveryAction, tuple[frozenset[DeliveryState], DeliveryState]]] = {
    DeliveryAction.STORED: (frozenset({_S.PENDING}), _S.SENT),
    DeliveryAction.GIVE_UP: (frozenset({_S.PENDING}), _S.GIVEN_UP),
    DeliveryAction.CANCEL: (frozenset({_S.PENDING}), _S.CANCELLED),
    DeliveryAction.PROVE: (frozenset({_S.SENT, _S.UNANSWERED}), _S.COMMITTED),
    DeliveryAction.RESEND: (frozenset({_S.SENT}), _S.PENDING),
    DeliveryAction.REFUSE: (frozenset({_S.SENT, _S.UNANSWERED}), _S.REFUSED),
    DeliveryAction.NO_ANSWER: (frozenset({_S.SENT}), _S.UNANSWERED),
    DeliveryAction.RETRY: (frozenset({_S.GIVEN_UP, _S.CANCELLED, _S.REFUSED, _S.UNANSWERED}), _S.PENDING),
}


def after(action: DeliveryAction, delivery_id: int, state: DeliveryState) -> DeliveryState:
    """The state that an action leads to.

    Raises:
        IllegalTransition: names the delivery's state and the states that allow the action.
    """
    allowed, new = DELIVERY_TRANSITIONS[action]
    if state not in allowed:
        expected = ", ".join(sorted(allowed))
        raise IllegalTransition(f"cannot {action} delivery {delivery_id}: it is {state}, expected {expected}")
    return new


def states_before(action: DeliveryAction) -> list[str]:
    """The states that allow an action, as the column holds them."""
    return sorted(state.value for state in DELIVERY_TRANSITIONS[action][0])
