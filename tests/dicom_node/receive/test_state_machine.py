"""The acceptor's share of PS3.8 table 9-10."""

from __future__ import annotations

import pytest

from dicom_node.node.errors import ReceivingError
from dicom_node.node.upper_layer.pdu import PduType
from dicom_node.receive.state_machine import EVENT_OF_PDU, TRANSITIONS, Action, Event, State, StateMachine


def test_the_way_of_a_good_association():
    """Connect, accept, data, release, close: the actions in the order of the standard."""
    machine = StateMachine()
    way = [
        Event.CONNECTED,
        Event.ASSOCIATE_RQ,
        Event.ACCEPT,
        Event.P_DATA,
        Event.RELEASE_RQ,
        Event.RELEASE,
        Event.CLOSED,
    ]
    actions = [machine.on(event) for event in way]
    assert actions == [Action.AE_5, Action.AE_6, Action.AE_7, Action.DT_2, Action.AR_2, Action.AR_4, Action.AR_5]
    assert machine.state is State.STA1


@pytest.mark.parametrize("state", [State.STA2, State.STA6])
def test_every_pdu_has_an_answer_where_pdus_are_read(state):
    """Whatever a peer sends while we read, the table knows what to do; so too for a lost connection."""
    assert {EVENT_OF_PDU[kind] for kind in PduType} | {Event.INVALID, Event.CLOSED} <= set(TRANSITIONS[state])


@pytest.mark.parametrize("kind", [kind for kind in PduType if kind not in (PduType.P_DATA_TF, PduType.A_RELEASE_RQ)])
def test_an_unexpected_pdu_aborts_an_association(kind):
    """In Sta6 only data and a release request go on; everything else ends the association (AA-8, AA-3)."""
    action, state = TRANSITIONS[State.STA6][EVENT_OF_PDU[kind]]
    assert (action, state) in {(Action.AA_8, State.STA13), (Action.AA_3, State.STA1)}


def test_every_way_leads_back_to_idle():
    """From every state the lost connection, or closing it, ends in Sta1."""
    for state in set(State) - {State.STA1}:
        assert TRANSITIONS[state][Event.CLOSED][1] is State.STA1


def test_an_impossible_event_is_our_fault():
    """An event that the table does not have in a state is an error of ours and says which."""
    with pytest.raises(ReceivingError, match="P_DATA in STA1"):
        StateMachine().on(Event.P_DATA)
