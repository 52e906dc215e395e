"""The completer, on a real database and real files, with a clock that the test moves."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pydicom
import pytest
from structlog.testing import capture_logs
from support.clock import ManualClock
from support.databases import sqlite_url, with_schema
from support.phantoms import phantom_files
from support.result_cases import result_set_of, segmentation_of

from db.engine import open_database
from db.feedback import FeedbackTable
from db.inbox import Inbox
from db.jobs import JobTable
from db.records import AssociationEnd, Job, ReceivedInstance, StoredInstance
from dicom_node.demo.phantom.phantom import PhantomSpec
from dicom_node.node.errors import ConfinedChildLost
from dicom_node.results.result_set import write_result_set
from dicom_node.series.complete import completer as completer_module
from dicom_node.series.complete.completer import Completer, Examination, examine_files
from dicom_node.series.complete.evidence import Patience
from dicom_node.series.complete.postponed import FIRST_SECONDS, MOST_LOOKS
from dicom_node.series.read.instances import analysed_instances, digest_of
from dicom_node.series.read.received_series import read_received
from dicom_node.series.read.series import read_series

PATIENCE = Patience(
    quiet_seconds=2, quiet_seconds_incomplete=60, open_association_seconds=120, quiet_seconds_growing=300
)


@pytest.fixture(scope="module")
def series(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A small phantom series."""
    return phantom_files(PhantomSpec(slices=12, matrix=64), tmp_path_factory.mktemp("series"))


class Setting:
    """A database, a storage folder and a completer on one clock."""

    def __init__(self, folder: Path) -> None:
        url = sqlite_url(folder)
        with_schema(url)
        self.clock = ManualClock()
        self.database = open_database(url, self.clock)
        self.inbox = Inbox(self.database)
        self.jobs = JobTable(self.database)
        self.storage = folder
        self.feedback = FeedbackTable(self.database)
        self.completer = self.another_completer()

    def another_completer(self) -> Completer:
        """As a process that has just started has it."""
        tables = self.inbox, self.jobs, self.feedback
        return Completer(*tables, self.storage, PATIENCE, self.clock, still=self.clock.still)

    def receive(self, files: Sequence[Path], end: AssociationEnd | None = AssociationEnd.RELEASED) -> int:
        """Record files as the receiver does; the association stays open when `end` is None."""
        association = self.inbox.open_association("SCANNER", "WMHNODE", "10.0.0.7", "receiver")
        self.inbox.record([self._received(file, association) for file in files])
        if end is not None:
            self.inbox.end_association(association, end)
        return association

    def after(self, seconds: float) -> list[Job]:
        """Let time pass, look once, and give the jobs, oldest first."""
        self.clock.pass_seconds(seconds)
        self.completer.look()
        return sorted(self.jobs.list(), key=lambda job: job.id)

    def _received(self, file: Path, association: int) -> ReceivedInstance:
        content = file.read_bytes()
        sha256 = hashlib.sha256(content).hexdigest()
        (self.storage / sha256).write_bytes(content)
        header = pydicom.dcmread(file, stop_before_pixels=True, force=True)
        return ReceivedInstance(
            sop_instance_uid=str(header.get("SOPInstanceUID", "1.2.3.9")),
            sop_class_uid=str(header.get("SOPClassUID", "1.2.840.10008.5.1.4.1.1.4")),
            series_instance_uid=str(header.get("SeriesInstanceUID", "1.2.3")),
            study_instance_uid=str(header.get("StudyInstanceUID", "1.2")),
            transfer_syntax_uid="1.2.840.10008.1.2.1",
            path=sha256,
            sha256=sha256,
            size_bytes=len(content),
            association_id=association,
        )


@pytest.fixture
def setting(tmp_path: Path) -> Iterator[Setting]:
    """Nothing received yet."""
    made = Setting(tmp_path)
    with closing(made.database):
        yield made


@pytest.mark.parametrize(("associations", "read_ahead"), [(1, 1), (2, 0)])
def test_files_are_read_while_the_series_is_quiet(
    setting: Setting, series: list[Path], associations: int, read_ahead: int
) -> None:
    """A series of one association is examined in its quiet time, and once; one that grows is not read for each part."""
    examined = Counter[int]()

    def examine(instances: Sequence[StoredInstance], storage: Path) -> Examination:
        examined[len(instances)] += 1
        return examine_files(instances, storage)

    setting.completer = Completer(
        setting.inbox, setting.jobs, setting.feedback, setting.storage, PATIENCE, setting.clock, examine,
        still=setting.clock.still,
    )  # fmt: skip
    for part in range(associations):
        setting.receive(series[part::associations])
    assert setting.after(0.1) == []
    assert sum(examined.values()) == read_ahead
    if associations == 1:
        assert len(setting.after(2)) == 1
        assert examined == {len(series): 1}


def _changed(file: Path, folder: Path, **elements: object) -> Path:
    dataset = pydicom.dcmread(file)
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    folder.mkdir(exist_ok=True)
    dataset.save_as(folder / file.name)
    return folder / file.name


def test_a_whole_series_needs_the_short_wait(setting: Setting, series: list[Path]) -> None:
    """Released, regular, none missing: a job after `quiet_seconds`, and only one however often one looks."""
    setting.receive(series)
    assert setting.after(1.9) == []
    (job,) = setting.after(0.2)
    assert (job.state, job.instance_count) == ("queued", len(series))
    assert setting.after(100) == [job]


def test_nothing_is_decided_while_the_storage_is_away(setting: Setting, series: list[Path]) -> None:
    """A mount that is lost makes every series unreadable: it is decided when the storage is back, not before."""
    setting.receive(series)
    outbox, away = setting.storage / "outbox", setting.storage / "away"
    away.mkdir()
    hidden = [outbox, *(path for path in setting.storage.iterdir() if len(path.name) == 64)]
    for path in hidden:
        path.rename(away / path.name)
    assert setting.after(100) == []
    assert setting.after(100) == []
    for path in hidden:
        (away / path.name).rename(path)
    (job,) = setting.after(1)
    assert job.state == "queued"


class LostReader:
    """Reads files in a process that is lost the first times with the first series; the setting's completer has it."""

    def __init__(self, setting: Setting, times: int) -> None:
        self.asked: Counter[str] = Counter()
        self._times = times
        setting.completer = Completer(
            setting.inbox, setting.jobs, setting.feedback, setting.storage, PATIENCE, setting.clock, self._examine,
            setting.clock.still,
        )  # fmt: skip

    def _examine(self, instances: Sequence[StoredInstance], storage: Path) -> Examination:
        uid = instances[0].series_instance_uid
        self.asked[uid] += 1
        if uid == next(iter(self.asked)) and self.asked[uid] <= self._times:
            raise ConfinedChildLost("was killed", took_too_much=False, ended=True)
        return examine_files(instances, storage)


def test_a_lost_reader_refuses_nothing(setting: Setting, series: list[Path], tmp_path: Path) -> None:
    """The process that reads was killed: the series is looked at again, each time later, and decided when that is over;
    others are decided meanwhile."""
    reader = LostReader(setting, times=2)
    setting.receive(series)
    assert setting.after(3) == []
    others = phantom_files(PhantomSpec(slices=12, matrix=64, seed=9), tmp_path / "others")
    setting.receive(others)
    (other,) = setting.after(FIRST_SECONDS - 1)
    assert setting.after(1.5) == [other]
    assert setting.after(2 * FIRST_SECONDS - 1) == [other]
    _, job = setting.after(1.5)
    assert (job.state, job.instance_count) == ("queued", len(series))
    assert sorted(reader.asked.values()) == [1, 3]


def test_a_series_that_is_never_read_becomes_a_job_that_says_so(setting: Setting, series: list[Path]) -> None:
    """Not refused, since nothing says that it is to blame: after some looks it is the worker's, whose attempts end.
    Each look's line in the log says what happened, and the last one what becomes of the series."""
    reader = LostReader(setting, times=10**9)
    setting.receive(series)
    with capture_logs() as lines:
        jobs = [setting.after(1) for _ in range(200)]
    told = [(line["event"], line["trouble"]) for line in lines if "trouble" in line]
    happened = str(ConfinedChildLost("was killed", took_too_much=False))
    again = [("series could not be read, will retry", happened)] * (MOST_LOOKS - 1)
    assert told == [*again, ("series could not be read, a job will try", happened)]
    assert set(reader.asked.values()) == {MOST_LOOKS}
    assert jobs[60] == []
    assert [(job.state, job.instance_count) for job in jobs[-1]] == [("queued", len(series))]


def test_a_gap_needs_the_long_wait(setting: Setting, series: list[Path]) -> None:
    """With a slice missing in the middle, the rest may be on its way: a job only after `quiet_seconds_incomplete`."""
    setting.receive(series[:5] + series[6:])
    assert setting.after(59) == []
    assert len(setting.after(2)) == 1


_BROKEN = pytest.mark.parametrize("end", [AssociationEnd.ABORTED, AssociationEnd.LOST])


@_BROKEN
@pytest.mark.parametrize(
    "said", [{"ImagesInAcquisition": None}, {"ImagesInAcquisition": 13}, {"ImagesInAcquisition": 1}], ids=str
)
def test_a_broken_association_needs_the_long_wait(
    setting: Setting, series: list[Path], tmp_path: Path, end: AssociationEnd, said: dict[str, int | None]
) -> None:
    """An association that was not released may have had more to say: where no header counts the images of the series,
    or more are announced, the sender's next try is waited for."""
    numbered = said["ImagesInAcquisition"] == 1  # each slice an acquisition of its own, which counts itself alone
    files = [
        _changed(file, tmp_path / "said", **said, **({"AcquisitionNumber": number} if numbered else {}))
        for number, file in enumerate(series, 1)
    ]
    setting.receive(files, end)
    assert setting.after(59) == []
    assert len(setting.after(2)) == 1


@_BROKEN
def test_all_announced_images_need_no_release(setting: Setting, series: list[Path], end: AssociationEnd) -> None:
    """A peer or a receiver that died after the last of the announced images took nothing along: the short wait."""
    setting.receive(series, end)
    assert setting.after(1) == []
    (job,) = setting.after(1.5)
    assert job.instance_count == len(series)


def test_an_open_association_holds_back(setting: Setting, series: list[Path]) -> None:
    """While its association is open a series is not complete; once released, the short wait has passed already."""
    association = setting.receive(series, None)
    assert setting.after(61) == []
    setting.inbox.end_association(association, AssociationEnd.RELEASED)
    assert len(setting.after(0)) == 1


def test_a_dead_association_does_not_hold_back_for_ever(setting: Setting, series: list[Path]) -> None:
    """An association that brought nothing for longer than any timeout is dead, or busy with other series."""
    setting.receive(series, None)
    assert setting.after(119) == []
    assert len(setting.after(2)) == 1


def test_a_late_slice_gives_a_new_job(setting: Setting, series: list[Path]) -> None:
    """A slice that comes after the result gives a job that names its predecessor, never a silent mix."""
    setting.receive(series[:-1])
    (first,) = setting.after(61)
    setting.jobs.claim("worker", 60)
    setting.receive(series[-1:])
    old, new = setting.after(61)
    assert old.id == first.id
    assert new.predecessor_id == first.id
    assert new.instance_count == len(series)


def test_the_same_series_again_gives_no_new_job(setting: Setting, series: list[Path]) -> None:
    """A resend of the same bytes changes nothing."""
    setting.receive(series)
    (job,) = setting.after(3)
    setting.receive(series)
    assert [job.id for job in setting.after(61)] == [job.id]


def test_a_resend_with_other_bytes_is_waited_for_and_not_analysed_twice(
    setting: Setting, series: list[Path], tmp_path: Path
) -> None:
    """A resend that a PACS has touched is kept and flagged; the job stays the one about the first bytes."""
    setting.receive(series)
    (job,) = setting.after(3)
    setting.receive([_changed(series[3], tmp_path / "changed", AccessionNumber="7")])
    assert len(setting.inbox.open_series()) == 1
    assert [job.id for job in setting.after(61)] == [job.id]
    assert setting.inbox.open_series() == []


def test_another_kind_of_series_is_rejected_with_a_reason(setting: Setting, series: list[Path], tmp_path: Path) -> None:
    """A T1 series ends as rejected, with a sentence that a technologist understands."""
    files = [
        _changed(
            file, tmp_path / "t1", SeriesDescription="T1 MPRAGE", EchoTime=3, RepetitionTime=2000, InversionTime=900
        )
        for file in series
    ]
    setting.receive(files)
    (job,) = setting.after(61)
    assert job.state == "rejected"
    assert job.code
    assert len(job.reason or "") > 15


def test_a_flair_that_cannot_be_analysed_becomes_a_job(setting: Setting, series: list[Path], tmp_path: Path) -> None:
    """Its worker refuses it and reports to the destinations; the same fault in a T1 ends here, without a report."""
    flat = [_changed(file, tmp_path / "flat", PixelSpacing=[0, 0]) for file in series]
    setting.receive(flat)
    t1 = {"SeriesDescription": "T1 MPRAGE", "ProtocolName": "T1 MPRAGE", "SeriesInstanceUID": "1.2.3.4"}
    setting.receive([_changed(file, tmp_path / "t1", **t1) for file in flat])
    flair, other = setting.after(61)
    assert (flair.state, flair.instance_count) == ("queued", len(series))
    assert (other.state, other.code) == ("rejected", "t1_weighted")
    assert [job.id for job in setting.after(61)] == [flair.id, other.id]


def test_hostile_bytes_do_not_stop_the_others(setting: Setting, series: list[Path], tmp_path: Path) -> None:
    """A series of bytes that are no DICOM is rejected as unreadable, and the series beside it becomes a job."""
    (tmp_path / "junk").write_bytes(b"\xff" * 500)
    setting.receive([tmp_path / "junk"])
    setting.receive(series)
    jobs = setting.after(61)
    assert sorted(job.state for job in jobs) == ["queued", "rejected"]


def test_a_lost_file_does_not_stop_the_others(setting: Setting, series: list[Path], tmp_path: Path) -> None:
    """A file that was deleted by hand gives a job, which will fail with that reason, and no crash."""
    setting.receive([_changed(series[0], tmp_path / "other", SeriesInstanceUID="1.2.3.4")])
    for path in setting.inbox.instances_of("1.2.3.4"):
        (setting.storage / path.path).unlink()
    setting.receive(series)
    jobs = setting.after(61)
    assert [job.state for job in jobs] == ["queued", "queued"]


def test_slices_that_come_while_one_looks_are_waited_for(
    setting: Setting, series: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An instance that arrives between two questions to the database starts the quiet time again: half a brain is never
    taken for a whole one because the answer to the first question was old."""
    setting.receive(series[:8])
    real = setting.inbox.open_series

    def more_come_then() -> object:
        answer = real()
        monkeypatch.setattr(setting.inbox, "open_series", real)
        setting.receive(series[8:11], None)
        return answer

    monkeypatch.setattr(setting.inbox, "open_series", more_come_then)
    assert setting.after(3) == []
    assert setting.after(30) == []
    setting.receive(series[11:])


def test_slices_that_come_while_another_series_is_read_are_waited_for(
    setting: Setting, series: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading one series may take long; the next one's quiet time is not measured by what was known before that."""
    other = [_changed(file, tmp_path / "other", SeriesInstanceUID="1.2.3.4") for file in series]
    setting.receive(other)
    setting.clock.pass_seconds(3)
    setting.receive(series[:3])
    real, sent = completer_module.read_header, iter([None, None, None, *series[3:]])  # the last one with the last read

    def slow(path: Path) -> pydicom.FileDataset:
        setting.clock.pass_seconds(1)
        if (file := next(sent, None)) is not None:
            setting.receive([file])
        return real(path)

    monkeypatch.setattr(completer_module, "read_header", slow)
    setting.completer.look()
    counts = {job.series_instance_uid: job.instance_count for job in setting.jobs.list()}
    assert counts == {"1.2.3.4": len(other)}


def test_slices_that_come_while_their_series_is_read_are_waited_for(
    setting: Setting, series: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What arrives while the first slices are read is part of the series, not of a second job."""
    setting.receive(series[:-1])
    real, last = completer_module.read_header, iter(series[-1:])

    def slow(path: Path) -> pydicom.FileDataset:
        if (file := next(last, None)) is not None:
            setting.receive([file])
        return real(path)

    monkeypatch.setattr(completer_module, "read_header", slow)
    assert setting.after(61) == []
    (job,) = setting.after(61)
    assert job.instance_count == len(series)


def test_series_that_share_uids_are_both_analysed(setting: Setting, series: list[Path], tmp_path: Path) -> None:
    """A copy of a series under another SeriesInstanceUID, its instances' UIDs kept, is a series like any other."""
    copy = [_changed(file, tmp_path / "copy", SeriesInstanceUID="1.2.3.4") for file in series]
    setting.receive(series)
    setting.receive(copy)
    jobs = setting.after(3)
    assert [(job.state, job.instance_count) for job in jobs] == [("queued", len(series))] * 2


def test_a_damaged_slice_is_replaced_by_its_resend(setting: Setting, series: list[Path], tmp_path: Path) -> None:
    """Where the first bytes of an instance cannot be decoded, the ones that come later under its UID are analysed."""
    pixels = pydicom.dcmread(series[4]).PixelData
    damaged = _changed(series[4], tmp_path / "damaged", PixelData=pixels[: len(pixels) // 2 // 2 * 2])
    setting.receive([*series[:4], damaged, *series[5:]])
    (first,) = setting.after(61)
    setting.receive([series[4]])
    second = setting.after(61)[-1]
    assert second.predecessor_id == first.id
    chosen = analysed_instances(setting.inbox.instances_of(second.series_instance_uid), setting.storage)
    assert {instance.sha256 for instance in chosen} == {
        hashlib.sha256(file.read_bytes()).hexdigest() for file in series
    }
    assert second.instances_digest == digest_of(chosen)


def test_the_whole_series_again_retries_a_failed_job(setting: Setting, series: list[Path]) -> None:
    """Who sends a series again because its analysis failed has it analysed again, without a new job."""
    setting.receive(series)
    (job,) = setting.after(61)
    setting.jobs.claim("worker", 60)
    setting.jobs.fail(job.id, "worker", "no memory")
    assert [job.state for job in setting.after(61)] == ["failed"]
    setting.receive(series)
    assert [(job.id, job.state) for job in setting.after(1)] == [(job.id, "queued")]


def test_our_own_results_come_back(setting: Setting, series: list[Path], tmp_path: Path) -> None:
    """A PACS that forwards our report and pages to us makes no job; another's report is said to be no image."""
    (ours,) = _results(series, tmp_path / "result", "sr")
    setting.receive([ours, *(tmp_path / "result").glob("summary*.dcm")])
    assert setting.after(61) == []
    assert setting.inbox.open_series() == []
    setting.receive([_changed(ours, tmp_path / "theirs", Manufacturer="Editor", SeriesInstanceUID="1.2.3.4")])
    (job,) = setting.after(61)
    assert (job.state, job.code) == ("rejected", "not_mr")


def test_a_segmentation_is_feedback(setting: Setting, series: list[Path], tmp_path: Path) -> None:
    """It makes no job and is not rejected: it is entered once, whatever its maker and content, and its file is
    not opened here."""
    (ours,) = _results(series, tmp_path / "result", "seg")
    setting.receive([ours])
    assert setting.after(1.9) == []
    assert setting.feedback.list() == []
    assert setting.after(0.2) == []
    (one,) = setting.feedback.list()
    assert (one.state, one.calling_ae_title) == ("waiting", "SCANNER")
    assert setting.inbox.open_series() == []
    setting.receive([ours])
    assert setting.after(61) == []
    assert [again.id for again in setting.feedback.list()] == [one.id]
    (setting.storage / one.path).unlink()
    setting.receive([_changed(ours, tmp_path / "theirs", SOPInstanceUID="1.2.3.4")])
    assert setting.after(61) == []
    assert len(setting.feedback.list()) == 2


def test_a_segmentation_in_the_series_of_its_images(setting: Setting, series: list[Path], tmp_path: Path) -> None:
    """A tool that reuses the series' UID does not lose the correction; what becomes of the series is said as ever."""
    (ours,) = _results(series, tmp_path / "result", "seg")
    uid = str(pydicom.dcmread(series[0]).SeriesInstanceUID)
    setting.receive([*series, _changed(ours, tmp_path / "theirs", SeriesInstanceUID=uid)])
    assert len(setting.after(61)) == 1
    assert [instance.series_instance_uid for instance in setting.feedback.list()] == [uid]
    assert setting.inbox.open_series() == []


def _results(series: list[Path], folder: Path, name: str) -> list[Path]:
    source = read_series(series)
    folder.mkdir()
    write_result_set(result_set_of(source, segmentation_of(source)), folder)
    return [folder / f"{name}.dcm"]


@pytest.mark.parametrize("gone", [False, True])
def test_damage_on_the_disk_rejects_nothing(setting: Setting, series: list[Path], gone: bool) -> None:
    """A file that rotted, or went, before its series was decided gives a job, which fails with that reason, and which a
    resend has tried again; a rejection would be final."""
    setting.receive(series)
    victim = setting.storage / hashlib.sha256(series[3].read_bytes()).hexdigest()
    victim.write_bytes(bytes(500))
    if gone:
        victim.unlink()
    (job,) = setting.after(61)
    assert job.state == "queued"


def test_a_resend_by_other_bytes_replaces_a_damaged_file(setting: Setting, series: list[Path], tmp_path: Path) -> None:
    """Also when the damaged one can still be read: what is analysed is what was received."""
    setting.receive([*series, _changed(series[3], tmp_path / "touched", InstitutionName="ELSEWHERE")])
    instances = setting.inbox.instances_of(str(pydicom.dcmread(series[0]).SeriesInstanceUID))
    stored = tmp_path / hashlib.sha256(series[3].read_bytes()).hexdigest()
    rotten = bytearray(stored.read_bytes())
    assert stored.name in {instance.sha256 for instance in analysed_instances(instances, tmp_path)}
    rotten[-1000] ^= 0x10
    stored.write_bytes(rotten)
    chosen = analysed_instances(instances, tmp_path)
    assert len(chosen) == len(series)
    assert stored.name not in {instance.sha256 for instance in chosen}


HOURS_AND_DAYS = [3600.0, -3600.0, 3 * 86_400.0, -3 * 86_400.0]


@pytest.mark.parametrize("step", HOURS_AND_DAYS)
def test_the_clock_is_set_after_a_series_came(setting: Setting, series: list[Path], step: float) -> None:
    """Quiet time goes on as if nothing had happened: decided after it, not before and not an hour later."""
    setting.receive(series)
    setting.after(1.0)
    setting.clock.step(step)
    assert setting.after(0.5) == []
    assert len(setting.after(0.6)) == 1


@pytest.mark.parametrize("step", HOURS_AND_DAYS)
def test_the_clock_is_set_while_a_series_comes(setting: Setting, series: list[Path], step: float) -> None:
    """An open association holds its series back after the step as before; the rest makes it whole."""
    association = setting.receive(series[:6], end=None)
    setting.after(1.0)
    setting.clock.step(step)
    assert setting.after(1.5) == []
    assert setting.after(3.0) == []
    setting.inbox.end_association(association, AssociationEnd.RELEASED)
    setting.receive(series[6:])
    assert setting.after(1.5) == []
    (job,) = setting.after(1.0)
    assert job.instance_count == len(series)


@pytest.mark.parametrize("ahead", [3600.0, 3 * 86_400.0])
def test_a_time_in_the_future_counts_as_now(setting: Setting, series: list[Path], ahead: float) -> None:
    """Also for a process that starts after the clock was set right: decided one quiet time later."""
    setting.clock.step(ahead)
    setting.receive(series)
    setting.clock.step(-ahead)
    setting.completer = setting.another_completer()
    assert setting.after(0) == []
    assert setting.after(1.5) == []
    assert len(setting.after(0.6)) == 1


def test_a_process_that_starts_believes_the_past(setting: Setting, series: list[Path]) -> None:
    """What came an hour before it started has been quiet for an hour."""
    setting.receive(series)
    setting.clock.pass_seconds(3600)
    setting.completer = setting.another_completer()
    assert len(setting.after(0)) == 1


@pytest.mark.parametrize("step", [3600.0, -3600.0])
def test_a_series_that_could_not_be_read_is_tried_again_whatever_the_clock_does(
    setting: Setting, series: list[Path], step: float
) -> None:
    """Its wait is neither skipped nor prolonged by a step."""
    reader = LostReader(setting, 1)
    setting.receive(series)
    assert setting.after(2.1) == []
    setting.clock.step(step)
    assert setting.after(FIRST_SECONDS - 1) == []
    assert sum(reader.asked.values()) == 1
    assert len(setting.after(1.1)) == 1


@pytest.mark.parametrize(("pause", "refused"), [(5, 0), (15, 0), (90, 1)])
def test_one_association_for_each_image_gives_one_result(
    setting: Setting, series: list[Path], tmp_path: Path, pause: int, refused: int
) -> None:
    """A stack that grows association by association is decided once, when it has stopped to grow; at most a first image
    that comes long before the second is decided alone."""
    for number, file in enumerate(series):
        setting.receive([_changed(file, tmp_path / "plain", ImagesInAcquisition=None)])
        for _ in range(pause // 5):
            assert len(setting.after(5)) <= (refused if number else 1)
    jobs = [job for job in setting.after(300) if job.instance_count > 1]
    assert [job.instance_count for job in jobs] == [len(series)]


def test_a_sender_that_let_its_series_grow_is_waited_for(setting: Setting, series: list[Path], tmp_path: Path) -> None:
    """The first series of one image an association may be decided too early; the next is waited for by its pauses."""
    first, second = (
        [
            _changed(
                file,
                tmp_path / f"s{number}",
                SeriesInstanceUID=f"1.2.{number}",
                StudyInstanceUID=f"1.3.{number}",
                SOPInstanceUID=f"1.2.{number}.{place}",
                ImagesInAcquisition=None,
            )
            for place, file in enumerate(series)
        ]
        for number in range(2)
    )
    for file in first:
        setting.receive([file])
        setting.after(90)
    known = len(setting.after(300))
    for file in second:
        setting.receive([file])
        assert len(setting.after(90)) == known
    new = setting.after(300)[known:]
    assert [job.instance_count for job in new] == [len(series)]


def test_a_sender_that_sends_series_whole_is_not_waited_for(
    setting: Setting, series: list[Path], tmp_path: Path
) -> None:
    """One series that came in two parts and then one that came whole: the third needs the short wait."""
    for number, parts in enumerate(((series[:5], series[5:]), (series,), (series,))):
        before = len(setting.after(300))
        for part in parts:
            setting.receive(
                [
                    _changed(
                        file,
                        tmp_path / f"s{number}",
                        SeriesInstanceUID=f"1.2.{number}",
                        StudyInstanceUID=f"1.3.{number}",
                        SOPInstanceUID=f"1.2.{number}.{file.stem[-3:]}{file.stat().st_ino}",
                        ImagesInAcquisition=None,
                    )
                    for file in part
                ]
            )
            setting.clock.pass_seconds(10)
        assert len(setting.after(3)) == before + (number == 2)


def test_a_resend_after_a_loss_is_no_growth(setting: Setting, series: list[Path]) -> None:
    """What follows an association that was lost is its resend: the short wait is enough."""
    setting.receive(series[:7], AssociationEnd.LOST)
    setting.clock.pass_seconds(5)
    setting.receive(series)
    (job,) = setting.after(3)
    assert job.instance_count == len(series)


def test_the_same_images_for_another_patient_are_a_correction(
    setting: Setting, series: list[Path], tmp_path: Path
) -> None:
    """A new job about the corrected files; the earlier one is named as superseded, whatever came of it."""
    setting.receive(series)
    (wrong,) = setting.after(3)
    corrected = [
        _changed(file, tmp_path / "right", PatientID="RIGHT-2", PatientName="Right^Patient") for file in series
    ]
    setting.receive(corrected[:5])
    assert setting.after(61)[0].code != "patient_corrected"  # a part of it is not all of it
    setting.receive(corrected[5:])
    jobs = setting.after(301)
    assert jobs[0].id == wrong.id
    assert (jobs[0].state, jobs[0].code) in {("cancelled", "patient_corrected"), ("cancelled", "superseded")}
    newest = jobs[-1]
    read = [
        setting.storage / instance.path
        for instance in analysed_instances(setting.inbox.instances_of(wrong.series_instance_uid), setting.storage)
    ]
    assert newest.instances_digest == read_series(read).files_digest
    assert {pydicom.dcmread(file).PatientID for file in read} == {"RIGHT-2"}


def test_a_result_of_the_wrong_patient_is_taken_out(setting: Setting, series: list[Path], tmp_path: Path) -> None:
    """A job that has its result already says by which it is superseded, and what was not sent stays unsent."""
    setting.receive(series)
    (wrong,) = setting.after(3)
    setting.jobs.claim("worker", 60)
    setting.jobs.deliver(wrong.id, "worker", {}, [], {"SOPInstanceUID": "1.2"})
    setting.receive([_changed(file, tmp_path / "right", PatientID="RIGHT-2") for file in series])
    done, newer = setting.after(61)
    assert (done.state, done.code) == ("done", "patient_corrected")
    assert f"superseded by job {newer.id}" in (done.reason or "")
    assert newer.predecessor_id == done.id
    assert [event.what for event in setting.jobs.events(done.id)][-1] == "superseded"


@pytest.mark.parametrize("bytes_change", [False, True], ids=["same bytes", "other bytes"])
def test_a_correction_that_is_taken_back(
    setting: Setting, series: list[Path], tmp_path: Path, bytes_change: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """Patient A, then B, then A again: what came last counts; both earlier jobs say by which they are superseded."""
    setting.receive(series)
    setting.after(3)
    setting.receive([_changed(file, tmp_path / "b", PatientID="B-2", PatientName="B^Two") for file in series])
    setting.after(61)
    again = [_changed(file, tmp_path / "a", InstitutionName="Archive") for file in series] if bytes_change else series
    setting.receive(again[:4])
    assert setting.after(61)[-1].code != "patient_corrected"  # a part of it is not all of it
    setting.receive(again[4:])
    jobs = setting.after(301)
    newest = jobs[-1]
    first, second = (job for job in jobs if job.code == "patient_corrected")
    assert newest.state == "queued"
    assert f"superseded by job {second.id}" in (first.reason or "")
    assert f"superseded by job {newest.id}" in (second.reason or "")
    assert "earlier results are out" in capsys.readouterr().out
    read = read_received(setting.inbox.instances_of_job(newest), setting.storage, newest.instances_digest)
    assert {header.PatientID for header in read.headers} == {str(pydicom.dcmread(series[0]).PatientID)}
    setting.receive(again)
    assert [job.id for job in setting.after(301)] == [job.id for job in jobs]


def test_an_archive_that_touches_names_corrects_nothing(setting: Setting, series: list[Path], tmp_path: Path) -> None:
    """Another case, empty components and removed values are no other patient."""
    setting.receive(series)
    (job,) = setting.after(3)
    name = str(pydicom.dcmread(series[0]).PatientName)
    setting.receive(
        [_changed(file, tmp_path / "t", PatientName=name.upper() + "^^", PatientBirthDate="") for file in series]
    )
    assert [job.id for job in setting.after(301)] == [job.id]


def test_a_series_that_lacks_a_refused_object_waits(setting: Setting, series: list[Path], tmp_path: Path) -> None:
    """What the receiver refused is missing until it arrives whole: the long wait, and a count for the flag."""
    files = [_changed(file, tmp_path / "plain", ImagesInAcquisition=None) for file in series]
    association = setting.receive(files[:-1])
    lost = pydicom.dcmread(files[-1], stop_before_pixels=True)
    setting.inbox.note_refused(lost.SeriesInstanceUID, lost.SOPInstanceUID, "pixel data is cut off", association)
    setting.inbox.note_refused(lost.SeriesInstanceUID, lost.SOPInstanceUID, "pixel data is cut off", association)
    assert setting.after(50) == []
    (job,) = setting.after(11)
    assert setting.inbox.count_refused(job.series_instance_uid, job.instance_count, job.created_at) == 1
    setting.receive(files[-1:])
    assert setting.inbox.count_refused(job.series_instance_uid) == 0
    assert setting.inbox.count_refused(job.series_instance_uid, job.instance_count) == 1


@pytest.mark.parametrize(("lost", "is_long"), [(0, False), (1, True)])
def test_a_flair_that_ends_before_the_t2_of_its_study_waits(
    setting: Setting, series: list[Path], tmp_path: Path, lost: int, is_long: bool
) -> None:
    """Another series on the same slices goes on beyond its end: the long wait."""
    files = [_changed(file, tmp_path / "flair", ImagesInAcquisition=None) for file in series]
    t2 = [
        _changed(
            file, tmp_path / "t2", SeriesInstanceUID="1.2.9", SOPInstanceUID=f"1.2.9.{number}",
            SeriesDescription="AX T2 TSE", ProtocolName="AX T2 TSE", InversionTime=None,
        )
        for number, file in enumerate(files)
    ]  # fmt: skip
    setting.receive(t2)
    assert [job.state for job in setting.after(3)] == ["rejected"]
    setting.receive(files[: len(files) - lost])
    queued = [job for job in setting.after(3) if job.state == "queued"]
    assert (queued == []) == is_long
    assert len([job for job in setting.after(60) if job.state == "queued"]) == 1


def test_one_slice_series_are_answered_once(setting: Setting, series: list[Path], tmp_path: Path) -> None:
    """Each slice its own series: one job for a worker, which counts the others."""
    files = [
        _changed(file, tmp_path / "own", SeriesInstanceUID=f"1.2.{number}", ImagesInAcquisition=None)
        for number, file in enumerate(series)
    ]
    setting.receive(files)
    jobs = setting.after(61)
    queued = [job for job in jobs if job.state == "queued"]
    assert len(jobs) == len(series)
    assert len(queued) == 1
    assert {job.code for job in jobs if job.state == "rejected"} == {"slice_per_series"}
    assert all(f"{len(series)} FLAIR series" in (job.reason or "") for job in jobs if job.state == "rejected")
    assert setting.jobs.count_rejected(queued[0].study_instance_uid or "", ["slice_per_series"]) == len(series) - 1


@pytest.mark.parametrize("each", [1, 2])
@pytest.mark.parametrize("is_rejected", [False, True])
def test_divided_slices_are_answered_once_however_slowly_they_come(
    setting: Setting, series: list[Path], tmp_path: Path, each: int, is_rejected: bool
) -> None:
    """A series of one or two slices each, each long after the one before: the first is answered, for all."""
    files = [
        _changed(file, tmp_path / "own", SeriesInstanceUID=f"1.2.{number // each}", ImagesInAcquisition=None)
        for number, file in enumerate(series)
    ]
    for start in range(0, len(files), each):
        setting.receive(files[start : start + each])
        jobs = setting.after(61)
        if is_rejected and start == 0:
            claimed = setting.jobs.claim("worker", 60)
            assert claimed is not None
            setting.jobs.reject(claimed.id, "worker", "too_few_slices", "Too few.")
    answered = jobs[:1] if is_rejected else [job for job in jobs if job.state == "queued"]
    others = [job for job in jobs if job not in answered]
    assert [job.id for job in answered] == [jobs[0].id]
    assert {job.code for job in others} == {"slice_per_series"}
    count, images = len(files) // each, "one image" if each == 1 else "fewer than 5 images"
    assert f"{count} FLAIR series of one study have {images} each" in (others[-1].reason or "")


@pytest.mark.parametrize("worse_first", [False, True])
def test_the_better_of_two_flair_series_of_a_study_is_analysed(
    setting: Setting, series: list[Path], tmp_path: Path, worse_first: bool
) -> None:
    """A derived copy in the same transfer is skipped with a reason that says what is analysed instead."""
    derived = {"SeriesInstanceUID": "1.2.3", "ImageType": ["DERIVED", "PRIMARY", "M"]}
    copies = [
        _changed(file, tmp_path / "copy", SOPInstanceUID=f"1.2.3.{number}", **derived)
        for number, file in enumerate(series)
    ]
    setting.receive([*copies, *series] if worse_first else [*series, *copies])
    skipped, analysed = sorted(setting.after(3), key=lambda job: job.state != "rejected")
    assert (skipped.series_instance_uid, skipped.code) == ("1.2.3", "better_flair_in_study")
    assert "axial, 12 slices" in (skipped.reason or "")
    assert analysed.state == "queued"
    setting.jobs.retry_skipped(analysed.study_instance_uid or "")
    assert setting.jobs.get(skipped.id).state == "queued"


@pytest.mark.parametrize("has_result", [False, True])
def test_a_better_flair_that_arrives_later(
    setting: Setting, series: list[Path], tmp_path: Path, has_result: bool
) -> None:
    """It is analysed, and the earlier job says which one is better; a worse one that arrives later is skipped."""
    derived = {"SeriesInstanceUID": "1.2.3", "ImageType": ["DERIVED", "PRIMARY", "M"]}
    copies = [
        _changed(file, tmp_path / "copy", SOPInstanceUID=f"1.2.3.{number}", **derived)
        for number, file in enumerate(series)
    ]
    setting.receive(copies)
    (worse,) = setting.after(3)
    if has_result:
        setting.jobs.claim("worker", 60)
        setting.jobs.deliver(worse.id, "worker", {}, [], {"SOPInstanceUID": "1.2"})
    setting.receive(series)
    worse, better = setting.after(3)
    assert (worse.state, worse.code) == ("done" if has_result else "cancelled", "better_flair_later")
    assert f"axial, 12 slices: see job {better.id}" in (worse.reason or "")
    assert (better.state, better.code) == ("queued", None)
    setting.receive([_changed(file, tmp_path, SeriesInstanceUID="1.2.4", SOPInstanceUID=f"1.2.4.{number}")
                     for number, file in enumerate(copies)])  # fmt: skip
    late = setting.after(3)[-1]
    assert (late.state, late.code) == ("rejected", "better_flair_in_study")
    assert f"Job {better.id} has a better FLAIR of the study" in (late.reason or "")
    # Should the better one not be analysable after all, what was skipped or cancelled for it is analysed.
    retried = {job.id for job in setting.jobs.retry_skipped(better.study_instance_uid)}
    assert retried == ({late.id} if has_result else {worse.id, late.id})
