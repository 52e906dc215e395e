"""Peers that announce, answer and end associations as no library does: what our SCU makes of it."""

from __future__ import annotations

import socket
import struct
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
from support.mr import data_set_bytes, mr_object, mr_series, write_object
from support.processes import free_port

from dicom_node.deliver.send import send_files
from dicom_node.deliver.send.association import MAX_PDU_BYTES, Timeouts
from dicom_node.deliver.send.object_file import read_object_file
from dicom_node.node.upper_layer.associate import (
    ContextResult,
    decode_associate_request,
    encode_associate_accept,
)
from dicom_node.node.upper_layer.dimse import CommandSet, decode_command, encode_response
from dicom_node.node.upper_layer.pdu import encode_abort, encode_command, encode_release_response

_FAST = Timeouts(connection=5, acse=5, dimse=1, network=5)
SEG = "1.2.840.10008.5.1.4.1.1.66.4"
OTHER = "1.2.840.10008.5.1.4.1.1.7"


class Peer:
    """One connection after the other; `answer` says what follows each request: bytes, or None to close at once."""

    def __init__(self, answer: Callable[[CommandSet, int], bytes | None], max_length: int = 16384) -> None:
        self._answer = answer
        self._max_length = max_length
        self.bodies: list[int] = []  # lengths of P-DATA-TF
        self.asked: list[str] = []  # SOP class UIDs of C-STORE
        self.data: list[bytes] = []
        self.keep = True
        self.associations = 0
        self.ended: list[int] = []  # the last PDU type of each association

    def serve(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(10)
                self.associations += 1
                self.ended.append(self._talk(connection))

    def _talk(self, connection: socket.socket) -> int:
        read = connection.makefile("rb").read
        raw, command, data, context = b"", None, b"", 0
        while len(head := read(6)) == 6:
            kind, length = struct.unpack(">BxL", head)
            body = read(length)
            if kind == 1:
                request = decode_associate_request(memoryview(body))
                results = [
                    ContextResult(context.context_id, 0, context.abstract_syntax, context.transfer_syntaxes[0])
                    for context in request.contexts
                ]
                connection.sendall(encode_associate_accept(request, results, self._max_length))
            elif kind == 5:
                connection.sendall(encode_release_response())
                return kind
            elif kind == 7:
                return kind
            else:
                self.bodies.append(length)
                context, control, fragment = body[4], body[5], body[6:]
                if control & 1:
                    raw += fragment
                    if control & 2:
                        command, data, raw = decode_command(raw), b"", b""
                elif self.keep:
                    data += fragment
                if control == 2:
                    self.asked.append(command.sop_class_uid)
                    self.data.append(data)
                    said = self._answer(command, context)
                    if said is None:
                        return 0
                    connection.sendall(said)
        return 0


def answered(command: CommandSet, context: int, status: int = 0) -> bytes:
    return encode_command(context, encode_response(command, status), 0)


@contextmanager
def running(peer: Peer) -> Iterator[SimpleNamespace]:
    """The peer in a thread; gives it as a destination."""
    port = free_port()
    with socket.create_server(("127.0.0.1", port)) as listener:
        thread = threading.Thread(target=peer.serve, args=(listener,), daemon=True)
        thread.start()
        yield SimpleNamespace(ae_title="PEER", host="127.0.0.1", port=port)
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(10)


@pytest.mark.parametrize("announced", [0, 0xFFFFFFFF, 16384, 4096, 100, 7])
def test_pdus_are_as_large_as_the_peer_takes_and_never_larger_than_our_own_cap(tmp_path, announced):
    """A peer that takes 4 GiB, or says that it takes any, gets our cap; the data set arrives byte for byte."""
    path = write_object(mr_object(matrix=64 if announced in (7, 100) else 1024), tmp_path / "object.dcm")
    peer = Peer(answered, announced)
    with running(peer) as destination:
        (outcome,) = send_files([path], destination, timeouts=Timeouts(dimse=30))
    assert outcome.status == 0
    assert peer.data == [data_set_bytes(path)]
    assert max(peer.bodies) <= MAX_PDU_BYTES if announced in (0, 0xFFFFFFFF) else max(peer.bodies) <= max(announced, 8)


def test_an_object_of_any_size_takes_little_memory(tmp_path):
    """80 MB to a peer that takes PDUs of 4 GiB: what the sender holds stays below 8 MB."""
    path = write_object(mr_object(), tmp_path / "object.dcm")
    with path.open("r+b") as file:
        file.truncate(80_000_000)
    peer = Peer(answered, 0xFFFFFFFF)
    peer.keep = False
    with running(peer) as destination:
        tracemalloc.start()
        try:
            (outcome,) = send_files([path], destination)
            _now, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert outcome.status == 0
    assert peak < 8_000_000


@pytest.mark.parametrize("how", [None, encode_abort(0, 0), encode_abort(2, 1)], ids=["closes", "aborts", "provider"])
def test_a_kind_of_object_at_which_the_peer_aborts_keeps_no_other_back(tmp_path, how):
    """Two SEGs at which it aborts each time, in front of pictures: these go, the SEGs are said to be lost."""
    segs = [write_object(mr_object(sop_class=SEG), tmp_path / f"seg-{number}.dcm") for number in range(2)]
    pictures = [write_object(mr_object(sop_class=OTHER), tmp_path / f"page-{number}.dcm") for number in range(2)]

    def answer(command, context):
        return how if command.sop_class_uid == SEG else answered(command, context)

    peer = Peer(answer)
    with running(peer) as destination:
        outcomes = send_files([*segs, *pictures], destination, timeouts=_FAST)
    assert [(outcome.status, outcome.lost) for outcome in outcomes] == [
        (None, True),
        (None, True),
        (0, False),
        (0, False),
    ]
    assert peer.asked == [SEG, SEG, OTHER, OTHER]


def test_a_peer_that_aborts_at_everything_is_left_alone_soon(tmp_path):
    """After five objects in a row no more is tried, and what was not tried is not said to be lost."""
    peer = Peer(lambda _command, _context: encode_abort(0, 0))
    with running(peer) as destination:
        outcomes = send_files(mr_series(tmp_path, 9), destination, timeouts=_FAST)
    assert [outcome.lost for outcome in outcomes] == [True] * 5 + [False] * 4
    assert "not tried" in outcomes[-1].detail
    assert peer.associations == 5


def test_a_peer_that_is_silent_at_everything_costs_two_timeouts(tmp_path):
    """Each association is aborted; the third object is not tried."""
    peer = Peer(lambda _command, _context: b"")
    with running(peer) as destination:
        outcomes = send_files(mr_series(tmp_path, 4), destination, timeouts=_FAST)
    assert [outcome.lost for outcome in outcomes] == [True, True, False, False]
    assert peer.ended == [7, 7]


def test_a_peer_that_is_silent_at_one_object_gets_the_others(tmp_path):
    """As above, but for the first object alone."""
    files = mr_series(tmp_path, 3)
    first = read_object_file(files[0]).sop_instance_uid

    def answer(command, context):
        return b"" if command.sop_instance_uid == first else answered(command, context)

    with running(Peer(answer)) as destination:
        outcomes = send_files(files, destination, timeouts=_FAST)
    assert [outcome.status for outcome in outcomes] == [None, 0, 0]


def test_a_message_that_answers_none_of_ours_is_passed_over(tmp_path):
    """An answer to another request in front of ours, and a request of the peer: our own answer counts."""

    def answer(command, context):
        stray = CommandSet(0x0001, command.message_id + 100, False, command.sop_class_uid, "1.2.3")
        return answered(stray, context, 0xA700) + answered(command, context)

    with running(Peer(answer)) as destination:
        assert [outcome.status for outcome in send_files(mr_series(tmp_path, 3), destination, timeouts=_FAST)] == [
            0,
            0,
            0,
        ]


@pytest.mark.parametrize(
    "said",
    [
        struct.pack(">BxL", 4, 0xFFFFFFFF),  # a PDU of 4 GiB
        struct.pack(">BxL", 9, 4) + b"\0" * 4,  # an unknown type
        struct.pack(">BxLLBB", 4, 10, 6, 1, 3) + b"\1\2\3\4",  # a command that is none
        struct.pack(">BxL", 4, 2) + b"\0\0",  # a value that does not fit
        struct.pack(">BxLL", 5, 4, 0),  # a release in place of an answer
    ],
)
def test_an_answer_that_is_none_loses_the_object_and_nothing_else(tmp_path, said):
    """The object is said to be lost, and the next one goes in another association."""
    files = mr_series(tmp_path, 2)
    first = read_object_file(files[0]).sop_instance_uid

    def answer(command, context):
        return said if command.sop_instance_uid == first else answered(command, context)

    with running(Peer(answer)) as destination:
        outcomes = send_files(files, destination, timeouts=_FAST)
    assert [(outcome.status, outcome.lost) for outcome in outcomes] == [(None, True), (0, False)]


def test_an_association_ends_with_a_release(tmp_path):
    """One association for all files, released in order."""
    peer = Peer(answered)
    with running(peer) as destination:
        send_files(mr_series(tmp_path, 3), destination)
    assert peer.ended == [5]


def test_a_file_that_is_gone_when_its_turn_comes(tmp_path):
    """It is named, and the rest goes on in the same association."""
    files = mr_series(tmp_path, 3)
    peer = Peer(answered)

    def vanish(_done: int, _all: int) -> None:
        files[1].unlink(missing_ok=True)

    with running(peer) as destination:
        outcomes = send_files(files, destination, vanish, timeouts=_FAST)
    assert [outcome.status for outcome in outcomes] == [0, None, 0]
    assert "No such file" in outcomes[1].detail
    assert peer.ended == [5]


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.4.80"])
def test_heads_are_read_as_pydicom_reads_them(tmp_path, syntax, monkeypatch):
    """The quick reader and pydicom find the same class, instance, syntax and beginning of the data set."""
    import dicom_node.deliver.send.object_file as module

    path = write_object(mr_object(), tmp_path / "object.dcm", syntax)
    quick = read_object_file(path)
    monkeypatch.setattr(module, "_quickly", lambda *_: None)
    assert read_object_file(path) == quick
    assert path.read_bytes()[quick.offset :] == data_set_bytes(path)


def test_a_head_that_is_not_plain_is_read_by_pydicom(tmp_path):
    """A sequence of undefined length in front of the UIDs, and file meta information longer than usual."""
    import pydicom

    dataset = mr_object()
    dataset.add_new(0x00080006, "SQ", [pydicom.Dataset()])
    dataset[0x00080006].is_undefined_length = True
    path = write_object(dataset, tmp_path / "object.dcm")
    again = pydicom.dcmread(path)
    again.file_meta.PrivateInformationCreatorUID = "1.2.3"
    again.file_meta.PrivateInformation = b"\0" * 6000
    other = Path(tmp_path / "other.dcm")
    again.save_as(other, enforce_file_format=True)
    for file in (path, other):
        found = read_object_file(file)
        assert (found.sop_instance_uid, file.read_bytes()[found.offset :]) == (
            dataset.SOPInstanceUID,
            data_set_bytes(file),
        )
