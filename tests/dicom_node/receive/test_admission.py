"""Who may associate: the table of `negotiation`, decided and over the wire."""

from __future__ import annotations

import subprocess
from contextlib import closing

import pytest
from support.mr import encoded, mr_object, write_object
from support.raw_scu import EXPLICIT, MR, VERIFICATION, RawScu, associate_request
from support.receiver import ReceiverProcess, answers, dcmtk, storescu

from db.engine import open_database
from db.jobs import JobTable
from db.records import Priority
from dicom_node.node.upper_layer.associate import ProposedContext, decode_associate_request
from dicom_node.receive.negotiation import Admission, negotiate
from dicom_node.receive.receiver_settings import AllowedPeer
from dicom_node.receive.rejections import RejectedContexts, words_of_rejected

IMPLICIT = "1.2.840.10008.1.2"
JPEG_LS = "1.2.840.10008.1.2.4.80"
JPEG_BASELINE = "1.2.840.10008.1.2.4.50"
CT = "1.2.840.10008.5.1.4.1.1.2"
REPORT = "1.2.840.10008.5.1.4.1.1.88.22"
SLIDE = "1.2.840.10008.5.1.4.1.1.77.1.6"


def verdict(peers, *, address="10.0.0.7", **request):
    """(result, source, reason), or None when the association may be accepted."""
    admission = Admission("WMHNODE", tuple(peers))
    refused = admission.refusal_of(decode_associate_request(memoryview(associate_request(**request))[6:]), address)
    return None if refused is None else (refused[0].result, refused[0].source, refused[0].reason)


SCANNER = AllowedPeer("SCANNER", None)
CALLED_UNKNOWN, CALLING_UNKNOWN = (1, 1, 7), (1, 1, 3)


@pytest.mark.parametrize(
    ("peers", "request_", "expected"),
    [
        ([], {"calling": "ANYONE", "called": "ANYTHING"}, None),
        ([SCANNER], {"calling": "SCANNER"}, None),
        ([SCANNER], {"calling": "SCANNER", "called": "OTHER"}, CALLED_UNKNOWN),
        ([SCANNER], {"calling": "SCANNER", "called": "wmhnode"}, CALLED_UNKNOWN),
        ([SCANNER], {"calling": "SCANNER2"}, CALLING_UNKNOWN),
        ([AllowedPeer("SCANNER", "10.0.0.7")], {"calling": "SCANNER"}, None),
        ([AllowedPeer("SCANNER", "10.0.0.0/24")], {"calling": "SCANNER"}, None),
        ([AllowedPeer("SCANNER", "10.0.0.8")], {"calling": "SCANNER"}, CALLING_UNKNOWN),
        ([AllowedPeer("SCANNER", "10.0.0.8"), AllowedPeer("SCANNER", "10.0.0.7")], {"calling": "SCANNER"}, None),
        ([AllowedPeer("SCANNER", "10.0.0.7")], {"calling": "SCANNER", "address": "::ffff:10.0.0.7"}, None),
        ([AllowedPeer("SCANNER", "localhost")], {"calling": "SCANNER", "address": "127.0.0.1"}, None),
        ([AllowedPeer("SCANNER", "no-such-host.invalid")], {"calling": "SCANNER"}, CALLING_UNKNOWN),
        ([], {"application_context": "1.2.3"}, (1, 1, 2)),
    ],
)
def test_titles_and_addresses_decide(peers, request_, expected):
    """PS3.8 table 9-21: which combination is let in, and with which reason another is not."""
    assert verdict(peers, **request_) == expected


def test_a_protocol_version_that_we_do_not_speak_is_rejected_by_the_acse():
    """Version 1 not offered: source 2, reason 2."""
    raw = bytearray(associate_request())
    raw[6:8] = b"\0\2"
    refused = Admission("WMHNODE", ()).refusal_of(decode_associate_request(memoryview(raw)[6:]), "10.0.0.7")
    assert (refused[0].result, refused[0].source, refused[0].reason) == (1, 2, 2)


@pytest.mark.parametrize(
    ("abstract", "offered", "result", "chosen"),
    [
        (MR, [EXPLICIT], 0, EXPLICIT),
        (MR, [IMPLICIT, EXPLICIT], 0, EXPLICIT),
        (MR, [JPEG_LS, IMPLICIT, EXPLICIT], 0, JPEG_LS),
        (MR, ["1.2.840.10008.1.2.4.50", IMPLICIT], 0, IMPLICIT),
        (MR, ["1.2.840.10008.1.2.4.50"], 4, None),
        (VERIFICATION, [IMPLICIT], 0, IMPLICIT),
        (VERIFICATION, [JPEG_LS], 4, None),
        (CT, [JPEG_LS, EXPLICIT], 0, JPEG_LS),
        (CT, [JPEG_BASELINE, EXPLICIT], 0, JPEG_BASELINE),
        (REPORT, [JPEG_LS, EXPLICIT], 0, EXPLICIT),
        (REPORT, [JPEG_LS], 4, None),
        (SLIDE, [EXPLICIT], 3, None),
    ],
)
def test_contexts_are_answered_by_class_and_transfer_syntax(abstract, offered, result, chosen):
    """PS3.8 table 9-18; of several transfer syntaxes the sender's first, but explicit VR rather than implicit."""
    (answer,) = negotiate([ProposedContext(5, abstract, tuple(offered))])
    assert (answer.context_id, answer.result) == (5, result)
    if chosen is not None:
        assert answer.transfer_syntax == chosen


@pytest.fixture(scope="module")
def strict(tmp_path_factory):
    """A receiver that knows its peers."""
    peers = (AllowedPeer("SCANNER", "127.0.0.0/8"), AllowedPeer("ELSEWHERE", "192.0.2.1"))
    with ReceiverProcess(tmp_path_factory.mktemp("strict"), peers=peers) as receiver:
        yield receiver


@pytest.mark.peer("storescu")
def test_a_known_peer_stores(strict, tmp_path):
    """storescu under the right titles."""
    path = write_object(mr_object(), tmp_path / "object.dcm")
    assert answers(storescu(strict, [path], calling="SCANNER")) == ["Success"]


@pytest.mark.peer("echoscu")
@pytest.mark.parametrize(
    ("calling", "called", "words"),
    [
        ("STRANGER", "WMHNODE", "Calling AE Title Not Recognized"),
        ("ELSEWHERE", "WMHNODE", "Calling AE Title Not Recognized"),
        ("SCANNER", "ORTHANC", "Called AE Title Not Recognized"),
    ],
)
def test_an_unknown_peer_is_rejected_with_the_reason(strict, calling, called, words):
    """DCMTK reads the reason out of our A-ASSOCIATE-RJ; our log has one line with the reason."""
    lines = len(strict.lines("association rejected"))
    done = subprocess.run(
        [dcmtk("echoscu"), "-v", "-aet", calling, "-aec", called, "127.0.0.1", str(strict.port)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=280, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert words in done.stdout
    assert len(strict.lines("association rejected")) == lines + 1


def test_a_rejected_peer_that_stays_is_closed(strict):
    """After the rejection the peer should close (PS3.8 Sta13); if it does not, we do."""
    with RawScu(strict.port) as scu:
        scu.send(associate_request(calling="STRANGER"))
        assert scu.rejection() == CALLING_UNKNOWN
        assert scu.is_closed(30)


@pytest.mark.parametrize("asked", [0, 1, 2, 7, None])
def test_a_peers_priority_is_the_settings_or_its_own(tmp_path, asked):
    """PS3.7 table E.1-1: what the C-STORE asks for, unless the settings say it of the peer; anything else is medium."""
    peers = (
        AllowedPeer("SCANNER", "192.0.2.1", priority=Priority.LOW),
        AllowedPeer("SCANNER", "127.0.0.1"),
        AllowedPeer("THEATRE", priority=Priority.HIGH),
    )
    words = {1: "high", 2: "low"}
    with ReceiverProcess(tmp_path, peers=peers) as receiver:
        for calling, expected in (("SCANNER", words.get(asked, "medium")), ("THEATRE", "high")):
            dataset = mr_object()
            with RawScu(receiver.port) as scu:
                scu.associate(calling=calling)
                assert scu.store(dataset.SOPInstanceUID, encoded(dataset), Priority=asked) == 0
            with closing(open_database(receiver.settings.database_url)) as database:
                job = JobTable(database).enqueue(dataset.SeriesInstanceUID, "a" * 64, 1)
            assert str(job.priority) == expected


WORKLIST, UNKNOWN = "1.2.840.10008.5.1.4.31", "1.2.3.4.5"


def test_what_is_asked_for_in_vain_is_in_the_log(tmp_path):
    """A scanner that wants a worklist beside storage: the context is rejected, the log names it, once; images are
    stored. Other contexts of the same peer are said again."""
    dataset = mr_object()
    with ReceiverProcess(tmp_path) as receiver:
        for contexts in ([MR, WORKLIST], [MR, WORKLIST], [MR, UNKNOWN, WORKLIST]):
            with RawScu(receiver.port) as scu:
                answer = scu.associate(contexts=[(context, (EXPLICIT,)) for context in contexts])
                assert [context.result for context in answer.presentation_context] == [0] + [3] * (len(contexts) - 1)
                assert scu.store(dataset.SOPInstanceUID, encoded(dataset)) == 0x0000
                scu.release()
        lines = receiver.lines("presentation contexts rejected")
        assert len(lines) == 2
        assert f"Modality Worklist (C-FIND) ({WORKLIST})" in lines[0]
        assert "calling=RAWSCU" in lines[0]
        assert UNKNOWN in lines[1]


def test_a_transfer_syntax_that_is_not_taken_is_named():
    """Of a class that we take, the words say in which syntax it was asked for."""
    (result,) = negotiate([ProposedContext(1, MR, ("1.2.3",))])
    assert words_of_rejected(result) == f"MR images ({MR}) in transfer syntax 1.2.3"


def test_what_was_said_is_forgotten_in_the_end():
    """Peers without end do not fill memory; who was not seen for long is said again."""
    rejections = RejectedContexts()
    assert rejections.is_new("A", "10.0.0.1", ["x"])
    for number in range(1000):
        assert rejections.is_new("B", f"10.0.1.{number}", ["x"])
    assert rejections.is_new("A", "10.0.0.1", ["x"])
    assert not rejections.is_new("A", "10.0.0.1", ["x"])
