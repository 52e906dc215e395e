"""The upper layer state machine, seen from the acceptor (PS3.8 9.2, table 9-10).

A table, so that it can be read beside the standard. Left out are the states that an acceptor which never asks for a
release cannot reach (Sta4, Sta5, Sta7, Sta9 to Sta12). In Sta13 everything that comes is thrown away unread, which is
AA-6 for every PDU: answering garbage with a second A-ABORT (AA-7) has no use.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from dicom_node.node.errors import ReceivingError
from dicom_node.node.upper_layer.pdu import PduType


class State(Enum):
    """PS3.8 tables 9-1 to 9-5."""

    STA1 = "idle"
    STA2 = "transport connection open, awaiting A-ASSOCIATE-RQ"
    STA3 = "awaiting local answer to the association request"
    STA6 = "association established, ready for data transfer"
    STA8 = "awaiting local answer to the release request"
    STA13 = "awaiting transport connection close"


class Event(Enum):
    """Rows of PS3.8 table 9-10."""

    CONNECTED = "transport connection indication"
    ASSOCIATE_RQ = "A-ASSOCIATE-RQ received"
    ASSOCIATE_AC = "A-ASSOCIATE-AC received"
    ASSOCIATE_RJ = "A-ASSOCIATE-RJ received"
    P_DATA = "P-DATA-TF received"
    RELEASE_RQ = "A-RELEASE-RQ received"
    RELEASE_RP = "A-RELEASE-RP received"
    ABORT = "A-ABORT received"
    INVALID = "unrecognized or invalid PDU received"
    CLOSED = "transport connection closed"
    ARTIM_EXPIRED = "ARTIM timer expired"
    ACCEPT = "local: A-ASSOCIATE response, accept"
    REJECT = "local: A-ASSOCIATE response, reject"
    RELEASE = "local: A-RELEASE response"
    LOCAL_ABORT = "local: A-ABORT request"


class Action(Enum):
    """PS3.8 tables 9-6 to 9-9; the value says what we do."""

    AE_5 = "start ARTIM"
    AE_6 = "stop ARTIM, answer the request"
    AE_7 = "send A-ASSOCIATE-AC"
    AE_8 = "send A-ASSOCIATE-RJ, start ARTIM"
    DT_2 = "take the P-DATA"
    AR_2 = "release indication"
    AR_4 = "send A-RELEASE-RP, start ARTIM"
    AR_5 = "stop ARTIM"
    AA_1 = "send A-ABORT (service-user), start ARTIM"
    AA_2 = "stop ARTIM, close the transport connection"
    AA_3 = "abort indication, close the transport connection"
    AA_4 = "provider abort indication"
    AA_5 = "stop ARTIM, forget the connection"
    AA_6 = "ignore the PDU"
    AA_8 = "send A-ABORT (service-provider), provider abort indication, start ARTIM"


_UNEXPECTED_WHEN_OPEN: Final = dict.fromkeys(
    (
        Event.ASSOCIATE_AC,
        Event.ASSOCIATE_RJ,
        Event.P_DATA,
        Event.RELEASE_RQ,
        Event.RELEASE_RP,
        Event.INVALID,
        Event.LOCAL_ABORT,
    ),
    (Action.AA_1, State.STA13),
)

TRANSITIONS: Final[dict[State, dict[Event, tuple[Action, State]]]] = {
    State.STA1: {Event.CONNECTED: (Action.AE_5, State.STA2)},
    State.STA2: {
        **_UNEXPECTED_WHEN_OPEN,
        Event.ASSOCIATE_RQ: (Action.AE_6, State.STA3),
        Event.ABORT: (Action.AA_2, State.STA1),
        Event.CLOSED: (Action.AA_5, State.STA1),
        Event.ARTIM_EXPIRED: (Action.AA_2, State.STA1),
    },
    State.STA3: {
        Event.ACCEPT: (Action.AE_7, State.STA6),
        Event.REJECT: (Action.AE_8, State.STA13),
        Event.ABORT: (Action.AA_3, State.STA1),
        Event.CLOSED: (Action.AA_4, State.STA1),
        Event.INVALID: (Action.AA_8, State.STA13),
        Event.LOCAL_ABORT: (Action.AA_1, State.STA13),
    },
    State.STA6: {
        Event.P_DATA: (Action.DT_2, State.STA6),
        Event.RELEASE_RQ: (Action.AR_2, State.STA8),
        Event.ABORT: (Action.AA_3, State.STA1),
        Event.CLOSED: (Action.AA_4, State.STA1),
        Event.LOCAL_ABORT: (Action.AA_1, State.STA13),
        Event.ASSOCIATE_RQ: (Action.AA_8, State.STA13),
        Event.ASSOCIATE_AC: (Action.AA_8, State.STA13),
        Event.ASSOCIATE_RJ: (Action.AA_8, State.STA13),
        Event.RELEASE_RP: (Action.AA_8, State.STA13),
        Event.INVALID: (Action.AA_8, State.STA13),
    },
    State.STA8: {
        Event.RELEASE: (Action.AR_4, State.STA13),
        Event.ABORT: (Action.AA_3, State.STA1),
        Event.CLOSED: (Action.AA_4, State.STA1),
        Event.INVALID: (Action.AA_8, State.STA13),
        Event.LOCAL_ABORT: (Action.AA_1, State.STA13),
    },
    State.STA13: {
        Event.CLOSED: (Action.AR_5, State.STA1),
        Event.ARTIM_EXPIRED: (Action.AA_2, State.STA1),
        Event.LOCAL_ABORT: (Action.AA_6, State.STA13),
        Event.INVALID: (Action.AA_6, State.STA13),
    },
}

EVENT_OF_PDU: Final = {
    PduType.A_ASSOCIATE_RQ: Event.ASSOCIATE_RQ,
    PduType.A_ASSOCIATE_AC: Event.ASSOCIATE_AC,
    PduType.A_ASSOCIATE_RJ: Event.ASSOCIATE_RJ,
    PduType.P_DATA_TF: Event.P_DATA,
    PduType.A_RELEASE_RQ: Event.RELEASE_RQ,
    PduType.A_RELEASE_RP: Event.RELEASE_RP,
    PduType.A_ABORT: Event.ABORT,
}


class StateMachine:
    """Where one connection stands. `on` gives the action of PS3.8 table 9-10 and moves on."""

    def __init__(self) -> None:
        self.state = State.STA1

    def on(self, event: Event) -> Action:
        """The action for `event` in the present state.

        Raises:
            ReceivingError: the table has no such transition; a fault of ours, never of the peer.
        """
        try:
            action, self.state = TRANSITIONS[self.state][event]
        except KeyError:
            raise ReceivingError(f"no transition for {event.name} in {self.state.name}") from None
        return action
