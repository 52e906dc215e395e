"""The table of `statuses`: each bad object gets its answer and one line in the log, and the next one is taken."""

from __future__ import annotations

import os
import random
import zlib
from contextlib import contextmanager, suppress

import pytest
from pydicom.uid import generate_uid
from support.mr import encoded, mr_object, mr_series, write_object
from support.raw_scu import EXPLICIT, MR, VERIFICATION, RawScu, associate_request, command, pdata, store_command
from support.receiver import ReceiverProcess, answers, storescu, undisturbed
from support.small_disk import files_that_stay_small, grow_disk, small_disk

from dicom_node.deliver.send import send_files

DEFLATED = "1.2.840.10008.1.2.1.99"


@contextmanager
def associated(receiver, *contexts):
    """An association for MR in explicit VR (context 1), or for the given contexts."""
    with RawScu(receiver.port) as scu:
        scu.associate(contexts=contexts or [(MR, [EXPLICIT])])
        yield scu
        scu.release()


def good_object_is_taken(scu) -> None:
    """The association still works."""
    dataset = mr_object()
    assert scu.store(dataset.SOPInstanceUID, encoded(dataset)) == 0x0000


def bad_objects():
    """(what is wrong, data set bytes, SOP instance UID of the command, status)"""
    dataset = mr_object()
    uid = dataset.SOPInstanceUID
    good = encoded(dataset)
    noise = random.Random(3)
    yield "other SOP Instance UID", good, generate_uid(), 0xA900
    yield "truncated in the pixel data", good[:-100], uid, 0xC000
    yield "truncated in the header", good[:150], uid, 0xC000
    yield "truncated between elements", good[: good.index(b"\xe0\x7f\x10\x00")], uid, 0xA900
    yield "random bytes", noise.randbytes(5000), uid, 0xC000
    yield "no bytes at all", b"", uid, 0xA900
    yield "implicit VR in an explicit context", encoded(dataset, "1.2.840.10008.1.2"), uid, 0xC000
    yield "sequence that is not closed", b"\x08\0\x40\x11SQ\0\0\xff\xff\xff\xff" + good, uid, 0xC000
    for keyword in ("SOPInstanceUID", "SOPClassUID", "SeriesInstanceUID", "StudyInstanceUID"):
        lacking = mr_object()
        data = encoded(lacking)
        # Cut the element out of the bytes: a data set without it cannot be written by pydicom.
        raw = str(lacking[keyword].value).encode()
        length = len(raw) + len(raw) % 2
        start = data.index(b"UI" + length.to_bytes(2, "little") + raw) - 4
        yield f"no {keyword}", data[:start] + data[start + 8 + length :], lacking.SOPInstanceUID, 0xA900
    other_class = mr_object(sop_class="1.2.840.10008.5.1.4.1.1.4.1")
    yield "other SOP Class UID", encoded(other_class), other_class.SOPInstanceUID, 0xA900
    short = mr_object()
    short.Rows = 64
    yield "pixel data shorter than rows and columns say", encoded(short), short.SOPInstanceUID, 0xC000


@pytest.mark.parametrize(("data", "uid", "status"), [pytest.param(*bad[1:], id=bad[0]) for bad in bad_objects()])
def test_a_bad_object_gets_its_status_and_one_line(receiver, data, uid, status):
    """0xA900 or 0xC000, one line in the log, no file, and the association goes on."""
    lines, files = len(receiver.lines("object refused")), receiver.files()
    with associated(receiver) as scu:
        assert scu.store(uid, data) == status
        assert len(receiver.lines("object refused")) == lines + 1
        assert f"{status:#06x}" in receiver.lines("object refused")[-1]
        assert receiver.leftovers() == []
        assert receiver.files() == files
        good_object_is_taken(scu)


def deflated(plain):
    """As PS3.5 A.5 asks for."""
    deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
    return deflater.compress(plain) + deflater.flush()


def many_items(dataset, count):
    """A good object before which stands a sequence of empty items: 8 bytes each, next to nothing when deflated."""
    item, end = b"\xfe\xff\x00\xe0\0\0\0\0", b"\xfe\xff\xdd\xe0\0\0\0\0"
    return deflated(b"\x07\0\x40\x11SQ\0\0\xff\xff\xff\xff" + item * count + end + encoded(dataset))


def error_behind_the_last_input():
    """A deflate stream (RFC 1951) whose last match runs over the end of our piece of 256 KiB, so that the inflater has
    taken all input when it meets, five bits later, a block of the type that does not exist."""
    alphabet = {18: "0", 1: "10", 2: "11"}  # code lengths: the two symbols that we use, and long runs of zeros
    order = (16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1)
    sizes = {18: 1, 1: 2, 2: 2}

    def number(value, bits):
        return f"{value:0{bits}b}"[::-1]

    def zeros(count):
        return alphabet[18] + number(count - 11, 7)

    bits = "0" + number(2, 2) + number(286 - 257, 5) + number(0, 5) + number(len(order) - 4, 4)
    bits += "".join(number(sizes.get(symbol, 0), 3) for symbol in order)
    bits += alphabet[2] + zeros(138) + zeros(117) + alphabet[2] + zeros(28) + alphabet[1]  # 0, end of block, 258 long
    bits += alphabet[1]  # distance 1
    bits += "10" + "00" * 1017  # one byte, and 1017 times 258 of it
    bits += "11" + "0" + "11"  # end of block, and a block of type 3
    assert len(bits) % 8 == 0
    return bytes(int(bits[start : start + 8][::-1], 2) for start in range(0, len(bits), 8))


def test_a_damaged_deflated_object_is_not_understood(receiver):
    """A deflate stream cut off, one with an error in what the inflater still holds at its end, and bombs."""
    dataset = mr_object(matrix=64)
    data = encoded(dataset, DEFLATED)
    with associated(receiver, (MR, [DEFLATED])) as scu:
        assert scu.store(dataset.SOPInstanceUID, data[: len(data) // 2]) == 0xC000
        assert scu.store(dataset.SOPInstanceUID, error_behind_the_last_input()) == 0xC000
        assert scu.store(dataset.SOPInstanceUID, deflated(bytes(64 << 20))) == 0xC000
        assert scu.store(dataset.SOPInstanceUID, many_items(dataset, 1_100_000)) == 0xC000
        assert scu.store(dataset.SOPInstanceUID, data) == 0x0000


@pytest.mark.parametrize(
    ("elements", "status"),
    [
        ({"AffectedSOPInstanceUID": None}, 0x0117),
        ({"AffectedSOPInstanceUID": "no uid"}, 0x0117),
        ({"AffectedSOPInstanceUID": "1.2." + "3" * 80}, 0x0117),
        ({"AffectedSOPClassUID": "1.2.840.10008.5.1.4.1.1.2"}, 0x0122),
        ({"AffectedSOPClassUID": None}, 0x0122),
    ],
    ids=["no instance UID", "a word", "too long", "another class", "no class"],
)
def test_a_bad_command_gets_its_status(receiver, elements, status):
    """The command is checked before the data set, which is read to its end anyway."""
    dataset = mr_object()
    with associated(receiver) as scu:
        assert scu.store(dataset.SOPInstanceUID, encoded(dataset), **elements) == status
        good_object_is_taken(scu)


def test_a_store_without_a_data_set_is_not_understood(receiver):
    """C-STORE-RQ that says no data set follows: 0xC000."""
    with associated(receiver) as scu:
        scu.send(pdata(1, 3, store_command("1.2.3", CommandDataSetType=0x0101)))
        assert scu.response().Status == 0xC000
        good_object_is_taken(scu)


def test_another_service_is_an_unrecognized_operation(receiver):
    """C-FIND on a storage context, with its identifier: 0x0211, and the association goes on."""
    with associated(receiver) as scu:
        scu.send(pdata(1, 3, command(AffectedSOPClassUID=MR, CommandField=0x20, MessageID=9, CommandDataSetType=1)))
        scu.send(pdata(1, 2, encoded(mr_object())))
        answer = scu.response()
        assert (answer.Status, answer.CommandField, answer.MessageIDBeingRespondedTo) == (0x0211, 0x8020, 9)
        good_object_is_taken(scu)


def test_a_store_on_the_verification_context_is_refused(receiver):
    """C-STORE where only C-ECHO was negotiated: 0x0122."""
    dataset = mr_object()
    with associated(receiver, (VERIFICATION, [EXPLICIT])) as scu:
        assert scu.store(dataset.SOPInstanceUID, encoded(dataset)) == 0x0122


def test_several_messages_in_one_write_are_answered_in_order(receiver):
    """Sent without waiting for answers: each message gets its own, in order."""
    objects = [mr_object(number) for number in range(3)]
    with associated(receiver) as scu:
        scu.send(
            b"".join(
                pdata(1, 3, store_command(dataset.SOPInstanceUID, message_id=number)) + pdata(1, 2, encoded(dataset))
                for number, dataset in enumerate(objects, start=1)
            )
        )
        assert [scu.response().MessageIDBeingRespondedTo for _ in objects] == [1, 2, 3]


# Out of resources


def test_files_that_may_not_grow_are_out_of_resources_and_leave_nothing(tmp_path):
    """No room for a large object, by a limit that needs no right to set: 0xA700, no partial file, smaller ones are
    taken; when there is room again, the same sender succeeds."""
    small, large = mr_object(matrix=64), mr_object(matrix=1024)
    with ReceiverProcess(tmp_path) as receiver:
        with files_that_stay_small(receiver.process.pid, 1 << 20), associated(receiver) as scu:
            assert scu.store(large.SOPInstanceUID, encoded(large)) == 0xA700
            assert scu.store(small.SOPInstanceUID, encoded(small)) == 0x0000
            assert len(receiver.files()) == 1
            assert receiver.leftovers() == []
            (line,) = receiver.lines("object refused")
            assert "0xa700" in line
            assert "no space left" in line
        with associated(receiver) as scu:
            assert scu.store(large.SOPInstanceUID, encoded(large)) == 0x0000
        assert len(receiver.files()) == 2


@pytest.mark.peer("storescu")
def test_a_full_disk_is_out_of_resources_and_leaves_nothing(tmp_path):
    """A disk of 1 MB really fills up: 0xA700, no partial file; when there is room again, the same sender succeeds."""
    files = mr_series(tmp_path / "series", 12, matrix=256)
    with small_disk(tmp_path / "r" / "storage", 1024), ReceiverProcess(tmp_path / "r") as receiver:
        outcomes = send_files(files, receiver.address)
        statuses = [outcome.status for outcome in outcomes]
        assert set(statuses) == {0x0000, 0xA700}, outcomes
        assert [outcome.ok for outcome in outcomes] == [status == 0 for status in statuses]
        assert len(receiver.files()) == statuses.count(0) == len(receiver.rows(series_of(files)))
        assert receiver.leftovers() == []
        assert "0xa700" in receiver.lines("object refused")[0]
        grow_disk(tmp_path / "r" / "storage", 16 << 10)
        assert answers(storescu(receiver, files)) == ["Success"] * len(files)
        assert len(receiver.rows(series_of(files))) == len(files)


def test_a_disk_without_any_room_takes_no_association(tmp_path):
    """Not even a small image fits: an association that would store is rejected, transient (PS3.8 table 9-21), so that
    the sender keeps all of it, as at a closed port; C-ECHO is answered, and with room again objects are taken."""
    dataset, storage = mr_object(matrix=64), tmp_path / "r" / "storage"
    with small_disk(storage, 1024), ReceiverProcess(tmp_path / "r") as receiver:
        with (storage / "filler").open("wb", buffering=0) as filler, suppress(OSError):
            while True:
                filler.write(bytes(4096))
        with RawScu(receiver.port) as scu:
            scu.send(associate_request())
            assert scu.rejection() == (2, 3, 1)
        assert "no space left" in receiver.wait_for_line("association rejected")
        with RawScu(receiver.port) as scu:
            scu.associate(contexts=[(VERIFICATION, (EXPLICIT,))])
        grow_disk(storage, 16 << 10)
        with associated(receiver) as scu:
            assert scu.store(dataset.SOPInstanceUID, encoded(dataset)) == 0x0000


def test_objects_that_grow_side_by_side_leave_the_reserve(tmp_path):
    """Each of four finds room for itself, not for all: the last to ask is refused, and the reserve stays free."""
    reserve, length, piece = 8 << 20, 12 << 20, bytes(60_000)
    storage = tmp_path / "r" / "storage"
    free = []

    with small_disk(storage, 32 << 10), ReceiverProcess(tmp_path / "r", reserve_bytes=reserve) as receiver:
        scus = [RawScu(receiver.port) for _ in range(4)]
        for scu in scus:
            scu.associate()
            scu.send(pdata(1, 3, store_command(generate_uid())))
        for _ in range(length // len(piece)):
            for scu in scus:
                scu.send(pdata(1, 0, piece))
            disk = os.statvfs(storage)
            free.append(disk.f_bavail * disk.f_frsize)
        for scu in scus:
            scu.send(pdata(1, 2, b""))
        statuses = [scu.response().Status for scu in scus]
        for scu in scus:
            scu.socket.close()
        assert min(free) > reserve - (1 << 20)
        assert 0xA700 in statuses
        assert receiver.leftovers() == []


def test_a_deflated_object_leaves_the_reserve(tmp_path):
    """Its inflated form, which lies on the disk while it is looked at, asks for room like any other."""
    dataset = mr_object(matrix=64)
    data = deflated(encoded(dataset) + b"\xfc\xff\xfc\xffOB\0\0" + (14 << 20).to_bytes(4, "little") + bytes(14 << 20))
    with (
        small_disk(tmp_path / "r" / "storage", 16 << 10),
        ReceiverProcess(tmp_path / "r", reserve_bytes=8 << 20) as receiver,
        associated(receiver, (MR, [DEFLATED])) as scu,
    ):
        assert scu.store(dataset.SOPInstanceUID, data) == 0xA700
        assert scu.store(dataset.SOPInstanceUID, encoded(dataset, DEFLATED)) == 0x0000


def series_of(files):
    import pydicom

    return pydicom.dcmread(files[0], stop_before_pixels=True).SeriesInstanceUID


@pytest.mark.peer("storescu")
def test_the_reserve_of_the_disk_is_kept(tmp_path):
    """Less free disk than the reserve: 0xA700 before anything is written."""
    free = os.statvfs(tmp_path)
    with ReceiverProcess(tmp_path, reserve_bytes=free.f_bavail * free.f_frsize + (1 << 30)) as receiver:
        files = mr_series(tmp_path / "series", 2)
        assert [outcome.status for outcome in send_files(files, receiver.address)] == [0xA700, 0xA700]
        assert receiver.files() == []


@pytest.mark.peer("storescu")
def test_an_object_above_the_limit_is_refused_and_drained(tmp_path):
    """Larger than we take: 0xA700 after its last fragment, and the association goes on with the next object."""
    with ReceiverProcess(tmp_path, max_object_bytes=100_000) as receiver:
        small = mr_series(tmp_path / "series", 3)
        large = write_object(mr_object(matrix=1024), tmp_path / "large.dcm")
        with undisturbed(receiver, small):
            outcomes = send_files([large, *small], receiver.address)
            assert [outcome.status for outcome in outcomes] == [0xA700, 0, 0, 0]
        assert receiver.leftovers() == []


@pytest.mark.parametrize(
    ("command_", "settings"),
    [
        (store_command("no uid"), {}),
        (store_command("1.2.3"), {"max_object_bytes": 100_000}),
        (command(CommandField=0x0020, MessageID=1, CommandDataSetType=1, AffectedSOPClassUID=MR, Priority=0), {}),
    ],
    ids=["refused by its command", "refused while it comes", "another service"],
)
def test_an_endless_object_that_is_refused_ends_the_association(tmp_path, command_, settings):
    """The rest of an object that is not taken is read, but not for ever."""
    with ReceiverProcess(tmp_path, max_drained_bytes=4_000_000, **settings) as receiver, RawScu(receiver.port) as scu:
        scu.associate()
        scu.send(pdata(1, 3, command_))
        sent, piece = 0, pdata(1, 0, bytes(60_000))
        with suppress(ConnectionError):
            while sent < 200_000_000:
                scu.send(piece)
                sent += len(piece)
        assert sent < 100_000_000
        assert receiver.lines("continues to send a refused object")
        assert receiver.leftovers() == []


def test_a_database_that_is_away_is_a_processing_failure(tmp_path):
    """The database's tables are gone: associations are rejected for now, and nothing is acknowledged."""
    import sqlite3

    with ReceiverProcess(tmp_path) as receiver:
        dataset = mr_object()
        with RawScu(receiver.port) as scu:
            scu.associate()
            with sqlite3.connect(tmp_path / "node.sqlite") as connection:
                for (name,) in connection.execute("select name from sqlite_master where type = 'table'").fetchall():
                    if not name.startswith("sqlite_"):
                        connection.execute(f"alter table {name} rename to gone_{name}")
            assert scu.store(dataset.SOPInstanceUID, encoded(dataset)) == 0x0110
        with RawScu(receiver.port) as scu:
            from support.raw_scu import associate_request

            scu.send(associate_request())
            assert scu.rejection() == (2, 3, 1)
        assert receiver.lines("storing failed")
