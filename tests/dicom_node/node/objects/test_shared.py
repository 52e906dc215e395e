"""Two machines share images and result sets through an object store, and neither can harm the other."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import tarfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support.clock import ManualClock
from support.models import tiny_bundle

from db.deliveries import DeliveryTable
from db.engine import Database
from db.errors import LeaseLost
from db.inbox import Inbox
from db.jobs import JobTable
from db.models import ModelTable
from db.records import AssociationEnd, Job, JobState, NewModel, ReceivedInstance
from dicom_node.analyse.follow_up.patient_key import open_hasher
from dicom_node.models.choice import registry_choice, store_of
from dicom_node.node.errors import ConfigurationError, StorageTrouble
from dicom_node.node.objects import shared as sharing_module
from dicom_node.node.objects.door import FolderStore, ObjectStoreTrouble, digest_of
from dicom_node.node.objects.shared import SharedStorage
from dicom_node.node.objects.shared_tables import SharedInbox, SharedOutbox
from dicom_node.node.outbox import Outbox
from dicom_node.node.patient_key_file import FILE
from dicom_node.node.settings import Settings
from dicom_node.node.storage import require_copies
from dicom_node.receive.installation import installation_id
from dicom_node.serve.only_node import (
    claim_receiving,
    receives_elsewhere,
    require_only_receiver,
    require_role_here,
)
from dicom_node.serve.shared_models import live_bundle, open_choice
from dicom_node.serve.sharing import Sharing, sweep

SERIES = "1.2.3"
FILES = {"seg.dcm": b"seg" * 1000, "sr.dcm": b"sr", "measurements.json": b"{}"}


@dataclass
class Machine:
    """STORAGE of one machine."""

    storage: Path
    shared: SharedStorage
    outbox: SharedOutbox

    @classmethod
    def make(cls, folder: Path, store: Path) -> Machine:
        shared = SharedStorage(folder, FolderStore(store))
        return cls(folder, shared, SharedOutbox(folder / "outbox", shared))

    def publish(self, job_id: int, content: dict[str, bytes] = FILES) -> Path:
        with self.outbox.workplace(job_id) as workplace:
            for name, data in content.items():
                (workplace / name).write_bytes(data)
            return self.outbox.publish(job_id, workplace, list(content))


@pytest.fixture
def store(tmp_path: Path) -> Path:
    (tmp_path / "store").mkdir()
    return tmp_path / "store"


@pytest.fixture
def front(tmp_path: Path, store: Path) -> Machine:
    return Machine.make(tmp_path / "front", store)


@pytest.fixture
def other(tmp_path: Path, store: Path) -> Machine:
    return Machine.make(tmp_path / "other", store)


def _received(database: Database, front: Machine, series: str = SERIES, count: int = 3, study: str = "1.9") -> Job:
    inbox = Inbox(database)
    association = inbox.open_association("SCANNER", "WMHNODE", "10.0.0.7", "receiver")
    for number in range(count):
        content = f"{series} {number}".encode()
        path = f"inbox/ab/{series}/{number}-{hashlib.sha256(content).hexdigest()}.dcm"
        (front.storage / path).parent.mkdir(parents=True, exist_ok=True)
        (front.storage / path).write_bytes(content)
        inbox.record(
            [
                ReceivedInstance(
                    f"{series}.{number}", "1.2", series, study, "1.2", path, hashlib.sha256(content).hexdigest(),
                    len(content), association,
                )
            ]
        )  # fmt: skip
    inbox.end_association(association, AssociationEnd.RELEASED)
    return JobTable(database).enqueue(series, "a" * 64, count)


def _sharing(database: Database, front: Machine) -> Sharing:
    return Sharing(Inbox(database), JobTable(database), Outbox(front.storage / "outbox"), front.shared)


def test_a_job_is_claimed_elsewhere_once_it_is_shared(database: Database, front: Machine, other: Machine) -> None:
    """A machine that only analyses claims what is in the store, fetches it, and has the bytes that were received;
    the other series of the study come too."""
    beside = _received(database, front, "1.2.4")
    job = _received(database, front)
    elsewhere = JobTable(database, only_shared=True)
    assert elsewhere.claim("other", 60) is None
    assert _sharing(database, front).step() == 0.0
    assert JobTable(database).to_share(9) == []
    inbox = SharedInbox(database, other.shared)
    claimed = [elsewhere.claim("other", 60), elsewhere.claim("other", 60)]
    assert [one and one.id for one in claimed] == [beside.id, job.id]
    rows = inbox.instances_of_job(job)
    assert [(other.storage / row.path).read_bytes() for row in rows] == [b"1.2.3 0", b"1.2.3 1", b"1.2.3 2"]
    assert [len(found) for found in inbox.instances_beside(job, 9)] == [3]
    assert (other.storage / Inbox(database).instances_of("1.2.4")[0].path).is_file()
    assert list((other.storage / "fetched").iterdir()) == []


def test_while_the_store_is_away(database: Database, front: Machine, other: Machine, store: Path) -> None:
    """Nothing is shared and nothing is lost; the machine that received still claims; afterwards it goes on."""
    job = _received(database, front)
    sharing, hidden = _sharing(database, front), store.with_name("hidden")
    store.rename(hidden)
    assert sharing.step() > 1
    assert JobTable(database, only_shared=True).claim("other", 60) is None
    assert front.outbox.away() is not None
    with pytest.raises(ObjectStoreTrouble):
        SharedInbox(database, other.shared).instances_of(SERIES)
    assert len(SharedInbox(database, other.shared).rows_of_job(job)) == 3
    with pytest.raises(ObjectStoreTrouble):
        front.publish(job.id)
    assert Outbox(front.storage / "outbox").of_job(job.id) is None, "an unshared result set stayed"
    assert store.exists() is False
    claimed = JobTable(database).claim("front", 60)
    assert claimed is not None and claimed.id == job.id
    hidden.rename(store)
    sharing.step()
    assert JobTable(database).to_share(9) == []
    assert front.publish(job.id).name == "1"


def test_while_storage_is_away_no_job_counts_as_shared(database: Database, front: Machine, store: Path) -> None:
    """A disk that is not mounted has no files to be put: the job waits, or it would fail on another machine."""
    _received(database, front)
    sharing, hidden = _sharing(database, front), front.storage.with_name("hidden")
    front.storage.rename(hidden)
    front.storage.mkdir()
    assert sharing.step() > 1
    assert JobTable(database, only_shared=True).claim("other", 60) is None
    front.storage.rmdir()
    hidden.rename(front.storage)
    sharing.step()
    assert JobTable(database).to_share(9) == []
    assert len(list((store / "inbox").rglob("*.dcm"))) == 3


def test_a_file_that_cannot_be_read_holds_nothing_up(
    database: Database, front: Machine, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bad sector ends neither the sharing of other files nor the role, which delivers too."""
    _received(database, front)
    bad = front.storage / Inbox(database).instances_of(SERIES)[0].path

    def reading(file: Path) -> str:
        if file == bad:
            raise OSError(errno.EIO, "Input/output error", str(file))
        return digest_of(file)

    monkeypatch.setattr(sharing_module, "digest_of", reading)
    _sharing(database, front).step()
    assert JobTable(database).to_share(9) == []
    assert len(list((store / "inbox").rglob("*.dcm"))) == 2


def test_a_damaged_set_holds_no_other_up(database: Database, front: Machine, other: Machine, store: Path) -> None:
    """Result sets of other jobs come, whatever one of them is like."""
    made = [_received(database, front, series) for series in ("1.2.4", SERIES)]
    sharing = _sharing(database, front)
    sharing.step()
    jobs = JobTable(database, only_shared=True)
    for _ in made:
        job = jobs.claim("other", 60)
        assert job is not None
        other.publish(job.id)
        jobs.deliver(job.id, "other", {}, [])
    (store / f"outbox/{made[1].id}/1.tar").write_bytes(b"damaged")
    assert _sharing(database, front).step() < 1
    outbox = Outbox(front.storage / "outbox")
    assert outbox.of_job(made[0].id) is not None
    assert outbox.of_job(made[1].id) is None


def test_damaged_and_missing_images_stay_missing(
    database: Database, front: Machine, other: Machine, store: Path
) -> None:
    """A file that is damaged on either side is never taken for what was received."""
    _received(database, front)
    rows = Inbox(database).instances_of(SERIES)
    (front.storage / rows[0].path).write_bytes(b"damaged here")
    _sharing(database, front).step()
    (store / rows[1].path).chmod(0o644)
    (store / rows[1].path).write_bytes(b"damaged there")
    SharedInbox(database, other.shared).instances_of(SERIES)
    assert [(other.storage / row.path).exists() for row in rows] == [False, False, True]


def test_result_sets_of_two_machines_never_meet(front: Machine, other: Machine) -> None:
    """Each set has a number of its own on all machines, comes whole to the other one, and the newest counts."""
    first = front.publish(7)
    second = other.publish(7, {"seg.dcm": b"another"})
    assert (first.name, second.name) == ("1", "2")
    third = front.publish(7, {"seg.dcm": b"third"})
    assert third.name == "3", "the other machine's is not here, and its number is taken"
    assert front.outbox.of_job(7) == front.storage / "outbox" / "7" / "3"
    front.shared.fetch_files(["outbox/7/2/seg.dcm", "outbox/7/withdrawn/note.dcm", "outbox/8/1/seg.dcm"])
    assert (front.storage / "outbox/7/2/seg.dcm").read_bytes() == b"another"
    other.shared.fetch_set(7, 1)
    assert {file.name: file.read_bytes() for file in (other.storage / "outbox/7/1").iterdir()} == FILES
    assert other.outbox.of_job(9) is None


def test_two_that_choose_the_same_number(front: Machine, other: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where both see the same numbers before they publish, one of them takes the next."""
    monkeypatch.setattr(SharedStorage, "newest_set", lambda _self, _job_id: 0)
    assert [front.publish(7).name, other.publish(7, {"a": b"b"}).name] == ["1", "2"]
    front.shared.fetch_set(7, 2)
    assert (front.storage / "outbox/7/2/a").read_bytes() == b"b"


class _Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("is_there", [False, True])
def test_killed_while_it_publishes(
    front: Machine, other: Machine, monkeypatch: pytest.MonkeyPatch, is_there: bool
) -> None:
    """Before or after the set is in the store: no folder here differs from what the store has under its number, and the
    next set is the newest for all."""
    share_set = SharedStorage.share_set

    def killed(self: SharedStorage, *args: Any) -> bool:
        if is_there:
            share_set(self, *args)
        raise _Killed

    with monkeypatch.context() as killing, pytest.raises(_Killed):
        killing.setattr(SharedStorage, "share_set", killed)
        front.publish(7, {"seg.dcm": b"of the killed one"})
    published = other.publish(7, {"seg.dcm": b"another"})
    front.shared.fetch_files([f"outbox/7/{published.name}/seg.dcm"])
    assert (front.storage / "outbox/7" / published.name / "seg.dcm").read_bytes() == b"another"
    third = front.publish(7, {"seg.dcm": b"third"})
    assert front.shared.newest_set(7) == int(third.name)
    newest = other.outbox.of_job(7)
    assert newest is not None and (newest / "seg.dcm").read_bytes() == b"third"


def test_a_set_from_before_the_store_leaves_no_gap(front: Machine, other: Machine) -> None:
    """The numbers in the store follow each other, also where this machine had result sets before: all machines see the
    newest, and the rules of the disk remove each of them."""
    before = Outbox(front.storage / "outbox")
    with before.workplace(7) as workplace:
        (workplace / "seg.dcm").write_bytes(b"before")
        before.publish(7, workplace, ["seg.dcm"])
    assert front.publish(7, {"seg.dcm": b"after"}).name == "2"
    assert other.shared.newest_set(7) == 2
    other.shared.forget([], [7])
    assert not other.shared.fetch_set(7, 2)


def test_a_lost_lease_takes_its_set_back(front: Machine, other: Machine) -> None:
    """A set whose lease was lost is gone from the store too, and its number is free for the one that counts."""
    published = other.publish(7)
    with pytest.raises(LeaseLost), other.outbox.withdrawn_if_lost(published):
        raise LeaseLost("another worker has it")
    assert front.outbox.of_job(7) is None
    assert front.publish(7).name == "1"


@pytest.mark.parametrize("name", ["../escape.dcm", "a/b.dcm", "link", "seg.dcm"])
def test_a_set_that_is_not_ours_is_not_unpacked(front: Machine, store: Path, tmp_path: Path, name: str) -> None:
    """Names with folders, links, and files with other bytes than SHA256SUMS says leave nothing behind."""
    sums = f"{hashlib.sha256(b'good').hexdigest()}  {name}\n".encode()
    (store / "outbox/7").mkdir(parents=True)
    with tarfile.open(store / "outbox/7/1.tar", "w") as archive:
        for member, content in (("SHA256SUMS", sums), (name, b"evil" if name == "seg.dcm" else b"good")):
            entry = tarfile.TarInfo(member)
            entry.size = len(content)
            if member == "link":
                entry.type, entry.linkname, entry.size = tarfile.SYMTYPE, "/etc/passwd", 0
            archive.addfile(entry, io.BytesIO(content))
    with pytest.raises(ObjectStoreTrouble, match="is not whole"):
        front.shared.fetch_set(7, 1)
    assert not (front.storage / "outbox/7/1").exists()
    assert not list(tmp_path.rglob("escape.dcm"))
    assert list((front.storage / "fetched").iterdir()) == []


def test_results_come_to_the_machine_that_receives(database: Database, front: Machine, other: Machine) -> None:
    """A set that was made elsewhere is in the outbox of the machine that receives, once its rows are committed."""
    job = _received(database, front)
    _sharing(database, front).step()
    jobs = JobTable(database, only_shared=True)
    assert jobs.claim("other", 60) is not None
    published = other.publish(job.id)
    jobs.deliver(job.id, "other", {}, other.outbox.deliveries(published, {"pacs": ["seg.dcm"]}))
    _sharing(database, front).step()
    folder = Outbox(front.storage / "outbox").of_job(job.id)
    assert folder is not None and {file.name for file in folder.iterdir()} == set(FILES)
    (delivery,) = DeliveryTable(database).list(job.id)
    assert (front.storage / delivery.files[0]).is_file()


def test_an_object_that_does_not_go_blocks_no_other_job(
    database: Database, front: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A put that times out while the store answers: the job waits, the others are shared at the same turn; it is tried
    again later, and not at each turn. A store that is away is everyone's trouble."""
    stuck, fine = _received(database, front, "1.2.4", study="1.8"), _received(database, front)
    put, tried = FolderStore.put_if_absent, []

    def slow(self: FolderStore, key: str, file: Path) -> bool:
        if "1.2.4" in key:
            tried.append(key)
            raise ObjectStoreTrouble("timed out")
        return put(self, key, file)

    monkeypatch.setattr(FolderStore, "put_if_absent", slow)
    still = [0.0]
    jobs = JobTable(database)
    sharing = Sharing(Inbox(database), jobs, Outbox(front.storage / "outbox"), front.shared, lambda: still[0])
    assert sharing.step() == 0.0
    assert [job.id for job in jobs.to_share(9)] == [stuck.id]
    assert jobs.get(fine.id).state is JobState.QUEUED
    first = len(tried)
    assert sharing.step() > 0
    assert len(tried) == first
    still[0] += 121
    sharing.step()
    assert len(tried) > first
    monkeypatch.setattr(FolderStore, "put_if_absent", put)
    still[0] += 121
    assert sharing.step() == 0.0
    assert jobs.to_share(9) == []
    away = _received(database, front, "1.2.6", study="1.7")
    monkeypatch.setattr(FolderStore, "exists", _away)
    assert sharing.step() > 1
    monkeypatch.undo()
    assert sharing.step() == 0.0, f"job {away.id} waits although the store is back"


def test_the_live_model_comes_through_the_store(
    database: Database, front: Machine, other: Machine, store: Path, tmp_path: Path
) -> None:
    """Added and promoted on the machine that receives, it is loaded on another one under the same digest, once; what
    came damaged, or is another model, is not taken for it."""
    url = f"sqlite:///{tmp_path / 'node.sqlite'}"
    here, there = (Settings(storage=machine.storage, database_url=url) for machine in (front, other))
    models = ModelTable(database)
    kept = store_of(here).add(tiny_bundle(tmp_path / "bundle"))
    digest = kept.bundle.identity.digest
    assert live_bundle(here, models) is None  # not live yet
    identity = kept.bundle.identity
    models.add(NewModel(digest, identity.name, identity.version, kept.size_bytes), "alice")
    models.promote(digest, "alice", None)
    live = live_bundle(here, models)
    assert live is not None and live[0] == digest
    sharing = Sharing(
        Inbox(database), JobTable(database), Outbox(front.storage / "outbox"), front.shared, live_bundle=lambda: live
    )
    sharing.step()
    (packed,) = (store / "models").iterdir()
    choice = registry_choice(there, models.live_digest())
    whole = packed.read_bytes()
    packed.write_bytes(whole.replace(b"SHA256SUMS", b"SHA256SUMZ", 1))
    with pytest.raises(ObjectStoreTrouble):
        open_choice(choice, there, other.shared)
    packed.write_bytes(whole)
    assert open_choice(choice, there, other.shared).identity.digest == digest
    packed.unlink()
    assert open_choice(choice, there, other.shared).identity.digest == digest


def _away(_self: FolderStore, _key: str) -> bool:
    raise ObjectStoreTrouble("away")


def test_a_result_comes_that_is_later_than_those_of_newer_jobs(
    database: Database, front: Machine, other: Machine, clock: ManualClock
) -> None:
    """A job of low priority ends after many newer ones; the page and the corrections of this machine have it too."""
    slow = _received(database, front)
    jobs, still = JobTable(database), [0.0]
    assert jobs.claim("slow", 86_400) is not None
    for number in range(60):
        _received(database, front, f"1.2.5.{number}", 1)
        claimed = jobs.claim("other", 60)
        assert claimed is not None
        jobs.deliver(claimed.id, "other", {}, [])
    sharing = Sharing(Inbox(database), jobs, Outbox(front.storage / "outbox"), front.shared, lambda: still[0])
    while sharing.step() == 0.0:
        pass
    clock.pass_seconds(60)
    other.publish(slow.id)
    jobs.deliver(slow.id, "slow", {}, [])
    still[0] += 60
    sharing.step()
    assert Outbox(front.storage / "outbox").of_job(slow.id) is not None


def test_what_the_rules_remove_leaves_the_store(database: Database, front: Machine, store: Path) -> None:
    """Images and every result set of a job are gone from the store; other jobs keep theirs."""
    job, kept = _received(database, front), _received(database, front, "1.2.4")
    _sharing(database, front).step()
    front.publish(job.id)
    front.publish(job.id)
    front.publish(kept.id)
    paths = [row.path for row in Inbox(database).instances_of(SERIES)]
    front.shared.forget(paths, [job.id])
    left = sorted(str(file.relative_to(store)) for file in store.rglob("*") if file.is_file())
    assert [name for name in left if SERIES in name or f"outbox/{job.id}/" in name] == []
    assert len(left) == 3 + 1


def test_what_is_removed_while_it_is_shared_does_not_stay(
    database: Database, front: Machine, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rules of the disk remove a file, here and in the store, just before it is put there."""
    _received(database, front)
    rows = Inbox(database).instances_of(SERIES)
    put = FolderStore.put_if_absent

    def late(self: FolderStore, key: str, file: Path) -> bool:
        copy = file.with_name("opened before")
        file.rename(copy)
        front.shared.forget([key], [])
        return put(self, key, copy)

    with monkeypatch.context() as patched:
        patched.setattr(FolderStore, "put_if_absent", late)
        front.shared.share_instances(rows)
    assert [file for file in (store / "inbox").rglob("*") if file.is_file()] == []


def test_a_retried_job_is_shared_again(database: Database, front: Machine) -> None:
    """Its images may have left the store meanwhile, and came again."""
    job = _received(database, front)
    _sharing(database, front).step()
    jobs = JobTable(database)
    jobs.cancel(job.id)
    jobs.retry(job.id)
    assert [one.id for one in jobs.to_share(9)] == [job.id]


def test_the_key_of_patients_is_one(front: Machine, other: Machine, tmp_path: Path, store: Path) -> None:
    """The first machine's key is that of all, so that all find the same earlier scans; one that has used another says
    so and does not start."""
    open_hasher(front.storage, front.shared)
    open_hasher(other.storage, other.shared)
    assert (front.storage / FILE).read_bytes() == (other.storage / FILE).read_bytes()
    assert (other.storage / FILE).stat().st_mode & 0o777 == 0o600
    open_hasher(other.storage, other.shared)
    third = Machine.make(tmp_path / "third", store)
    open_hasher(third.storage)
    with pytest.raises(ConfigurationError, match="not the one of the other machines"):
        open_hasher(third.storage, third.shared)


def test_the_key_of_the_machine_that_receives_counts(front: Machine, other: Machine) -> None:
    """A machine that only analyses makes no key: it waits for that of the machine that receives, which knows the
    earlier scans, whichever of them started first; and it is stopped and started meanwhile without harm."""
    open_hasher(front.storage)
    for _ in range(2):
        with pytest.raises(StorageTrouble, match=r"has no patient\.key yet"):
            open_hasher(other.storage, other.shared, makes=False)
        assert not (other.storage / FILE).exists()
    open_hasher(front.storage, front.shared)
    open_hasher(other.storage, other.shared, makes=False)
    assert (front.storage / FILE).read_bytes() == (other.storage / FILE).read_bytes()
    assert (other.storage / FILE).stat().st_mode & 0o777 == 0o600


def test_copies_leave_a_machine_that_only_analyses(database: Database, front: Machine, other: Machine) -> None:
    """Old copies go; a result set goes only when its job has ended."""
    job, running = _received(database, front), _received(database, front, "1.2.4")
    sharing, jobs = _sharing(database, front), JobTable(database)
    sharing.step()
    SharedInbox(database, other.shared).instances_of(SERIES)
    for one in (job, running):
        assert jobs.claim("other", 60) is not None
        other.publish(one.id)
    jobs.deliver(job.id, "other", {}, [])
    later = (other.storage / "outbox").stat().st_mtime + 60
    assert sweep(other.storage, jobs, later - 3600) == 0
    assert sweep(other.storage, jobs, later) == 3 + 1
    assert not list((other.storage / "inbox").rglob("*.dcm"))
    assert other.outbox.of_job(running.id) is not None
    SharedInbox(database, other.shared).instances_of(SERIES)
    assert len(list((other.storage / "inbox").rglob("*.dcm"))) == 3


def test_a_copy_that_is_used_is_not_swept(database: Database, front: Machine, other: Machine) -> None:
    """A job that reads yesterday's copies finds them until its end."""
    _received(database, front)
    _sharing(database, front).step()
    inbox, jobs = SharedInbox(database, other.shared), JobTable(database)
    rows = inbox.instances_of(SERIES)
    now = time.time()
    for row in rows:
        os.utime(other.storage / row.path, (now - 90_000, now - 90_000))
    inbox.instances_of(SERIES)
    assert sweep(other.storage, jobs, now - 86_400) == 0
    assert all((other.storage / row.path).is_file() for row in rows)


def test_what_a_killed_process_fetched_goes(database: Database, other: Machine) -> None:
    """Half a file and half a result set go after a day."""
    fetched = other.storage / "fetched"
    (fetched / "1.set").mkdir(parents=True)
    (fetched / "1.set" / "seg.dcm").write_bytes(b"half")
    (fetched / "2").write_bytes(b"half")
    assert sweep(other.storage, JobTable(database), time.time() - 60) == 0
    assert sweep(other.storage, JobTable(database), time.time() + 60) == 2
    assert list(fetched.iterdir()) == []


def test_what_was_received_is_no_copy(front: Machine, other: Machine) -> None:
    """A machine that removes copies after a day does not start on the folder of a machine that receives."""
    front.storage.mkdir(exist_ok=True)
    installation_id(front.storage)
    with pytest.raises(ConfigurationError, match="that of a machine that receives"):
        require_copies(front.storage)
    require_copies(other.storage)


class TestOneMachineReceives:
    """What the other one received would be called damaged, and its jobs shared without their images."""

    def test_the_first_one(self, front: Machine, other: Machine) -> None:
        """The first STORAGE that receives stays the one, over starts; a second is refused with what to do, and left as
        it was, so that it can hold copies."""
        claim_receiving(front.storage, front.shared)
        assert receives_elsewhere(front.storage, front.shared) is None
        claim_receiving(front.storage, front.shared)
        with pytest.raises(ConfigurationError, match=r"another machine receives .* WORK=analyse"):
            claim_receiving(other.storage, other.shared)
        assert "remove the object 'installation'" in (receives_elsewhere(other.storage, other.shared) or "")
        require_copies(other.storage)

    def test_one_that_was_a_node_of_its_own(self, front: Machine, other: Machine) -> None:
        """A STORAGE that has received already is no less refused, and keeps what it is."""
        own = installation_id(other.storage)
        claim_receiving(front.storage, front.shared)
        with pytest.raises(ConfigurationError, match="another machine receives"):
            claim_receiving(other.storage, other.shared)
        assert installation_id(other.storage) == own

    def test_both_at_the_same_moment(self, front: Machine, other: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
        """Two machines look at once and find no other receiver: the second one to claim is still refused."""
        monkeypatch.setattr(SharedStorage, "has", lambda _self, _name: False)
        claim_receiving(front.storage, front.shared)
        with pytest.raises(ConfigurationError, match="another machine receives"):
            claim_receiving(other.storage, other.shared)
        require_copies(other.storage)

    def test_at_a_start(self, store: Path, tmp_path: Path) -> None:
        """Every role of the second machine is refused at its start; without the store the first one starts."""
        values: dict[str, Any] = {"object_store": f"file://{store}", "reserve_bytes": 0}
        first, second = (Settings(storage=tmp_path / name, **values) for name in ("first", "second"))
        for settings in (first, second):
            settings.storage.mkdir()
        require_only_receiver(first)
        with pytest.raises(ConfigurationError, match="another machine receives"):
            require_only_receiver(second)
        require_only_receiver(Settings(storage=tmp_path / "second", work="analyse", **values))
        store.rename(tmp_path / "away")
        require_only_receiver(first)

    @pytest.mark.parametrize("role", ["serve", "receive", "web"])
    def test_copies_are_no_place_to_receive(self, role: str, store: Path, tmp_path: Path) -> None:
        """On a machine that only analyses no role starts that would put what it received among copies of a day."""
        settings = Settings(storage=tmp_path, object_store=f"file://{store}", work="analyse")
        with pytest.raises(ConfigurationError, match=f"expected `wmh-node work`, got `wmh-node {role}`"):
            require_role_here(role, settings)
        require_role_here("work", settings)
        require_role_here(role, Settings(storage=tmp_path, work="analyse"))
