"""A job that is rejected, and what destinations are sent, on a real database with a real outbox."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pydicom
import pytest
from support.dicom_series import small_scan, write_scan
from support.phantoms import phantom_files
from support.received import instance
from support.results import outbox_of
from support.worker_setting import READER, Setting

from db.deliveries import DeliveryTable
from db.feedback import FeedbackTable
from db.records import DeliveryState, Job, JobState
from dicom_node.analyse import refusal as module
from dicom_node.demo.phantom.phantom import PhantomSpec
from dicom_node.node.errors import ConfinedChildLost, UnreadableObject
from dicom_node.node.outbox import Outbox
from dicom_node.node.profiles import PROFILES, DeliveryOptions
from dicom_node.series.complete.completer import Completer
from dicom_node.series.complete.evidence import Patience
from dicom_node.series.read.instances import digest_of
from segmentation.ensemble import Ensemble

DESTINATIONS = {name: DeliveryOptions(PROFILES[name]) for name in ("generic", "legacy", "slicer")}


@pytest.fixture(scope="module")
def series(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A small phantom series."""
    return phantom_files(PhantomSpec(slices=12, matrix=64), tmp_path_factory.mktemp("series"))


@pytest.fixture(scope="module", autouse=True)
def _close_reader() -> Iterator[None]:
    yield
    READER.close()


@pytest.fixture
def setting(tmp_path: Path, tiny_ensemble: Ensemble) -> Iterator[Setting]:
    """One destination of each kind; the series came without one of its middle slices."""
    made = Setting(tmp_path, tiny_ensemble, destinations=DESTINATIONS)
    with closing(made.database):
        yield made


def gap_in(series: list[Path]) -> list[Path]:
    """The series without one of its middle slices."""
    return [*series[:5], *series[6:]]


@pytest.mark.slow
def test_each_destination_gets_the_refusal_that_its_profile_wants(setting: Setting, series: list[Path]) -> None:
    """The job is rejected; report and page, the page alone, or nothing; the report names the reason and the patient."""
    setting.receive(gap_in(series))
    job_id = setting.enqueue(gap_in(series))
    assert setting.worker.work_once()
    job = setting.jobs.get(job_id)
    assert (job.state, job.code, job.measurements) == (JobState.REJECTED, "slices_missing", None)
    told = {
        delivery.destination: [Path(file).name for file in delivery.files] for delivery in setting.deliveries(job_id)
    }
    assert told == {"generic": ["summary.dcm", "sr.dcm"], "legacy": ["summary.dcm"]}
    assert "generic, legacy will get a refusal report" in setting.jobs.events(job_id)[-1].detail
    folder = outbox_of(setting.storage, job_id)
    report, source = pydicom.dcmread(folder / "sr.dcm"), pydicom.dcmread(series[0], stop_before_pixels=True)
    assert (report.PatientID, report.StudyInstanceUID) == (source.PatientID, source.StudyInstanceUID)
    assert any(job.reason in item.value for item in report.iterall() if item.keyword == "TextValue")
    assert job.report == {
        keyword: str(report[keyword].value)
        for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPClassUID", "SOPInstanceUID")
    }


def changed(series: list[Path], folder: Path, name: str, **elements: object) -> list[Path]:
    """Copies with other elements, under instance UIDs of their own."""
    made = []
    for file in series:
        dataset = pydicom.dcmread(file)
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = f"{dataset.SOPInstanceUID}.2"
        for keyword, value in elements.items():
            setattr(dataset, keyword, value)
        made.append(folder / f"{name}-{file.name}")
        dataset.save_as(made[-1], enforce_file_format=True)
    return made


def completed(setting: Setting) -> list[Job]:
    """Let every received series be complete, as the service does; the jobs."""
    patience = Patience(quiet_seconds=0, quiet_seconds_incomplete=0, open_association_seconds=0)
    Completer(setting.inbox, setting.jobs, FeedbackTable(setting.database), setting.storage, patience).look()
    return list(setting.jobs.list())


@pytest.mark.parametrize("code", ["several_flair_volumes", "no_geometry"])
def test_a_flair_that_headers_alone_refuse_is_answered(
    setting: Setting, series: list[Path], tmp_path: Path, code: str
) -> None:
    """Completion makes it a job, whose worker rejects it and reports to each destination as for a missing slice."""
    received = {
        "several_flair_volumes": lambda: [*series, *changed(series, tmp_path, "again", AcquisitionNumber=2)],
        "no_geometry": lambda: changed(series, tmp_path, "flat", PixelSpacing=[0, 0]),
    }
    setting.receive(received[code]())
    (job,) = completed(setting)
    assert job.state is JobState.QUEUED
    assert setting.worker.work_once()
    job = setting.jobs.get(job.id)
    assert (job.state, job.code, job.attempts) == (JobState.REJECTED, code, 1)
    told = {
        delivery.destination: [Path(file).name for file in delivery.files] for delivery in setting.deliveries(job.id)
    }
    assert told == {"generic": ["summary.dcm", "sr.dcm"], "legacy": ["summary.dcm"]}
    report = pydicom.dcmread(outbox_of(setting.storage, job.id) / "sr.dcm")
    assert any(job.reason in item.value for item in report.iterall() if item.keyword == "TextValue")
    assert [job.id for job in completed(setting)] == [job.id]


def test_a_series_that_is_no_flair_is_not_answered(setting: Setting, series: list[Path], tmp_path: Path) -> None:
    """A PACS that routes whole studies is not flooded: refused at completion, no job is left to work on."""
    setting.receive(changed(series, tmp_path, "t1", SeriesDescription="T1 MPRAGE", PixelSpacing=[0, 0]))
    (job,) = completed(setting)
    assert (job.state, job.code) == (JobState.REJECTED, "t1_weighted")
    assert not setting.worker.work_once()
    assert list(setting.deliveries(job.id)) == []


def test_a_destination_that_does_not_ask_gets_no_refusal(
    tmp_path: Path, tiny_ensemble: Ensemble, series: list[Path]
) -> None:
    """Without a destination that wants answers nothing is written."""
    setting = Setting(tmp_path, tiny_ensemble, destinations={"slicer": DESTINATIONS["slicer"]})
    with closing(setting.database):
        setting.receive(gap_in(series))
        job_id = setting.enqueue(gap_in(series))
        assert setting.worker.work_once()
        assert setting.jobs.get(job_id).state is JobState.REJECTED
        assert list(setting.deliveries(job_id)) == []
        assert not (setting.storage / "outbox" / str(job_id)).exists()


def test_a_worker_that_dies_after_answering_leaves_one_answer(
    setting: Setting, series: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between the outbox and the verdict: the next worker gives the same bytes, and one delivery each."""
    setting.receive(gap_in(series))
    job_id = setting.enqueue(gap_in(series))

    def die(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(setting.jobs, "reject", die)
        with pytest.raises(KeyboardInterrupt):
            setting.worker.work_once()
    left = outbox_of(setting.storage, job_id)
    assert list(setting.deliveries(job_id)) == [] and setting.jobs.get(job_id).state is JobState.RUNNING
    setting.jobs.put_back(job_id, "worker", "its lease ran out", 0.0)
    assert setting.another("second").work_once()
    assert [delivery.destination for delivery in setting.deliveries(job_id)] == ["generic", "legacy"]
    for delivery in setting.deliveries(job_id):
        for file in map(Path, delivery.files):
            assert (setting.storage / file).read_bytes() == (left / file.name).read_bytes()


def test_a_lost_lease_sends_no_answer(setting: Setting, series: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Cancelled while the answer is written: no verdict, no delivery, and the outbox is as before."""
    setting.receive(gap_in(series))
    job_id = setting.enqueue(gap_in(series))
    real = module.write_refusal_report

    def cancel_meanwhile(*args: Any, **more: Any) -> Any:
        setting.jobs.cancel(job_id)
        return real(*args, **more)

    monkeypatch.setattr(module, "write_refusal_report", cancel_meanwhile)
    assert setting.worker.work_once()
    assert setting.jobs.get(job_id).state is JobState.CANCELLED
    assert list(setting.deliveries(job_id)) == []
    assert not (setting.storage / "outbox" / str(job_id)).exists()


def test_the_verdict_stands_when_no_answer_comes_about(
    setting: Setting, series: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault in the answer's making is reported in the timeline, and the job is rejected anyway."""
    setting.receive(gap_in(series))
    job_id = setting.enqueue(gap_in(series))
    monkeypatch.setattr(module, "write_refusal_report", lambda *_, **__: {}["no such key"])
    assert setting.worker.work_once()
    assert setting.jobs.get(job_id).state is JobState.REJECTED
    assert "no refusal report could be written: unexpected KeyError" in setting.jobs.events(job_id)[-1].detail
    assert list(setting.deliveries(job_id)) == []


def test_what_is_no_flair_gets_no_refusal_report(setting: Setting, tmp_path: Path) -> None:
    """A T1 that completion could not read is a job too; its worker rejects it, and no PACS gets a report about it."""
    files = write_scan(small_scan(), tmp_path / "t1", description="t1_mprage", protocol="t1_mprage")
    setting.receive(files)
    job_id = setting.enqueue(files)
    assert setting.worker.work_once()
    assert (setting.jobs.get(job_id).state, setting.jobs.get(job_id).code) == (JobState.REJECTED, "t1_weighted")
    assert "do not say brain FLAIR" in setting.jobs.events(job_id)[-1].detail
    assert list(setting.deliveries(job_id)) == []


def lose(*_: Any) -> Any:
    """A child that the system ends, as it does when memory is short."""
    raise ConfinedChildLost("was ended", took_too_much=False, ended=True)


def test_a_machine_short_of_memory_delays_the_answer(
    setting: Setting, series: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The child that gives the answer's header is lost: the job is tried again, then each destination is informed."""
    setting.receive(gap_in(series))
    job_id = setting.enqueue(gap_in(series))
    with monkeypatch.context() as patch:
        patch.setattr(READER, "first_header", lose)
        assert setting.worker.work_once()
    assert setting.jobs.get(job_id).state is JobState.QUEUED
    assert setting.worker.work_once()
    assert setting.jobs.get(job_id).state is JobState.REJECTED
    assert {delivery.destination for delivery in setting.deliveries(job_id)} == {"generic", "legacy"}


def test_the_verdict_stands_when_the_machine_stays_short(
    setting: Setting, series: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the answer waits, and when it never comes about, the job says what is wrong with the series."""
    setting.receive(gap_in(series))
    job_id = setting.enqueue(gap_in(series))
    monkeypatch.setattr(READER, "first_header", lose)
    assert setting.worker.work_once()
    assert "[slices_missing]" in setting.jobs.events(job_id)[-1].detail
    assert setting.worker.work_once()
    job = setting.jobs.get(job_id)
    assert (job.state, job.code) == (JobState.REJECTED, "slices_missing")
    assert "no refusal report could be written" in setting.jobs.events(job_id)[-1].detail


def refuse(code: str) -> Any:
    """A reader that refuses every series."""

    def read(*_: Any) -> Any:
        raise UnreadableObject(code, "The pixels of the series cannot be decoded.")

    return read


def texts(report: pydicom.Dataset) -> list[str]:
    """What a report says."""
    return [item.value for item in report.iterall() if item.keyword == "TextValue"]


@pytest.mark.parametrize("was_told", [True, False])
@pytest.mark.slow
def test_late_slices_take_the_answers_place(setting: Setting, series: list[Path], was_told: bool) -> None:
    """The missing slice comes: the result names the answer that was sent as its predecessor; one that was not sent is
    not sent any more, and no report names it."""
    setting.receive(gap_in(series))
    rejected = setting.enqueue(gap_in(series))
    assert setting.worker.work_once()
    answer = setting.jobs.get(rejected).report
    sending = DeliveryTable(setting.database)
    while was_told and (delivery := sending.claim("sender", 60)) is not None:
        sending.sent(delivery.id, "sender")
    setting.receive([series[5]])
    job_id = setting.enqueue(series)
    state = DeliveryState.SENT if was_told else DeliveryState.CANCELLED
    assert {delivery.state for delivery in setting.deliveries(rejected)} == {state}
    assert setting.worker.work_once()
    assert setting.jobs.get(job_id).state is JobState.DELIVERING
    report = pydicom.dcmread(outbox_of(setting.storage, job_id) / "sr.dcm")
    named = [
        item.ReferencedSOPInstanceUID
        for before in report.get("PredecessorDocumentsSequence", [])
        for item in before.ReferencedSeriesSequence[0].ReferencedSOPSequence
    ]
    assert answer is not None and named == ([answer["SOPInstanceUID"]] if was_told else [])


def latest(setting: Setting, job_id: int) -> Path:
    """The folder of the job's newest result set."""
    folder = Outbox(setting.storage / "outbox").of_job(job_id)
    assert folder is not None
    return folder


def sent_everything(setting: Setting) -> None:
    """Every destination takes what is due."""
    sending = DeliveryTable(setting.database)
    while (delivery := sending.claim("sender", 60)) is not None:
        sending.sent(delivery.id, "sender")


def predecessors(report: pydicom.Dataset) -> list[str]:
    """The SOPInstanceUIDs of the reports that this one takes the place of."""
    return [
        item.ReferencedSOPInstanceUID
        for before in report.get("PredecessorDocumentsSequence", [])
        for item in before.ReferencedSeriesSequence[0].ReferencedSOPSequence
    ]


@pytest.mark.parametrize("was_told", [True, False])
@pytest.mark.slow
def test_a_retried_job_takes_its_own_answers_place(
    setting: Setting, series: list[Path], monkeypatch: pytest.MonkeyPatch, was_told: bool
) -> None:
    """A series that can be read at the second try: its result names the answer that the PACS has, and none that it has
    not."""
    setting.receive(series)
    job_id = setting.enqueue(series)
    with monkeypatch.context() as patched:
        patched.setattr(READER, "read", refuse("pixels_undecodable"))
        assert setting.worker.work_once()
    answer = setting.jobs.get(job_id).report
    if was_told:
        sent_everything(setting)
    setting.jobs.retry(job_id)
    assert setting.worker.work_once()
    assert setting.jobs.get(job_id).state is JobState.DELIVERING
    report = pydicom.dcmread(latest(setting, job_id) / "sr.dcm")
    assert answer is not None and predecessors(report) == ([answer["SOPInstanceUID"]] if was_told else [])
    assert any("replaces an earlier one" in text for text in texts(report)) == was_told


def test_the_same_verdict_again_is_the_same_answer(
    setting: Setting, series: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Retried and rejected for the same reason: the same objects, not a chain of reports that replace each other; for
    another reason: a report that names the first."""
    setting.receive(gap_in(series))
    job_id = setting.enqueue(gap_in(series))
    assert setting.worker.work_once()
    answer = setting.jobs.get(job_id).report
    before = (latest(setting, job_id) / "sr.dcm").read_bytes()
    sent_everything(setting)
    setting.jobs.retry(job_id)
    assert setting.worker.work_once()
    assert (latest(setting, job_id) / "sr.dcm").read_bytes() == before
    sent_everything(setting)
    setting.jobs.retry(job_id)
    monkeypatch.setattr(READER, "read", refuse("pixels_undecodable"))
    assert setting.worker.work_once()
    report = pydicom.dcmread(latest(setting, job_id) / "sr.dcm")
    assert answer is not None and predecessors(report) == [answer["SOPInstanceUID"]] != [report.SOPInstanceUID]


def test_a_series_of_which_no_header_can_be_read_has_no_answer(setting: Setting) -> None:
    """The patient is unknown; the timeline says so."""
    content = b"no DICOM"
    (setting.storage / "file").write_bytes(content)
    association = setting.inbox.open_association("SCANNER", "WMHNODE", "10.0.0.7", "receiver")
    one = replace(
        instance("1.2.3", 1, association),
        path="file", sha256=hashlib.sha256(content).hexdigest(), size_bytes=len(content),
    )  # fmt: skip
    setting.inbox.record([one])
    job_id = setting.jobs.enqueue("1.2.3", digest_of(setting.inbox.instances_of("1.2.3")), 1).id
    assert setting.worker.work_once()
    assert setting.jobs.get(job_id).code == "not_dicom"
    assert "no image of the series can be read" in setting.jobs.events(job_id)[-1].detail
    assert list(setting.deliveries(job_id)) == []
