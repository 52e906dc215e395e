"""Our SCU's bytes beside pynetdicom's: what one writes the other reads as the same."""

from __future__ import annotations

from io import BytesIO

import pytest
from pynetdicom import build_context
from pynetdicom.dimse_messages import C_ECHO_RQ, C_ECHO_RSP, C_STORE_RQ, C_STORE_RSP
from pynetdicom.dimse_primitives import C_ECHO, C_STORE
from pynetdicom.dsutils import decode, encode
from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RJ, A_ASSOCIATE_RQ, A_RELEASE_RQ, P_DATA_TF
from pynetdicom.pdu_primitives import A_ASSOCIATE, ImplementationClassUIDNotification, MaximumLengthNotification

from dicom_node.node.upper_layer.associate import (
    ProposedContext,
    decode_associate_accept,
    decode_associate_request,
    encode_associate_request,
)
from dicom_node.node.upper_layer.dimse import decode_response, encode_echo_request, encode_store_request
from dicom_node.node.upper_layer.pdu import (
    InvalidPdu,
    data_pdus,
    encode_release_request,
    rejection_words,
    split_pdvs,
)

MR = "1.2.840.10008.5.1.4.1.1.4"
SEG = "1.2.840.10008.5.1.4.1.1.66.4"
IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"


def test_an_association_request_is_read_as_it_was_meant():
    """Titles, contexts with their IDs, and the largest PDU: by pynetdicom and by our own acceptor."""
    contexts = [ProposedContext(1, MR, (EXPLICIT,)), ProposedContext(3, SEG, (IMPLICIT, EXPLICIT))]
    raw = encode_associate_request("PACS", "WMHNODE", contexts, 65536)
    theirs = A_ASSOCIATE_RQ()
    theirs.decode(raw)
    assert (theirs.called_ae_title.strip(), theirs.calling_ae_title.strip()) == ("PACS", "WMHNODE")
    found = [
        (element.context_id, element.abstract_syntax, tuple(element.transfer_syntax))
        for element in theirs.presentation_context
    ]
    assert found == [(context.context_id, context.abstract_syntax, context.transfer_syntaxes) for context in contexts]
    assert theirs.user_information.maximum_length == 65536
    ours = decode_associate_request(memoryview(raw)[6:])
    assert (ours.contexts, ours.max_length) == (tuple(contexts), 65536)


def accepted(results, max_length=16382):
    """pynetdicom's A-ASSOCIATE-AC: (context ID, result, transfer syntax) each."""
    primitive = A_ASSOCIATE()
    primitive.application_context_name = "1.2.840.10008.3.1.1.1"
    primitive.calling_ae_title, primitive.called_ae_title = "WMHNODE", "PACS"
    primitive.result = 0
    length = MaximumLengthNotification()
    length.maximum_length_received = max_length
    implementation = ImplementationClassUIDNotification()
    implementation.implementation_class_uid = "1.2.3.4"
    primitive.user_information = [length, implementation]
    built = []
    for number, result, syntax in results:
        context = build_context(MR, syntax)
        context.context_id, context.result = number, result
        built.append(context)
    primitive.presentation_context_definition_results_list = built
    pdu = A_ASSOCIATE_AC()
    pdu.from_primitive(primitive)
    return pdu.encode()


@pytest.mark.parametrize("max_length", [0, 16382, 0xFFFFFFFF])
def test_an_acceptance_is_read_as_it_was_meant(max_length):
    """Accepted contexts by their IDs; rejected ones, whatever stands in them, are none."""
    raw = accepted([(1, 0, EXPLICIT), (3, 3, EXPLICIT), (5, 0, IMPLICIT), (7, 4, IMPLICIT)], max_length)
    answer = decode_associate_accept(memoryview(raw)[6:])
    assert dict(answer.accepted) == {1: EXPLICIT, 5: IMPLICIT}
    assert answer.max_length == max_length


def test_an_acceptance_that_is_cut_off_is_invalid():
    """Wherever it ends, it is refused or it says less: nothing else happens."""
    raw = accepted([(1, 0, EXPLICIT)])
    for end in range(6, len(raw)):
        try:
            assert set(decode_associate_accept(memoryview(raw)[6:end]).accepted) <= {1}
        except InvalidPdu:
            continue


def test_a_release_is_pynetdicoms():
    """Byte for byte."""
    assert encode_release_request() == A_RELEASE_RQ().encode()


@pytest.mark.parametrize("source", [1, 2, 3])
@pytest.mark.parametrize("reason", [1, 2, 3, 7])
def test_a_rejection_has_pynetdicoms_words(source, reason):
    """Those that administrators know."""
    primitive = A_ASSOCIATE()
    try:
        primitive.result_source, primitive.diagnostic = source, reason
    except ValueError:
        return
    pdu = A_ASSOCIATE_RJ()
    pdu.result, pdu.source, pdu.reason_diagnostic = 1, source, reason
    words = primitive.reason_str
    assert rejection_words(pdu.encode()[6:]) == (words if words != "Reserved" else "(no value available)")


def theirs(request_class, primitive):
    """The command set that pynetdicom would send, decoded."""
    message = request_class()
    message.primitive_to_message(primitive)
    return message.command_set


def test_a_store_request_is_pynetdicoms():
    """The same elements with the same values, in ascending order, with the group's length."""
    primitive = C_STORE()
    primitive.MessageID, primitive.Priority = 77, 0
    primitive.AffectedSOPClassUID, primitive.AffectedSOPInstanceUID = SEG, "1.2.3"
    primitive.DataSet = BytesIO(b"\0\0")
    wanted = theirs(C_STORE_RQ, primitive)
    found = decode(BytesIO(encode_store_request(77, SEG, "1.2.3")), True, True)
    assert {element.tag: element.value for element in found if element.tag != 0} == {
        element.tag: (1 if element.keyword == "CommandDataSetType" else element.value)
        for element in wanted
        if element.tag != 0
    }
    raw = encode_store_request(77, SEG, "1.2.3")
    assert found[0, 0].value == len(raw) - 12
    assert list(found.keys()) == sorted(found.keys())


def test_an_echo_request_is_pynetdicoms():
    """As above."""
    primitive = C_ECHO()
    primitive.MessageID, primitive.AffectedSOPClassUID = 5, "1.2.840.10008.1.1"
    wanted = theirs(C_ECHO_RQ, primitive)
    found = decode(BytesIO(encode_echo_request(5, "1.2.840.10008.1.1")), True, True)
    assert {element.tag: element.value for element in found if element.tag != 0} == {
        element.tag: element.value for element in wanted if element.tag != 0
    }


@pytest.mark.parametrize(
    ("response_class", "primitive_class"), [(C_STORE_RSP, C_STORE), (C_ECHO_RSP, C_ECHO)], ids=["store", "echo"]
)
@pytest.mark.parametrize("status", [0x0000, 0xA700, 0xB000, 0xFE99])
def test_pynetdicoms_responses_are_read(response_class, primitive_class, status):
    """Which request it answers, and the status."""
    primitive = primitive_class()
    primitive.MessageIDBeingRespondedTo, primitive.Status = 9, status
    primitive.AffectedSOPClassUID = MR
    if primitive_class is C_STORE:
        primitive.AffectedSOPInstanceUID = "1.2.3"
    raw = encode(theirs(response_class, primitive), True, True)
    response = decode_response(raw)
    assert (response.message_id, response.status, response.has_data_set) == (9, status, False)


@pytest.mark.parametrize("size", [0, 1, 10, 4090, 4091, 10_000])
def test_pieces_of_a_data_set_make_the_data_set(size):
    """pynetdicom and our acceptor read the PDUs back to the same bytes; none is too long, and the last says so."""
    data = bytes(number % 251 for number in range(size))
    raw = b"".join(data_pdus(7, memoryview(data), 4090, last=True))
    found, controls, position = b"", [], 0
    while position < len(raw):
        length = int.from_bytes(raw[position + 2 : position + 6], "big")
        assert length <= 4096
        pdu = P_DATA_TF()
        pdu.decode(raw[position : position + 6 + length])
        ((context_id, control, fragment),) = split_pdvs(memoryview(raw)[position + 6 : position + 6 + length])
        (value,) = pdu.presentation_data_value_items
        assert (value.context_id, value.presentation_data_value) == (context_id, bytes([control]) + bytes(fragment))
        found, position = found + bytes(fragment), position + 6 + length
        controls.append(control)
    assert found == data
    assert controls == [0] * (len(controls) - 1) + [2]
