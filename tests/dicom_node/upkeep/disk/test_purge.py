"""What leaves the disk, and what never does."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from support.a_year import SmallNode, live
from support.clock import ManualClock
from support.node import clean_environment, run_cli

from db.errors import IllegalTransition, UnknownRow
from db.records import Job, JobState
from db.retention import Kept, Subject
from dicom_node.node.disk import DiskUse
from dicom_node.node.errors import StorageTrouble

pytestmark = pytest.mark.slow

DAY = 86_400.0


@pytest.fixture
def node(tmp_path: Path) -> Iterator[SmallNode]:
    made = SmallNode(tmp_path)
    with closing(made.database):
        yield made


def images_of(node: SmallNode, job: Job) -> list[bool]:
    return [(node.storage / instance.path).exists() for instance in node.inbox.instances_of(job.series_instance_uid)]


def result_of(node: SmallNode, job: Job) -> bool:
    return (node.storage / "outbox" / str(job.id)).exists()


def purge_all(node: SmallNode, **settings: object) -> None:
    while node.purge(**settings).step():
        pass


def test_days_stay_inside_the_mark_and_removes_nothing_unproven(tmp_path: Path) -> None:
    """Eleven days of series, some rejected, failed or never delivered: the disk stays below its mark, what is unproven
    or not acknowledged keeps every file, and no row's file is forgotten. The whole year is `make a-year`."""
    node = SmallNode(tmp_path, total_bytes=13 * 3 * 2000)
    with closing(node.database):
        lived = live(node, days=11, a_day=3)
    assert lived.most_percent < 80
    assert (lived.removed_unproven, lived.left_over) == (0, 0)
    assert lived.kept_unproven >= 3


def test_each_kind_goes_when_its_days_are_over(node: SmallNode) -> None:
    """Rejected after 3 days, done after 7, failed after 30 and only when acknowledged; what no destination has, what
    waits for one, and an unacknowledged failure stay for ever. Rows stay, and say when the files went."""
    done, waits, here = node.done(), node.undelivered(), node.kept_here()
    rejected, failed, unseen = node.rejected(), node.failed(), node.failed()
    node.jobs.acknowledge(failed.id, "alice")
    everything = {"done": done, "waits": waits, "here": here, "rejected": rejected, "failed": failed, "unseen": unseen}

    def gone() -> set[str]:
        purge_all(node)
        return {name for name, job in everything.items() if not any([*images_of(node, job), result_of(node, job)])}

    node.clock.pass_seconds(2.9 * DAY)
    assert gone() == set()
    node.clock.pass_seconds(0.2 * DAY)
    assert gone() == {"rejected"}
    node.clock.pass_seconds(4 * DAY)
    assert gone() == {"rejected", "done"}
    node.clock.pass_seconds(400 * DAY)
    assert gone() == {"rejected", "done", "failed"}
    assert all(images_of(node, waits)) and result_of(node, here) and all(images_of(node, unseen))
    assert node.jobs.get(done.id).purged_at is not None
    assert node.jobs.events(done.id)[-1].what == "files removed"
    assert {entry.why: entry.series for entry in node.retention.kept(node.clock.now)} == {
        Kept.NOT_PROVEN: 1, Kept.NOT_ACKNOWLEDGED: 1,
    }  # fmt: skip


def test_a_full_disk_is_cleaned_early_in_the_order_of_the_rules(node: SmallNode) -> None:
    """Above the low mark rejected series go first, then the longest done, only until the disk is below it, and never
    in their first day."""
    done = [node.done() for _ in range(6)]
    rejected = node.rejected()
    node.total_bytes = 15_000  # 13 400 are used
    purge_all(node)
    assert len(node.files()) == 6 * 4 + 2
    node.clock.pass_seconds(1.1 * DAY)
    node.done()  # of today
    assert node.purge().step() == 1 + 5
    assert not any(images_of(node, rejected))
    assert [any(images_of(node, job)) for job in done] == [False] * 5 + [True]
    assert node.disk().percent < 80


def test_a_held_study_and_one_that_is_at_work_stay(node: SmallNode) -> None:
    """`hold` keeps every file of a study until it is released; so does a job of the same study that has not ended."""
    held, busy = node.done(), node.done(study="1.2.3.4")
    node.retention.hold(str(held.study_instance_uid), "alice", "a question of the ward")
    working = node.work(node.receive(study="1.2.3.4"))
    node.clock.pass_seconds(100 * DAY)
    purge_all(node)
    assert all(images_of(node, held)) and all(images_of(node, busy))
    with pytest.raises(UnknownRow, match="nothing of study"):
        node.retention.hold("1.2.9", "alice", "")
    node.retention.release(str(held.study_instance_uid), "alice")
    node.jobs.cancel(working.id)
    purge_all(node)
    assert not any(images_of(node, held)) and not any(images_of(node, busy))
    with pytest.raises(UnknownRow, match="not held"):
        node.retention.release(str(held.study_instance_uid), "alice")


def test_what_comes_again_counts_again(node: SmallNode) -> None:
    """A job whose images were removed cannot be retried until the whole series was sent again; then its files stay as
    long as those of a new series."""
    failed = node.failed()
    node.jobs.acknowledge(failed.id)
    node.clock.pass_seconds(31 * DAY)
    purge_all(node)
    with pytest.raises(IllegalTransition, match="removed 2 of its 2 images; send the whole series again"):
        node.jobs.retry(failed.id)
    uid = failed.series_instance_uid
    node.inbox.record([node.image(uid, number, f"{uid}.0") for number in (1, 2)])
    assert node.jobs.retry(failed.id).state is JobState.QUEUED
    purge_all(node)
    assert all(images_of(node, failed))


def test_a_resend_between_decision_and_removal_keeps_its_file(node: SmallNode) -> None:
    """A removal that was decided by a killed process and is finished later leaves what was received since."""
    done = node.done()
    node.clock.pass_seconds(8 * DAY)
    (candidate,) = node.retention.candidates(Subject.DONE, node.clock.now)
    assert node.retention.decide(candidate, node.clock.now) is not None  # and then the process is killed
    node.inbox.record([node.image(done.series_instance_uid, 1, str(done.study_instance_uid))])
    purge_all(node)
    assert images_of(node, done) == [True, False]
    assert node.retention.unfinished() == []


def test_a_file_that_cannot_be_deleted_is_set_aside(node: SmallNode, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is named once, the others go, and only a person has it tried again."""
    stuck, other = node.done(), node.done()
    node.clock.pass_seconds(8 * DAY)
    path = node.storage / node.inbox.instances_of(stuck.series_instance_uid)[0].path
    path.unlink()
    path.mkdir()  # unlink(2) fails also for root
    tries = []
    unlink = Path.unlink
    monkeypatch.setattr(Path, "unlink", lambda self, **more: (tries.append(self), unlink(self, **more))[1])
    purge_all(node)
    purge_all(node)
    assert not any(images_of(node, other))
    assert tries.count(path) == 1
    assert node.retention.count_set_aside() == 1
    path.rmdir()
    node.purge().retry_set_aside()
    assert (node.retention.count_set_aside(), images_of(node, stuck)) == (0, [False, False])


def test_storage_that_is_away_is_not_taken_for_removed_files(node: SmallNode) -> None:
    """While the disk is not mounted nothing is decided: the files would come back with it, and stay for ever."""
    node.done()
    node.clock.pass_seconds(8 * DAY)
    purge = node.purge()
    away = node.storage.with_name(f"{node.storage.name}-away")
    shutil.move(node.storage / "outbox", away)
    with pytest.raises(StorageTrouble, match="not available"):
        purge.step()
    shutil.move(away, node.storage / "outbox")
    assert purge.step() == 1


def _count(folder: Path) -> int:
    """Files of a folder that is being emptied."""
    return sum(len(names) for _, _, names in os.walk(folder))


_REMOVE = """
import sys
sys.path[:0] = {paths!r}
from pathlib import Path
from support.a_year import SmallNode
from support.clock import ManualClock
clock = ManualClock()
clock.pass_seconds({seconds})
SmallNode(Path({storage!r}), clock).purge().step(1000)
"""


def test_a_kill_in_the_middle_loses_nothing(node: SmallNode) -> None:
    """kill -9 during a removal: every series is whole or marked, what must stay is there, the next run ends it."""
    for _ in range(8):
        node.done()
    waits = node.undelivered()
    before = len(node.files())
    node.clock.pass_seconds(8 * DAY)
    repository = Path(__file__).parents[4]
    code = _REMOVE.format(
        paths=[str(repository / "tests"), str(repository)], seconds=8 * DAY, storage=str(node.storage)
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while _count(node.storage / "inbox") > 14 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert len(node.files()) < before
    for job in node.jobs.list():
        whole = all(images_of(node, job)) and result_of(node, job)
        assert whole or job.purged_at is not None
    purge_all(node)
    assert all(images_of(node, waits)) and result_of(node, waits)
    assert len(node.files()) == 4
    assert node.retention.unfinished() == []


@pytest.mark.slow
def test_the_command_shows_and_removes(tmp_path: Path) -> None:
    """`purge --dry-run` says what goes, why and how much, and what stays, and changes nothing; `--now` removes exactly
    that; `hold` keeps a study."""
    clock = ManualClock()
    clock.pass_seconds(time.time() - clock.wall() - 40 * DAY)
    node = SmallNode(tmp_path, clock)
    with closing(node.database):
        done, failed, unseen, held = node.done(), node.failed(), node.failed(), node.done()
        node.jobs.acknowledge(failed.id)
        node.kept_here()
    environment = {
        **clean_environment(), "WMH_NODE_STORAGE": str(tmp_path), "WMH_NODE_DATABASE_URL": f"sqlite:///{tmp_path}/node.sqlite",
    }  # fmt: skip
    (tmp_path / "inbox").mkdir(exist_ok=True)
    assert (
        "is held since"
        in run_cli("hold", str(held.study_instance_uid), "--reason", "audit", environment=environment).stdout
    )
    shown = run_cli("purge", "--dry-run", environment=environment).stdout
    assert f"series {done.series_instance_uid} (job {done.id}): done, every destination has it, 40.0 days ago" in shown
    assert "KEEP_DONE_DAYS=7: 2.0 kB" in shown
    assert "2 series would go, 3.4 kB" in shown
    assert "1 series stay, 1.4 kB: they failed: look at them, then `wmh-node jobs acknowledge`" in shown
    assert "1 series stay, 1.4 kB: no destination has confirmed their results" in shown
    assert "1 series stay, 1.4 kB: their study is held" in shown
    assert all(images_of(node, done))
    found = run_cli("purge", "--now", "--json", environment=environment).stdout
    assert json.loads(found) == {"series": 2, "set_aside": 0}
    assert not any(images_of(node, done)) and all(images_of(node, held)) and all(images_of(node, unseen))


@pytest.mark.slow
def test_the_command_removes_from_the_object_store_too(tmp_path: Path) -> None:
    """`purge --now` leaves no image of a patient in the store either: no later removal would look for it."""
    clock = ManualClock()
    clock.pass_seconds(time.time() - clock.wall() - 40 * DAY)
    node, objects = SmallNode(tmp_path, clock), tmp_path / "objects"
    with closing(node.database):
        done = node.done()
        paths = [instance.path for instance in node.inbox.instances_of(done.series_instance_uid)]
    for path in (*paths, f"outbox/{done.id}/1.tar"):
        (objects / path).parent.mkdir(parents=True, exist_ok=True)
        (objects / path).write_bytes(b"of a patient")
    environment = {
        **clean_environment(),
        "WMH_NODE_STORAGE": str(tmp_path),
        "WMH_NODE_DATABASE_URL": f"sqlite:///{tmp_path}/node.sqlite",
        "WMH_NODE_OBJECT_STORE": f"file://{objects}",
    }
    (tmp_path / "inbox").mkdir(exist_ok=True)
    assert run_cli("purge", "--now", environment=environment).returncode == 0
    assert [file for file in objects.rglob("*") if file.is_file()] == []


def test_marks_of_the_disk() -> None:
    """FULL leaves its share of the disk free, or RESERVE_BYTES where that is more."""
    use = DiskUse(total_bytes=1000, free_bytes=100)
    assert use.percent == pytest.approx(90)
    assert use.bytes_until(98, 5) == 80
    assert use.bytes_until(98, 50) == 50
    assert use.bytes_until(100, 0) == 100
