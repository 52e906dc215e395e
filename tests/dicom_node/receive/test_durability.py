"""Kill -9 at any instruction: what a sender saw acknowledged is there, a resend makes no second copy."""

from __future__ import annotations

import hashlib
import random
import subprocess
import time

import pydicom
import pytest
from support.mr import data_set_bytes, mr_series
from support.receiver import ReceiverProcess, answers, dcmtk, storescu

from db.records import AssociationEnd
from dicom_node.deliver.send import send_files

pytestmark = pytest.mark.slow
COUNT = 60


def uids(files):
    """(SOP instance UID, path) of each file, and the series."""
    heads = [pydicom.dcmread(path, stop_before_pixels=True) for path in files]
    return [head.SOPInstanceUID for head in heads], heads[0].SeriesInstanceUID


def assert_acknowledged_is_there(receiver, files, count):
    """The first `count` files are on disk with the right bytes, and have a row with the right sha256."""
    instances, series = uids(files)
    rows = {row.sop_instance_uid: row for row in receiver.rows(series)}
    for path, instance in zip(files[:count], instances, strict=False):
        assert instance in rows, f"acknowledged, but without a row: {path.name}"
        stored = receiver.settings.storage / rows[instance].path
        assert hashlib.sha256(stored.read_bytes()).hexdigest() == rows[instance].sha256
        assert pydicom.dcmread(stored).PixelData == pydicom.dcmread(path).PixelData


def assert_whole_after_resend(receiver, files):
    """Sent again: every answer 0x0000, one row and one file an instance, nothing unfinished, no association open."""
    for _ in range(2):
        assert all(outcome.ok for outcome in send_files(files, receiver.address))
    instances, series = uids(files)
    rows = receiver.rows(series)
    assert sorted(row.sop_instance_uid for row in rows) == sorted(instances)
    assert not any(row.is_conflict for row in rows)
    assert sorted(receiver.settings.storage / row.path for row in rows) == receiver.files()
    assert receiver.leftovers() == receiver.end_notes() == []
    assert [activity.open_associations for activity in receiver.series()] == [0]
    for path, row in zip(files, sorted(rows, key=lambda row: instances.index(row.sop_instance_uid)), strict=True):
        assert data_set_bytes(receiver.settings.storage / row.path) == data_set_bytes(path)


@pytest.mark.peer("storescu")
@pytest.mark.parametrize("seed", range(4))
def test_killed_in_the_middle_of_a_series_loses_nothing_acknowledged(tmp_path, seed):
    """A real storescu in full run, kill -9 at a random moment, restart, resend."""
    files = mr_series(tmp_path / "series", COUNT, matrix=128)
    with ReceiverProcess(tmp_path / "r") as receiver:
        sender = subprocess.Popen(
            [dcmtk("storescu"), "-v", "-aec", "WMHNODE", "127.0.0.1", str(receiver.port), *map(str, files)],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        wanted = random.Random(seed).randint(1, COUNT - 10)
        while len(receiver.files()) < wanted and sender.poll() is None:
            time.sleep(0.001)
        time.sleep(random.Random(seed).random() * 0.004)
        receiver.kill()
        output, _ = sender.communicate(timeout=30)
        acknowledged = output.count("Received Store Response (Success)")
        assert 0 < acknowledged < COUNT
        assert_acknowledged_is_there(receiver, files, acknowledged)
        receiver.start()
        assert receiver.leftovers() == []
        assert_acknowledged_is_there(receiver, files, acknowledged)
        assert answers(storescu(receiver, files)) == ["Success"] * COUNT
        assert_whole_after_resend(receiver, files)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(
    "point",
    ["first byte", "check", "final name", "file flush", "placing", "folder", "row", "answer", "end of association"],
)
def test_killed_at_each_step_of_storing(tmp_path, point, when):
    """SIGKILL from inside, before and after each step on the way to the acknowledgement."""
    files = mr_series(tmp_path / "series", 5)
    nth = 1 if point == "end of association" else 3
    with ReceiverProcess(tmp_path / "r", dies_at=(point, when, nth)) as receiver:
        outcomes = send_files(files, receiver.address)
        receiver.wait_for_death()
        acknowledged = [outcome.ok for outcome in outcomes].count(True)
        assert [outcome.ok for outcome in outcomes] == [True] * acknowledged + [False] * (5 - acknowledged)
        assert acknowledged == {"end of association": 5}.get(point, acknowledged)
        assert_acknowledged_is_there(receiver, files, acknowledged)
        receiver.start()
        assert_whole_after_resend(receiver, files)


def test_killed_before_an_end_is_recorded(tmp_path):
    """SIGKILL while the database is asked: the next start records the end as it was, and leaves no note of it."""
    files = mr_series(tmp_path / "series", 2)
    with ReceiverProcess(tmp_path / "r", dies_at=("end of association", "before", 1)) as receiver:
        assert all(outcome.ok for outcome in send_files(files, receiver.address))
        receiver.wait_for_death()
        receiver.start()
        assert [one.last_end for one in receiver.series()] == [AssociationEnd.RELEASED]
        assert receiver.end_notes() == []


def test_stopping_lets_the_object_under_way_finish(tmp_path):
    """SIGTERM in the middle of a C-STORE: that object is stored and answered, then the association is aborted."""
    from support.mr import encoded, mr_object
    from support.processes import until
    from support.raw_scu import RawScu, pdata, store_command

    dataset = mr_object()
    data = encoded(dataset)
    with ReceiverProcess(tmp_path) as receiver, RawScu(receiver.port) as busy, RawScu(receiver.port) as idle:
        busy.associate()
        idle.associate()
        busy.send(pdata(1, 3, store_command(dataset.SOPInstanceUID)) + pdata(1, 0, data[:500]))
        until(receiver.leftovers, "object under way", 30)
        receiver.process.terminate()
        assert idle.pdu()[0] == 7
        busy.send(pdata(1, 2, data[500:]))
        assert busy.response().Status == 0x0000
        assert busy.pdu()[0] == 7
        assert receiver.stop() == 0
        assert len(receiver.rows(dataset.SeriesInstanceUID)) == 1
        assert [activity.open_associations for activity in receiver.series()] == [0]


def test_stopping_does_not_wait_for_an_object_that_does_not_come(tmp_path):
    """An object that stays incomplete is aborted after the grace time, and leaves nothing."""
    from support.processes import until
    from support.raw_scu import RawScu, pdata, store_command

    with ReceiverProcess(tmp_path, grace_seconds=1.0) as receiver, RawScu(receiver.port) as scu:
        scu.associate()
        scu.send(pdata(1, 3, store_command("1.2.3")) + pdata(1, 0, b"\0" * 100))
        until(receiver.leftovers, "object under way", 30)
        began = time.monotonic()
        assert receiver.stop() == 0
        assert time.monotonic() - began < 20
        assert receiver.leftovers() == []


def test_what_a_dead_process_of_another_name_left_is_cleared_up(tmp_path):
    """Fewer processes, or another port, than before a kill -9: its associations end, its unfinished object goes."""
    from support.mr import encoded, mr_object
    from support.processes import free_port, until
    from support.raw_scu import RawScu, pdata, store_command

    dataset = mr_object()
    with ReceiverProcess(tmp_path, index=3) as receiver:
        with RawScu(receiver.port) as scu:
            scu.associate()
            assert scu.store(dataset.SOPInstanceUID, encoded(dataset)) == 0x0000
            scu.send(pdata(1, 3, store_command("1.2.3")) + pdata(1, 0, b"\0" * 100))
            until(receiver.leftovers, "object under way", 30)
            receiver.kill()
        assert [activity.open_associations for activity in receiver.series()] == [1]
        receiver.restarted_with(index=0, port=free_port())
        assert receiver.leftovers() == []
        assert [activity.open_associations for activity in receiver.series()] == [0]
        assert len(receiver.rows(dataset.SeriesInstanceUID)) == 1
