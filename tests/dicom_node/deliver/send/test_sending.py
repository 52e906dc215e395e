"""Sending to real peers and to one whose answers we decide: an outcome per file, never "sent" when it is not."""

from __future__ import annotations

import socket
import threading
import time
from types import SimpleNamespace

import pydicom
import pytest
from support.dcmtk import storescp
from support.mr import data_set_bytes, mr_object, mr_series, write_object
from support.processes import free_port
from support.scp import RecordingScp

from dicom_node.deliver.send import echo, rejected_classes, send_files
from dicom_node.deliver.send.object_file import ObjectFile
from dicom_node.deliver.send.plan import MAX_CONTEXTS, plan_associations
from dicom_node.deliver.send.scu import Timeouts
from dicom_node.node.errors import DeliveryError

pytestmark = pytest.mark.slow

_FAST = Timeouts(connection=2, acse=2, dimse=2, network=2)
IMPLICIT = "1.2.840.10008.1.2"
JPEG_LS = "1.2.840.10008.1.2.4.80"
SEG = "1.2.840.10008.5.1.4.1.1.66.4"
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


def peer_at(port, ae_title="TESTPACS"):
    return SimpleNamespace(ae_title=ae_title, host="127.0.0.1", port=port)


@pytest.mark.peer("storescp")
def test_dcmtk_gets_every_object(tmp_path):
    """Native and compressed objects in one call; storescp holds what the files hold, and progress counts to the end."""
    files = mr_series(tmp_path / "series", 4)
    files.append(write_object(mr_object(), tmp_path / "implicit.dcm", IMPLICIT))
    port, seen = free_port(), []
    with storescp(tmp_path / "pacs", port, tmp_path / "storescp.log"):
        outcomes = send_files(files, peer_at(port), lambda done, total: seen.append((done, total)))
    assert [(outcome.path, outcome.status, outcome.ok, outcome.detail) for outcome in outcomes] == [
        (path, 0, True, "") for path in files
    ]
    assert seen == [(done, 5) for done in range(1, 6)]
    stored = {pydicom.dcmread(path).SOPInstanceUID: pydicom.dcmread(path) for path in (tmp_path / "pacs").iterdir()}
    for path in files:
        sent = pydicom.dcmread(path)
        assert stored[sent.SOPInstanceUID] == sent


@pytest.mark.peer("storescp")
@pytest.mark.slow
def test_a_peer_with_nagle_on_does_not_slow_us_down(tmp_path):
    """DCMTK's storescp with default settings: 60 objects in far less than the 45 ms each that delayed ACKs cost."""
    files = mr_series(tmp_path / "series", 60, matrix=128)
    port = free_port()
    with storescp(tmp_path / "pacs", port, tmp_path / "storescp.log"):
        began = time.monotonic()
        assert all(outcome.ok for outcome in send_files(files, peer_at(port)))
        assert time.monotonic() - began < 60 * 0.035


@pytest.mark.parametrize(
    ("status", "ok", "words"),
    [
        (0x0000, True, ""),
        (0xB000, True, "stored"),
        (0xB006, True, "stored"),
        (0xB007, True, "stored"),
        (0xA700, False, "out of resources"),
        (0xA900, False, "does not match"),
        (0xC001, False, "cannot understand"),
        (0x0110, False, "processing failure"),
        (0x0124, False, "not authorized"),
        (0xFE99, False, "unknown status"),
    ],
)
def test_each_status_counts_as_what_it_means(tmp_path, status, ok, words):
    """Warnings count as stored, errors do not, and the words name what the number means; the rest goes on."""
    files = mr_series(tmp_path, 3)
    port = free_port()
    with RecordingScp(port, lambda number, _class: status if number == 2 else 0x0000):
        outcomes = send_files(files, peer_at(port))
    assert [outcome.ok for outcome in outcomes] == [True, ok, True]
    assert outcomes[1].status == status
    assert words in outcomes[1].detail


def test_nothing_is_sent_behind_a_file_that_has_to_arrive_first(tmp_path):
    """Where the caller does not go on, the peer is not asked about the files behind, who is then released."""
    files = mr_series(tmp_path, 3)
    port, seen = free_port(), []
    with RecordingScp(port, lambda number, _class: 0xA700 if number == 2 else 0x0000) as scp:
        outcomes = send_files(files, peer_at(port), lambda done, _all: seen.append(done), go_on=lambda one: one.ok)
        assert scp.asked == 2
    assert [(outcome.path, outcome.status, outcome.ok) for outcome in outcomes] == [
        (files[0], 0x0000, True),
        (files[1], 0xA700, False),
        (files[2], None, False),
    ]
    assert "not tried" in outcomes[2].detail
    assert seen == [1, 2, 3]
    files[1].write_text("no DICOM")
    with RecordingScp(port) as scp:
        assert [outcome.ok for outcome in send_files(files, peer_at(port), go_on=lambda one: one.ok)] == [
            True,
            False,
            False,
        ]
        assert scp.asked == 1


def test_bytes_are_sent_as_they_are(tmp_path):
    """The data set on the wire is the file's, byte for byte."""
    path = write_object(mr_object(matrix=256), tmp_path / "object.dcm")
    port = free_port()
    with RecordingScp(port) as scp:
        assert send_files([path], peer_at(port))[0].ok
    raw = scp.kept[0]
    assert raw[144 + int.from_bytes(raw[140:144], "little") :] == data_set_bytes(path)


def test_a_peer_of_the_default_transfer_syntax_alone_gets_the_object_in_it(tmp_path):
    """Explicit VR on disk, Implicit VR accepted: converted, since the standard has every SCU offer it."""
    from pynetdicom import AE, evt

    dataset = mr_object()
    path = write_object(dataset, tmp_path / "object.dcm")
    kept = []
    ae = AE(ae_title="OLDPACS")
    ae.add_supported_context(dataset.SOPClassUID, IMPLICIT)
    port = free_port()
    handlers = [(evt.EVT_C_STORE, lambda event: kept.append(event.dataset) or 0x0000)]
    server = ae.start_server(("127.0.0.1", port), block=False, evt_handlers=handlers)
    try:
        assert send_files([path], peer_at(port))[0].ok
    finally:
        server.shutdown()
    assert kept[0].PixelData == dataset.PixelData


def test_file_meta_information_that_disagrees_does_not_count(tmp_path):
    """An anonymiser left the old UID in the file meta information: the data set's own is sent."""
    dataset = mr_object()
    path = write_object(dataset, tmp_path / "object.dcm")
    raw = path.read_bytes()
    head = 144 + int.from_bytes(raw[140:144], "little")
    old = dataset.SOPInstanceUID[:-1] + ("1" if dataset.SOPInstanceUID[-1] != "1" else "2")
    path.write_bytes(raw[:head].replace(dataset.SOPInstanceUID.encode(), old.encode()) + raw[head:])
    port = free_port()
    with RecordingScp(port) as scp:
        assert send_files([path], peer_at(port))[0].ok
    assert scp.datasets[0].SOPInstanceUID == dataset.SOPInstanceUID


def test_files_that_are_no_objects_are_named_and_the_rest_is_sent(tmp_path):
    """Text, an empty file, a missing one: no status, a reason, and the good file arrives."""
    good = write_object(mr_object(), tmp_path / "good.dcm")
    (tmp_path / "text.dcm").write_text("no DICOM")
    (tmp_path / "empty.dcm").write_bytes(b"")
    files = [tmp_path / "text.dcm", good, tmp_path / "empty.dcm", tmp_path / "missing.dcm"]
    port = free_port()
    with RecordingScp(port):
        outcomes = send_files(files, peer_at(port))
    assert [outcome.path for outcome in outcomes] == files
    assert [outcome.ok for outcome in outcomes] == [False, True, False, False]
    assert [outcome.status for outcome in outcomes] == [None, 0, None, None]
    assert "No such file" in outcomes[3].detail


def test_no_peer_there(tmp_path):
    """No connection: every file without a status, with the peer's address in the reason."""
    files = mr_series(tmp_path, 3)
    port = free_port()
    outcomes = send_files(files, peer_at(port), timeouts=_FAST)
    assert [(outcome.status, outcome.ok) for outcome in outcomes] == [(None, False)] * 3
    assert f"TESTPACS@127.0.0.1:{port}: no connection" in outcomes[0].detail
    with pytest.raises(DeliveryError, match="no connection"):
        echo(peer_at(port), timeouts=_FAST)


def test_a_peer_that_rejects_us_says_why(tmp_path):
    """A-ASSOCIATE-RJ: its reason is in every file's outcome."""
    from pynetdicom import AE
    from pynetdicom.sop_class import MRImageStorage

    ae = AE(ae_title="STRICT")
    ae.add_supported_context(MRImageStorage)
    ae.require_calling_aet = ["SOMEBODY"]
    port = free_port()
    server = ae.start_server(("127.0.0.1", port), block=False)
    try:
        outcomes = send_files(mr_series(tmp_path, 2), peer_at(port))
    finally:
        server.shutdown()
    assert all(outcome.status is None and "Calling AE title not recognised" in outcome.detail for outcome in outcomes)


def test_a_class_that_the_peer_does_not_take_is_not_supported(tmp_path):
    """Context rejected: 0x0122 for that file, whether or not others in the association were accepted."""
    from pynetdicom import AE, evt
    from pynetdicom.sop_class import MRImageStorage

    ae = AE(ae_title="MRONLY")
    ae.add_supported_context(MRImageStorage)
    port = free_port()
    server = ae.start_server(("127.0.0.1", port), block=False, evt_handlers=[(evt.EVT_C_STORE, lambda _event: 0x0000)])
    mr = write_object(mr_object(), tmp_path / "mr.dcm")
    seg = write_object(mr_object(sop_class=SEG), tmp_path / "seg.dcm")
    jpeg = write_object(mr_object(), tmp_path / "jpeg.dcm", JPEG_LS)
    try:
        some, none = send_files([mr, seg, jpeg], peer_at(port)), send_files([seg], peer_at(port))
    finally:
        server.shutdown()
    assert [outcome.status for outcome in some] == [0, 0x0122, 0x0122]
    assert [outcome.status for outcome in none] == [0x0122]
    for outcome in (some[1], none[0]):
        assert outcome.detail == "the peer accepts no segmentations (Segmentation Storage)"
        assert outcome.unsupported == SEG
    assert "MR Image Storage in transfer syntax JPEG-LS Lossless" in some[2].detail
    assert some[2].unsupported == ""


def test_not_supported_in_an_answer_is_reported_in_the_same_words(tmp_path):
    """A peer that accepts the context and answers 0x0122 anyway."""
    seg = write_object(mr_object(sop_class=SEG), tmp_path / "seg.dcm")
    port = free_port()
    with RecordingScp(port, lambda number, sop_class: 0x0122):
        (outcome,) = send_files([seg], peer_at(port))
    assert (outcome.status, outcome.unsupported) == (0x0122, SEG)
    assert outcome.detail == "the peer accepts no segmentations (Segmentation Storage)"


@pytest.mark.parametrize("accepted", [[], [SECONDARY_CAPTURE], [SECONDARY_CAPTURE, SEG]])
def test_which_classes_a_peer_rejects_is_asked_without_sending(accepted):
    """Classes are proposed in one association; those that the peer does not accept come back, and nothing is sent."""
    from pynetdicom import AE, evt

    ae = AE(ae_title="PICKY")
    ae.add_supported_context("1.2.840.10008.1.1")
    for sop_class in accepted:
        ae.add_supported_context(sop_class)
    port, stored = free_port(), []
    server = ae.start_server(
        ("127.0.0.1", port), block=False, evt_handlers=[(evt.EVT_C_STORE, lambda event: stored.append(event) or 0)]
    )
    try:
        rejected = rejected_classes(peer_at(port), [SEG, SECONDARY_CAPTURE])
    finally:
        server.shutdown()
    assert rejected == tuple(outcome for outcome in (SEG, SECONDARY_CAPTURE) if outcome not in accepted)
    assert stored == []
    with pytest.raises(DeliveryError, match="no connection"):
        rejected_classes(peer_at(free_port()), [SEG], timeouts=_FAST)


def silent_peer(say: bytes = b"", close_after: int | None = None):
    """A peer that takes connections, reads, and says at most `say`."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(5)
                try:
                    while connection.recv(65536):
                        if say:
                            connection.sendall(say)
                        if close_after is not None:
                            break
                except OSError:
                    continue

    threading.Thread(target=serve, daemon=True).start()
    return listener


def test_a_peer_that_says_nothing_costs_a_timeout_and_no_more(tmp_path):
    """A port that is open and silent: one ACSE timeout for all the files."""
    files = mr_series(tmp_path, 5)
    with silent_peer() as listener:
        began = time.monotonic()
        outcomes = send_files(files, peer_at(listener.getsockname()[1]), timeouts=_FAST)
    assert time.monotonic() - began < 30
    assert all(outcome.status is None and not outcome.ok for outcome in outcomes)


def test_a_peer_that_is_lost_in_the_middle_is_noticed_at_once(tmp_path):
    """The peer's process dies after some objects: the rest has no status, and no DIMSE timeout is waited for."""
    from support.receiver import ReceiverProcess

    files = mr_series(tmp_path / "series", 6)
    with ReceiverProcess(tmp_path / "r", dies_at=("row", "after", 4)) as receiver:
        began = time.monotonic()
        outcomes = send_files(files, receiver.address)
        assert time.monotonic() - began < 45
        assert [outcome.ok for outcome in outcomes] == [True] * 3 + [False] * 3
        assert [outcome.status for outcome in outcomes[3:]] == [None] * 3


def test_an_association_that_the_peer_aborts_is_opened_again(tmp_path):
    """The peer aborts after each two objects: the rest is sent in further associations, the lost one is reported."""
    from pynetdicom import AE, evt
    from pynetdicom.sop_class import MRImageStorage

    count = [0]

    def store(event):
        count[0] += 1
        if count[0] % 3 == 0:
            event.assoc.abort()
        return 0x0000

    ae = AE(ae_title="NERVOUS")
    ae.add_supported_context(MRImageStorage)
    port = free_port()
    server = ae.start_server(("127.0.0.1", port), block=False, evt_handlers=[(evt.EVT_C_STORE, store)])
    try:
        outcomes = send_files(mr_series(tmp_path, 7), peer_at(port), timeouts=_FAST)
    finally:
        server.shutdown()
    assert [outcome.ok for outcome in outcomes] == [True, True, False, True, True, False, True]


def test_more_than_128_contexts_become_several_associations():
    """Every file is in one plan, no plan has more than 128 contexts, order is kept."""
    files = [ObjectFile(None, f"1.2.{number % 150}", "1.2.3", IMPLICIT, 0) for number in range(400)]  # type: ignore[arg-type]
    plans = list(plan_associations(files))
    assert [file for plan in plans for file in plan.files] == files
    assert all(len(plan.contexts) <= MAX_CONTEXTS for plan in plans)
    assert len(plans) >= 2
    for plan in plans:
        assert {(file.sop_class_uid, file.transfer_syntax_uid) for file in plan.files} <= set(plan.contexts)


def test_echo_is_answered(tmp_path):
    """C-ECHO to our own receiver, and to a peer that has no verification."""
    from support.receiver import ReceiverProcess

    with ReceiverProcess(tmp_path) as receiver:
        echo(receiver.address)
    port = free_port()
    with RecordingScp(port), pytest.raises(DeliveryError, match=f"TESTPACS@127.0.0.1:{port}"):
        echo(peer_at(port))
