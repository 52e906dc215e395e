"""The wire format, against pynetdicom's PDU classes as the oracle."""

from __future__ import annotations

import contextlib
import struct
from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.uid import generate_uid
from pynetdicom import AllStoragePresentationContexts
from pynetdicom.dsutils import decode
from pynetdicom.pdu import A_ABORT_RQ, A_ASSOCIATE_AC, A_ASSOCIATE_RJ, A_RELEASE_RP, P_DATA_TF
from support.raw_scu import EXPLICIT, MR, VERIFICATION, associate_request, pdata, store_command

from dicom_node.node.upper_layer.associate import decode_associate_request, encode_associate_accept
from dicom_node.node.upper_layer.dimse import decode_command, encode_response
from dicom_node.node.upper_layer.pdu import (
    CALLING_AE_NOT_RECOGNIZED,
    InvalidPdu,
    PduType,
    check_header,
    encode_abort,
    encode_command,
    encode_rejection,
    encode_release_response,
    split_pdvs,
)
from dicom_node.receive.negotiation import negotiate


def request_of(**arguments):
    return decode_associate_request(memoryview(associate_request(**arguments))[6:])


def test_an_association_request_reads_as_its_sender_wrote_it():
    """AE titles, contexts, maximum length and application context come out as pynetdicom put them in."""
    request = request_of(contexts=[(VERIFICATION, [EXPLICIT]), (MR, ["1.2.840.10008.1.2", EXPLICIT])], max_length=999)
    assert (request.called_ae_title, request.calling_ae_title) == ("WMHNODE", "RAWSCU")
    assert request.max_length == 999
    assert request.application_context == "1.2.840.10008.3.1.1.1"
    assert [context.context_id for context in request.contexts] == [1, 3]
    assert request.contexts[1].abstract_syntax == MR
    assert request.contexts[1].transfer_syntaxes == ("1.2.840.10008.1.2", EXPLICIT)


def test_the_largest_request_of_a_real_sender_is_read():
    """128 contexts with a dozen transfer syntaxes each stay within our limit on the PDU."""
    contexts = [
        (cx.abstract_syntax, [generate_uid() for _ in range(12)]) for cx in AllStoragePresentationContexts[:128]
    ]
    raw = associate_request(contexts=contexts)
    assert check_header(raw, 4096) == (PduType.A_ASSOCIATE_RQ, len(raw) - 6)
    assert len(decode_associate_request(memoryview(raw)[6:]).contexts) == 128


def test_our_acceptance_reads_right_in_pynetdicom():
    """A-ASSOCIATE-AC: results, transfer syntax, maximum length, AE titles as they came."""
    request = request_of(contexts=[(MR, [EXPLICIT]), ("1.2.840.10008.5.1.4.1.1.77.1.6", [EXPLICIT]), (MR, ["1.2.3"])])
    answer = A_ASSOCIATE_AC()
    answer.decode(encode_associate_accept(request, negotiate(request.contexts), 131072))
    assert answer.reserved_aet.strip() == "WMHNODE"
    assert answer.reserved_aec.strip() == "RAWSCU"
    assert [context.result for context in answer.presentation_context] == [0, 3, 4]
    assert answer.presentation_context[0].transfer_syntax == EXPLICIT
    assert answer.user_information.maximum_length == 131072


def test_rejection_abort_and_release_read_right_in_pynetdicom():
    """The short PDUs carry the fields of PS3.8 tables 9-21 and 9-26."""
    rejection, abort, release = A_ASSOCIATE_RJ(), A_ABORT_RQ(), A_RELEASE_RP()
    rejection.decode(encode_rejection(CALLING_AE_NOT_RECOGNIZED))
    assert (rejection.result, rejection.source, rejection.reason_diagnostic) == (1, 1, 3)
    abort.decode(encode_abort(2, 6))
    assert (abort.source, abort.reason_diagnostic) == (2, 6)
    release.decode(encode_release_response())
    assert len(encode_release_response()) == 10


@pytest.mark.parametrize("limit", [0, 30, 64, 16382])
def test_a_response_is_cut_to_what_the_peer_takes(limit):
    """No fragment is larger than the peer's maximum length, and together they are the response."""
    command = decode_command(store_command("1.2.3"))
    response = encode_response(command, 0xA700, "no room left")
    raw = encode_command(5, response, limit)
    joined, position = b"", 0
    while position < len(raw):
        length = struct.unpack_from(">xxL", raw, position)[0]
        assert limit == 0 or length <= limit
        pdu = P_DATA_TF()
        pdu.decode(raw[position : position + 6 + length])
        for item in pdu.presentation_data_value_items:
            joined += item.presentation_data_value[1:]
        position += 6 + length
    answer = decode(BytesIO(joined), True, True)
    assert (answer.CommandField, answer.Status, answer.MessageIDBeingRespondedTo) == (0x8001, 0xA700, 1)
    assert answer.AffectedSOPInstanceUID == "1.2.3"
    assert answer.ErrorComment == "no room left"


def test_a_store_command_reads_as_its_sender_wrote_it():
    """C-STORE-RQ: class, instance, message ID, and that a data set follows."""
    command = decode_command(store_command("1.2.3.4", message_id=77))
    assert (command.command_field, command.message_id, command.has_data_set) == (1, 77, True)
    assert (command.sop_class_uid, command.sop_instance_uid) == (MR, "1.2.3.4")


@pytest.mark.parametrize(
    ("number", "length", "allowed"),
    [(4, 4096, True), (4, 4097, False), (4, 0xFFFFFFFF, False), (1, 262144, True), (1, 262145, False)]
    + [(kind, 4, True) for kind in (3, 5, 6, 7)]
    + [(kind, 5, False) for kind in (3, 5, 6, 7)]
    + [(0, 4, False), (8, 4, False), (255, 4, False)],
)
def test_limits_hold_on_the_header_alone(number, length, allowed):
    """A PDU that is too large or unknown is refused from its six header bytes, before anything is buffered."""
    header = struct.pack(">BxL", number, length)
    if allowed:
        assert check_header(header, 4096)[1] == length
    else:
        with pytest.raises(InvalidPdu):
            check_header(header, 4096)


@given(st.binary(max_size=400))
@settings(max_examples=300, deadline=None)
def test_random_bytes_are_an_association_request_or_invalid(raw):
    """Whatever comes as an A-ASSOCIATE-RQ is read or refused as invalid; no other error."""
    with contextlib.suppress(InvalidPdu):
        decode_associate_request(memoryview(raw))


_GOOD = associate_request(contexts=[(MR, [EXPLICIT]), (VERIFICATION, [EXPLICIT])])[6:]


@given(st.integers(0, len(_GOOD) - 1), st.integers(0, 255), st.integers(0, len(_GOOD)))
@settings(max_examples=300, deadline=None)
def test_a_damaged_request_is_read_or_invalid(position, value, end):
    """One byte changed and the end cut off: read or refused, never another error."""
    damaged = bytearray(_GOOD)
    damaged[position] = value
    with contextlib.suppress(InvalidPdu):
        decode_associate_request(memoryview(damaged)[:end])


@given(st.binary(max_size=200))
@settings(max_examples=300, deadline=None)
def test_random_bytes_are_data_values_or_invalid(raw):
    """Whatever comes as a P-DATA-TF body is split without remainder, or refused as invalid."""
    try:
        parts = split_pdvs(memoryview(raw))
    except InvalidPdu:
        return
    assert sum(len(fragment) + 6 for _, _, fragment in parts) == len(raw)


@given(st.binary(max_size=200))
@settings(max_examples=300, deadline=None)
def test_random_bytes_are_a_command_or_invalid(raw):
    """Whatever comes as a command set is read, or refused as invalid."""
    with contextlib.suppress(InvalidPdu):
        decode_command(raw)


def test_data_values_that_do_not_add_up_are_invalid():
    """A presentation data value longer than its PDU is refused."""
    good = pdata(1, 3, b"abcd")[6:]
    assert split_pdvs(memoryview(good))[0][2] == b"abcd"
    for bad in (good[:-1], good + b"\0", b"", struct.pack(">LBB", 1, 1, 3)):
        with pytest.raises(InvalidPdu):
            split_pdvs(memoryview(bad))
