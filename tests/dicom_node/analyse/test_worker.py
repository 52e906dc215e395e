"""The worker, on a real database, with a tiny model."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pydicom
import pytest
from support.killed_child import KilledAgain
from support.models import tiny_bundle
from support.phantoms import phantom_files
from support.results import outbox_of
from support.small_disk import files_that_stay_small, small_disk
from support.worker_setting import READER, Setting

from db.deliveries import DeliveryTable
from dicom_node.analyse import analysis
from dicom_node.analyse import worker as module
from dicom_node.analyse.analysis import analyse_files, write_analysis
from dicom_node.analyse.follow_up.none_known import none_known
from dicom_node.demo.phantom.phantom import PhantomSpec
from dicom_node.node.job_words import job_standing
from dicom_node.node.outbox import Outbox
from dicom_node.node.profiles import DEFAULT_OPTIONS, PROFILES, DeliveryOptions
from segmentation.bundle import load_bundle
from segmentation.ensemble import Ensemble, open_ensemble
from segmentation.regions import RegionRule

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def ensemble(tmp_path_factory: pytest.TempPathFactory) -> Ensemble:
    """A tiny model, compiled once."""
    return open_ensemble(load_bundle(tiny_bundle(tmp_path_factory.mktemp("model"))), "openvino")


@pytest.fixture(scope="module")
def series(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A small phantom series, with few enough reasons for one page."""
    return phantom_files(PhantomSpec(seed=4, slices=12, matrix=64), tmp_path_factory.mktemp("series"))


@pytest.fixture(scope="module", autouse=True)
def _close_reader() -> Iterator[None]:
    yield
    READER.close()


# What the default profile has of a series without ventricles, in sending order.
GENERIC = ("seg.dcm", "summary.dcm", "sr.dcm")


@pytest.fixture
def setting(tmp_path: Path, ensemble: Ensemble) -> Iterator[Setting]:
    """Nothing received yet."""
    made = Setting(tmp_path, ensemble)
    with closing(made.database):
        yield made


def test_a_job_becomes_a_result_set(setting: Setting, series: list[Path]) -> None:
    """A job ends as delivering, with its files in the outbox and its measurements in the table."""
    setting.receive(series)
    job_id = setting.enqueue(series)
    assert setting.worker.work_once()
    job = setting.jobs.get(job_id)
    folder = outbox_of(setting.storage, job_id)
    assert job.state == "delivering"
    assert {path.name for path in folder.iterdir()} == {*GENERIC, "measurements.json", "overlay.png"}
    assert json.loads((folder / "measurements.json").read_text()) == job.measurements
    (delivery,) = setting.deliveries(job_id)
    assert [setting.storage / file for file in delivery.files] == [folder / name for name in GENERIC]
    assert not setting.worker.work_once()


def test_each_destination_is_sent_what_its_profile_says(tmp_path: Path, series: list[Path], ensemble: Ensemble) -> None:
    """Each delivery has the files of its destination's profile in sending order; the outbox holds each file once."""
    all_options = {
        "pacs": DEFAULT_OPTIONS,
        "slicer": DeliveryOptions(PROFILES["slicer"], probability_map=True),
        "old": DeliveryOptions(PROFILES["legacy"]),
    }
    setting = Setting(tmp_path, ensemble, destinations=all_options)
    with closing(setting.database):
        setting.receive(series)
        job_id = setting.enqueue(series)
        assert setting.worker.work_once()
        folder = outbox_of(setting.storage, job_id)
        sent = {
            delivery.destination: [Path(file).name for file in delivery.files]
            for delivery in setting.deliveries(job_id)
        }
    assert sent["pacs"] == list(GENERIC)
    assert sent["slicer"] == ["seg-nonempty.dcm", "probability.dcm", "sr-nonempty.dcm"]
    assert sent["old"] == ["summary.dcm", "presentation.dcm", "report-pdf.dcm"]
    everything = {name for names in sent.values() for name in names}
    assert {path.name for path in folder.iterdir()} == everything | {"measurements.json", "overlay.png"}


def test_the_served_result_is_what_segment_writes(tmp_path: Path, series: list[Path], ensemble: Ensemble) -> None:
    """The worker and `wmh-node segment` write the same bytes of every object, given the same time."""
    all_options = {"pacs": DeliveryOptions(PROFILES["slicer"], probability_map=True)}
    setting = Setting(tmp_path, ensemble, destinations=all_options)
    with closing(setting.database):
        setting.receive(series)
        job_id = setting.enqueue(series)
        assert setting.worker.work_once()
        served, created_at = outbox_of(setting.storage, job_id), setting.jobs.get(job_id).created_at
    offline = tmp_path / "offline"
    offline.mkdir()
    analysis = analyse_files(series, ensemble)
    earlier = none_known(analysis.series.headers[0])
    written = write_analysis(analysis, ensemble, created_at, offline, all_options=all_options, follow_up=earlier)
    assert {"seg-nonempty.dcm", "probability.dcm", "summary.dcm"} <= set(written.objects)
    for name in (*written.objects, "overlay.png"):
        assert (served / name).read_bytes() == (offline / name).read_bytes(), name


@pytest.mark.slow
def test_the_worker_divides_by_the_nodes_rule(tmp_path: Path, series: list[Path]) -> None:
    """With a model that knows ventricles, the measurements hold the regions by the rule that the node is set to."""
    bundle = tiny_bundle(tmp_path / "model", ventricles=True, ventricle_sd=1.5)  # calls fat ventricle
    ensemble = open_ensemble(load_bundle(bundle), "openvino")
    setting = Setting(tmp_path, ensemble, region_rule=RegionRule(7.5, "3d"))
    with closing(setting.database):
        setting.receive(series)
        job_id = setting.enqueue(series)
        assert setting.worker.work_once()
        measurements = setting.jobs.get(job_id).measurements
        assert measurements is not None
        assert measurements["periventricular_rule"] == {"distance_mm": 7.5, "distance": "3d"}
        parts = measurements["periventricular_volume_ml"] + measurements["deep_volume_ml"]
        assert parts == pytest.approx(measurements["wmh_volume_ml"])
        assert measurements["ventricle_volume_ml"] > 0


def test_a_second_attempt_gives_the_same_bytes(setting: Setting, series: list[Path]) -> None:
    """A worker that died after writing and before saying so is followed by one that writes the same bytes."""
    setting.receive(series)
    job_id = setting.enqueue(series)
    written = []
    for attempt in ("1", "2"):
        job = setting.jobs.claim("worker", 60)
        setting.worker._analyse(job, setting.ensemble, _NeverLost())
        folder = setting.storage / "outbox" / str(job_id) / attempt
        written.append({name: (folder / name).read_bytes() for name in ("seg.dcm", "sr.dcm")})
        with setting.database.write() as connection:  # as if the last transaction had not happened
            connection.exec_driver_sql("DELETE FROM deliveries")
            connection.exec_driver_sql("UPDATE jobs SET state = 'queued', lease_owner = NULL, lease_expires = NULL")
    assert written[0] == written[1]


class _NeverLost:
    def require_held(self) -> None:
        """It is."""


def test_what_is_no_volume_is_rejected_with_the_reason(setting: Setting, series: list[Path]) -> None:
    """A job whose series does not make a volume ends as rejected at once, without further attempts."""
    setting.receive(series[:1])
    job_id = setting.enqueue(series[:1])
    setting.worker.work_once()
    job = setting.jobs.get(job_id)
    assert (job.state, job.attempts) == ("rejected", 1)
    assert job.code
    assert job.reason


def test_late_slices_do_not_slip_into_an_older_job(setting: Setting, series: list[Path]) -> None:
    """A job is about the slices that it was made for, also when more have come before it runs."""
    setting.receive(series[:8])
    job_id = setting.enqueue(series[:8])
    setting.receive(series[8:])
    setting.worker.work_once()
    seg = pydicom.dcmread(outbox_of(setting.storage, job_id) / "seg.dcm")
    referenced = {
        str(item.ReferencedSOPInstanceUID) for item in seg.ReferencedSeriesSequence[0].ReferencedInstanceSequence
    }
    late = {str(pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID) for path in series[8:]}
    assert not referenced & late


def test_an_unexpected_error_is_tried_again_then_reported(
    setting: Setting, series: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unexpected error costs an attempt; when they are spent the job fails with type and place, and without
    the error's own text, which may quote a patient."""
    setting.receive(series)
    job_id = setting.enqueue(series)

    def breaks(*_: object) -> None:
        raise ValueError("DOE^JANE")

    monkeypatch.setattr(module, "analyse", breaks)
    assert setting.worker.work_once()
    assert setting.jobs.get(job_id).state == "queued"
    assert setting.worker.work_once()
    job = setting.jobs.get(job_id)
    assert job.state == "failed"
    assert "ValueError" in (job.reason or "")
    told = (job.reason or "") + "".join(event.detail for event in setting.jobs.events(job_id))
    assert "DOE" not in told


def test_a_cancelled_job_leaves_no_result(
    setting: Setting, series: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job that is cancelled while it is computed ends as cancelled, with nothing to deliver."""
    setting.receive(series)
    job_id = setting.enqueue(series)
    real = module.analyse

    def cancelled_meanwhile(*arguments: object) -> object:
        setting.jobs.cancel(job_id)
        return real(*arguments)

    monkeypatch.setattr(module, "analyse", cancelled_meanwhile)
    assert setting.worker.work_once()
    assert setting.jobs.get(job_id).state == "cancelled"
    assert DeliveryTable(setting.database).list(job_id) == []
    assert [path.name for path in (setting.storage / "outbox").rglob("*")] == ["unfinished"]


def test_a_worker_that_was_paused_touches_nothing_of_the_next(
    setting: Setting, series: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that lost its lease just before it publishes leaves what another delivers as it is, and nothing else."""
    setting.receive(series)
    job_id = setting.enqueue(series)
    real = Outbox.publish
    published: list[Path] = []

    def overtaken(outbox: Outbox, *arguments: object) -> Path:
        monkeypatch.setattr(Outbox, "publish", real)
        with setting.database.write() as connection:
            connection.exec_driver_sql("UPDATE jobs SET lease_expires = '2000-01-01 00:00:00'")
        other = setting.another("other")
        assert other.work_once()
        published.extend(outbox_of(setting.storage, job_id).iterdir())
        inodes.update({path: path.stat().st_ino for path in published})
        return real(outbox, *arguments)

    inodes: dict[Path, int] = {}
    monkeypatch.setattr(Outbox, "publish", overtaken)
    assert setting.worker.work_once()
    assert setting.jobs.get(job_id).state == "delivering"
    assert len(inodes) == len(GENERIC) + 2
    assert {path: path.stat().st_ino for path in outbox_of(setting.storage, job_id).iterdir()} == inodes


def test_a_hanging_attempt_ends_its_process(
    tmp_path: Path, ensemble: Ensemble, series: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An attempt that takes longer than the limit ends the worker's process, so that the job is taken by another."""
    setting = Setting(tmp_path, ensemble, lease_seconds=0.3, limit_seconds=0.5)
    setting.receive(series)
    setting.enqueue(series)

    def hangs(*_: object) -> None:
        deadline = threading.Event()
        for _ in range(100):
            if setting.ended:
                break
            deadline.wait(0.1)
        raise ValueError("the process would be gone")

    monkeypatch.setattr(module, "analyse", hangs)
    setting.worker.work_once()
    assert setting.ended == [1]


def test_a_full_disk_costs_no_attempt(setting: Setting, series: list[Path]) -> None:
    """While the disk is full the job waits, however long, and no other is begun; with room again it is analysed."""
    outbox = setting.storage / "outbox"
    shutil.rmtree(outbox)
    with small_disk(outbox, 64 * 1024) as disk:
        setting.worker = setting.another("worker")
        setting.receive(series)
        job_id = setting.enqueue(series)
        (disk / "others").write_bytes(bytes(64 * 1024**2 - 64 * 1024))
        assert setting.worker.work_once()
        job = setting.jobs.get(job_id)
        assert (job.state, job.attempts) == ("queued", 0)
        assert "No space left" in (job.reason or "")
        for _ in range(5):
            assert not setting.worker.work_once()
        assert setting.worker.step() > 1
        (disk / "others").unlink()
        assert setting.worker.work_once()
        assert setting.jobs.get(job_id).state == "delivering"


def test_files_that_may_not_grow_cost_no_attempt(setting: Setting, series: list[Path]) -> None:
    """As on a full disk, by a limit that needs no right to set."""
    setting.receive(series)
    job_id = setting.enqueue(series)
    databases = max(path.stat().st_size for path in setting.storage.glob("*sqlite*"))
    with files_that_stay_small(os.getpid(), databases + 256 * 1024):
        assert setting.worker.work_once()
        job = setting.jobs.get(job_id)
        assert (job.state, job.attempts) == ("queued", 0)
        assert "File too large" in (job.reason or "")
        for _ in range(5):
            assert not setting.worker.work_once()
        assert setting.worker.step() > 1
        assert setting.deliveries(job_id) == []
    assert setting.worker.work_once()
    assert setting.jobs.get(job_id).state == "delivering"


@pytest.mark.slow
def test_a_machine_short_of_memory_rejects_nothing(setting: Setting, series: list[Path]) -> None:
    """The system kills the process that reads the files, again and again: the job is tried again, then fails with that
    reason, and no report says that the series cannot be analysed; sent again, it is."""
    setting.receive(series)
    job_id = setting.enqueue(series)
    with KilledAgain(READER) as killer:
        assert setting.worker.work_once()
        assert killer.killed >= 2  # asked twice; one may have been there before
        assert (setting.jobs.get(job_id).state, setting.jobs.get(job_id).attempts) == ("queued", 1)
        assert setting.worker.work_once()
    job = setting.jobs.get(job_id)
    assert job.state == "failed"
    assert "killed, probably by the system, because the machine is short of memory" in (job.reason or "")
    assert setting.deliveries(job_id) == []
    setting.receive(series)
    assert [job.id for job in setting.jobs.retry_resent()] == [job_id]
    assert setting.worker.work_once()
    assert setting.jobs.get(job_id).state == "delivering"


def test_a_mount_that_is_lost_costs_no_job(setting: Setting, series: list[Path]) -> None:
    """While STORAGE is away nothing is rejected or failed; when it is back the job is analysed."""
    setting.receive(series)
    job_id = setting.enqueue(series)
    away = setting.storage.with_name(f"{setting.storage.name}-away")
    shutil.copytree(setting.storage, away)  # the database stays where it is
    for path in setting.storage.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif "sqlite" not in path.name:
            path.unlink()
    for _ in range(5):
        setting.worker.work_once()
    job = setting.jobs.get(job_id)
    assert (job.state, job.attempts) == ("queued", 0)
    assert "storage is not available" in (job.reason or "")
    shutil.copytree(away, setting.storage, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*sqlite*"))
    assert setting.worker.work_once()
    assert setting.jobs.get(job_id).state == "delivering"


@pytest.mark.parametrize("how", ["pixel", "header", "gone"])
def test_bit_rot_is_reported(setting: Setting, series: list[Path], how: str) -> None:
    """A received file that has changed on the disk, or is gone, fails the job with that reason: no result comes from
    it, and the series is not called unreadable."""
    setting.receive(series)
    job_id = setting.enqueue(series)
    victim = series[5].read_bytes()
    stored = setting.storage / hashlib.sha256(victim).hexdigest()
    rotten = bytearray(victim)
    match how:
        case "pixel":
            rotten[-1000] ^= 0x10
        case "header":
            rotten[130:400] = bytes(270)
    stored.write_bytes(rotten)
    if how == "gone":
        stored.unlink()
    assert setting.worker.work_once()
    job = setting.jobs.get(job_id)
    assert (job.state, job.attempts) == ("failed", 1)
    assert "1 files" in (job.reason or "")
    assert str(pydicom.dcmread(series[5], stop_before_pixels=True).SOPInstanceUID) in (job.reason or "")
    assert DeliveryTable(setting.database).list(job_id) == []
    stored.write_bytes(victim)
    setting.jobs.retry(job_id)
    assert setting.worker.work_once()
    assert setting.jobs.get(job_id).state == "delivering"


def test_a_late_slice_names_the_earlier_report(setting: Setting, series: list[Path]) -> None:
    """The report about more slices names the report about fewer."""
    reports = []
    for files in (series[:-1], series[-1:]):
        setting.receive(files)
        job_id = setting.enqueue(series)
        assert setting.worker.work_once()
        reports.append(pydicom.dcmread(outbox_of(setting.storage, job_id) / "sr.dcm"))
    first, second = reports
    assert "PredecessorDocumentsSequence" not in first
    item = second.PredecessorDocumentsSequence[0].ReferencedSeriesSequence[0].ReferencedSOPSequence[0]
    assert item.ReferencedSOPInstanceUID == first.SOPInstanceUID
    assert setting.jobs.get(job_id).report == {
        "StudyInstanceUID": second.StudyInstanceUID,
        "SeriesInstanceUID": second.SeriesInstanceUID,
        "SOPClassUID": second.SOPClassUID,
        "SOPInstanceUID": second.SOPInstanceUID,
    }


@pytest.mark.slow
def test_a_job_keeps_its_model(
    setting: Setting, series: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model that comes while a job is computed serves the next job; every result names the model that made it, and
    its UIDs are its own."""
    first = setting.ensemble
    other = open_ensemble(load_bundle(tiny_bundle(tmp_path / "other", members=1)), "openvino")
    real = module.analyse

    def swapped_meanwhile(*arguments: object) -> object:
        setting.ensemble = other
        return real(*arguments)

    monkeypatch.setattr(module, "analyse", swapped_meanwhile)
    made = []
    for files in (series[:-1], series[-1:]):
        setting.receive(files)
        job_id = setting.enqueue(series)
        assert setting.worker.work_once()
        folder = outbox_of(setting.storage, job_id)
        digest = setting.jobs.get(job_id).measurements["model"]["digest"]
        for name in ("seg.dcm", "sr.dcm"):
            (node, *_) = pydicom.dcmread(folder / name).ContributingEquipmentSequence
            assert node.DeviceSerialNumber == digest
        made.append((digest, node.DeviceUID))
    assert [digest for digest, _ in made] == [first.identity.digest, other.identity.digest]
    assert made[0][1] != made[1][1]


def test_no_model_no_job(setting: Setting, series: list[Path]) -> None:
    """While there is no model to compute with no job is claimed, and none loses an attempt; then work goes on."""
    setting.receive(series)
    job_id = setting.enqueue(series)
    ensemble, setting.ensemble = setting.ensemble, None
    assert not setting.worker.work_once()
    job = setting.jobs.get(job_id)
    assert (job.state, job.attempts) == ("queued", 0)
    setting.ensemble = ensemble
    assert setting.worker.work_once()
    assert setting.jobs.get(job_id).state == "delivering"


def test_a_set_that_is_not_right_is_held(
    setting: Setting, series: list[Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing of it is delivered; the job fails at once with the reason, the set is kept, and a retry builds again."""
    built = analysis.build_result_set

    def broken(**facts: object) -> object:
        result_set = built(**facts)  # type: ignore[arg-type]
        result_set.sr.PatientID = "ANOTHER-PATIENT"
        return result_set

    setting.receive(series)
    job_id = setting.enqueue(series)
    with monkeypatch.context() as patched:
        patched.setattr(analysis, "build_result_set", broken)
        assert setting.worker.work_once()
    job = setting.jobs.get(job_id)
    assert (job.state, job.attempts) == ("failed", 1)
    assert job.reason is not None
    assert "sr.dcm: PatientID is not that of the source" in job.reason
    assert f"in outbox/held/{job_id} of the storage" in job.reason
    assert setting.deliveries(job_id) == []
    held = setting.storage / "outbox" / "held" / str(job_id)
    assert {path.name for path in held.iterdir()} == {*GENERIC, "findings.txt"}
    assert "PatientID is not that of the source" in (held / "findings.txt").read_text()
    assert pydicom.dcmread(held / "sr.dcm").PatientID == "ANOTHER-PATIENT"
    (explained, *_) = job_standing(job, [], job.created_at)
    assert "Nothing was sent" in explained
    logged = [line for line in capsys.readouterr().out.splitlines() if "result set quarantined" in line]
    assert len(logged) == 1
    assert "ANOTHER-PATIENT" not in logged[0] + job.reason

    setting.jobs.retry(job_id)
    assert setting.worker.work_once()
    assert setting.jobs.get(job_id).state == "delivering"
    assert not held.exists()
