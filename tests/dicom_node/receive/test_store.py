"""Group commit: many threads, few commits, each thread its own outcome."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest
from support.processes import until

from db.records import AssociationEnd, RecordOutcome
from dicom_node.receive import pending_ends
from dicom_node.receive import store as store_module
from dicom_node.receive.elements import DataSetSummary
from dicom_node.receive.incoming import CheckedObject
from dicom_node.receive.store import Store, _Folders, instance_path


class Rows:
    """Rows in memory, slow as a disk, that count their transactions."""

    def __init__(self, seconds=0.01, broken=False):
        self.seconds, self.broken = seconds, broken
        self.batches: list[list[str]] = []
        self.inside = 0
        self.ended: list[tuple[int, AssociationEnd]] = []

    def open_association(self, *_):
        return 1

    def end_association(self, association_id, end):
        if self.broken:
            raise RuntimeError("database away")
        self.ended.append((association_id, end))

    def end_orphans(self, *_):
        return 0

    def record(self, batch):
        self.inside += 1
        assert self.inside == 1, "two transactions at once"
        time.sleep(self.seconds)
        self.batches.append([instance.sop_instance_uid for instance in batch])
        self.inside -= 1
        if self.broken:
            raise RuntimeError("database away")
        return [RecordOutcome.NEW for _ in batch]


def checked(folder: Path, number: int) -> CheckedObject:
    temporary = folder / f"{number}.part"
    temporary.write_bytes(b"x")
    descriptor = os.open(temporary, os.O_RDWR)
    summary = DataSetSummary("1.2", f"1.2.{number}", "1.3", f"1.4.{number % 3}", True, None, None)
    return CheckedObject(str(temporary), descriptor, f"{number:064x}", 1, summary, "1.2.840.10008.1.2.1")


def keep_all(store, objects):
    """Each object in its own thread; gives outcome or error per object."""
    results = {}

    def keep(one):
        try:
            results[one.summary.sop_instance_uid] = store.keep(one, 1)
        except Exception as error:
            results[one.summary.sop_instance_uid] = error

    threads = [threading.Thread(target=keep, args=(obj,)) for obj in objects]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    return results


def test_threads_share_commits(tmp_path):
    """40 objects at once need far fewer than 40 transactions, one at a time, and every one has its row and file."""
    rows = Rows()
    objects = [checked(tmp_path, number) for number in range(40)]
    results = keep_all(Store(tmp_path, rows, "test-"), objects)
    assert set(results.values()) == {RecordOutcome.NEW}
    assert sorted(uid for batch in rows.batches for uid in batch) == sorted(results)
    assert len(rows.batches) < 15
    assert all((tmp_path / instance_path(obj)).is_file() for obj in objects)


def test_one_thread_pays_one_commit_each(tmp_path):
    """A single file is committed at once, without waiting for a batch."""
    rows = Rows(seconds=0)
    store = Store(tmp_path, rows, "test-")
    for number in range(5):
        store.keep(checked(tmp_path, number), 1)
    assert [len(batch) for batch in rows.batches] == [1] * 5


def test_a_failed_commit_fails_all_who_shared_it_and_none_waits_for_ever(tmp_path):
    """The database is away: every thread hears of it, and the next round works again."""
    rows = Rows(broken=True)
    store = Store(tmp_path, rows, "test-")
    results = keep_all(store, [checked(tmp_path, number) for number in range(20)])
    assert all(isinstance(result, RuntimeError) for result in results.values())
    rows.broken = False
    assert store.keep(checked(tmp_path, 99), 1) is RecordOutcome.NEW


def test_a_file_that_cannot_be_moved_fails_alone(tmp_path):
    """One object's disk trouble is not the others': they are recorded, it is not."""
    rows = Rows()
    objects = [checked(tmp_path, number) for number in range(10)]
    Path(objects[4].temporary).unlink()
    results = keep_all(Store(tmp_path, rows, "test-"), objects)
    assert isinstance(results.pop("1.2.4"), FileNotFoundError)
    assert set(results.values()) == {RecordOutcome.NEW}


def test_same_bytes_have_one_name_and_other_bytes_another(tmp_path):
    """A resend lands on the first file; other bytes of the same instance lie beside it; no UID is in the name."""
    first, again, other = checked(tmp_path, 1), checked(tmp_path, 1), checked(tmp_path, 1)
    object.__setattr__(other, "sha256", "f" * 64)
    assert instance_path(first) == instance_path(again)
    assert instance_path(first).rpartition("/")[0] == instance_path(other).rpartition("/")[0]
    assert instance_path(first) != instance_path(other)
    assert "1.4" not in instance_path(first)


def test_half_a_digest_in_common_is_not_the_same_name(tmp_path):
    """64 bits can be made to agree; a name made of them would let one object replace another that is acknowledged."""
    first, other = checked(tmp_path, 1), checked(tmp_path, 1)
    object.__setattr__(other, "sha256", first.sha256[:32] + "f" * 32)
    assert instance_path(first) != instance_path(other)


@pytest.mark.parametrize("count", [1, 8])
def test_processes_take_turns_on_sqlite(tmp_path, count):
    """With a lock file, stores of several processes never write at once."""
    rows = Rows()
    stores = [Store(tmp_path, rows, "test-", tmp_path / "rows.lock") for _ in range(count)]
    threads = [
        threading.Thread(target=keep_all, args=(store, [checked(tmp_path, 10 * n + k) for k in range(5)]))
        for n, store in enumerate(stores)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sum(len(batch) for batch in rows.batches) == 5 * count


@pytest.mark.parametrize("slow", [False, True], ids=["fast disk", "slow disk"])
def test_a_folder_is_flushed_before_the_row_on_any_disk(tmp_path, monkeypatch, slow):
    """In place or beside the file's flush: the folder is on disk before the row is asked for."""
    order = []
    rows = Rows(seconds=0)
    record = rows.record
    monkeypatch.setattr(_Folders, "_SLOW_SECONDS", -1.0 if slow else 100.0)
    monkeypatch.setattr(store_module, "sync_folder", lambda folder: order.append(f"flush {Path(folder).name}"))
    monkeypatch.setattr(rows, "record", lambda batch: order.append("row") or record(batch))
    store, one = Store(tmp_path, rows, "test-"), checked(tmp_path, 1)
    assert store.keep(one, 1) is RecordOutcome.NEW
    series = Path(instance_path(one)).parent
    assert order[-2:] == [f"flush {series.name}", "row"]
    assert {f"flush {series.parent.name}", "flush inbox"} <= set(order)


@pytest.mark.parametrize("slow", [False, True], ids=["fast disk", "slow disk"])
def test_a_folder_that_cannot_be_flushed_is_not_acknowledged(tmp_path, monkeypatch, slow):
    """An I/O error of the folder: the thread hears of it and no row is written."""
    rows = Rows(seconds=0)
    store = Store(tmp_path, rows, "test-")
    store.keep(checked(tmp_path, 1), 1)

    def fail(_folder):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(_Folders, "_SLOW_SECONDS", -1.0 if slow else 100.0)
    monkeypatch.setattr(store_module, "sync_folder", fail)
    with pytest.raises(OSError, match="Input/output"):
        store.keep(checked(tmp_path, 4), 1)  # of the same series as 1
    assert [len(batch) for batch in rows.batches] == [1]


def test_a_resend_is_flushed_before_it_replaces_what_lies_there(tmp_path, monkeypatch):
    """The name exists: flush first, then rename, so that a power cut cannot take an acknowledged file away."""
    order = []
    store = Store(tmp_path, Rows(seconds=0), "test-")
    store.keep(checked(tmp_path, 1), 1)
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(store_module.os, "fsync", lambda descriptor: order.append("flush") or fsync(descriptor))
    monkeypatch.setattr(store_module.os, "replace", lambda *names: order.append("rename") or replace(*names))
    again = checked(tmp_path, 1)
    store.keep(again, 1)
    assert order == ["flush", "rename", "flush"]  # file, name, folder
    assert not Path(again.temporary).exists()
    assert (tmp_path / instance_path(again)).is_file()


def test_ends_of_associations_are_recorded_once_the_database_is_back(tmp_path, monkeypatch):
    """Each once, as it was; who asked hears that it is late."""
    monkeypatch.setattr(pending_ends, "_FIRST_SECONDS", 0.01)
    rows = Rows(broken=True)
    store = Store(tmp_path, rows, "test-")
    for number, end in enumerate((AssociationEnd.RELEASED, AssociationEnd.ABORTED)):
        with pytest.raises(RuntimeError):
            store.end_association(number, end)
    rows.broken = False
    until(lambda: len(rows.ended) == 2, "the ends recorded")
    store.end_association(2, AssociationEnd.RELEASED)
    assert rows.ended == [(0, AssociationEnd.RELEASED), (1, AssociationEnd.ABORTED), (2, AssociationEnd.RELEASED)]
    store.close()


def test_a_receiver_that_stops_tries_the_ends_once_more(tmp_path, monkeypatch):
    """What cannot be recorded then is left to the next start, which does not take long to say."""
    monkeypatch.setattr(pending_ends, "_FIRST_SECONDS", 100.0)
    rows = Rows(broken=True)
    store = Store(tmp_path, rows, "test-")
    with pytest.raises(RuntimeError):
        store.end_association(1, AssociationEnd.RELEASED)
    rows.broken = False
    store.close()
    assert rows.ended == [(1, AssociationEnd.RELEASED)]
