"""The series of a job, with what its study shows of it."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest
from support.phantom_series import phantom_series, save_series
from support.worker_setting import READER, Setting

from dicom_node.analyse.source import SeriesSource
from dicom_node.node.errors import IncompleteSeries
from dicom_node.series.complete.completer import examine_files


@pytest.mark.parametrize(("lost", "is_late"), [(0, False), (1, False), (1, True)])
@pytest.mark.slow
def test_a_series_that_ends_before_another_of_its_study_is_flagged(tmp_path: Path, lost: int, is_late: bool) -> None:
    """Only by what was there when the job was made, so that a second attempt gives the same bytes."""
    setting = Setting(tmp_path, SimpleNamespace())  # type: ignore[arg-type]
    flair, t2 = phantom_series(), phantom_series()
    for number, dataset in enumerate(t2):
        dataset.SeriesInstanceUID, dataset.SOPInstanceUID = "1.2.9", f"1.2.9.{number}"
        dataset.SeriesDescription = dataset.ProtocolName = "AX T2 TSE"
    files, others = save_series(flair[: len(flair) - lost], tmp_path / "flair"), save_series(t2, tmp_path / "t2")
    with closing(setting.database), closing(READER):
        if not is_late:
            setting.receive(others)
        setting.receive(files)
        job = setting.jobs.get(setting.enqueue(files))
        if is_late:
            setting.receive(others)
        source = SeriesSource(setting.inbox, setting.jobs, READER, tmp_path, examine_files)
        series, _ = source.read(job)
    assert ("longer_series_in_study" in series.flags) == (bool(lost) and not is_late)


@pytest.mark.parametrize("has_echo", [True, False])
@pytest.mark.slow
def test_echoes_in_another_series_are_no_loss(tmp_path: Path, has_echo: bool) -> None:
    """The scanner counts both echoes of an acquisition, and puts each into a series of its own that does not say so."""
    setting = Setting(tmp_path, SimpleNamespace())  # type: ignore[arg-type]
    flair, echo = phantom_series(), phantom_series()
    for number, dataset in enumerate(echo):
        dataset.SeriesInstanceUID, dataset.SOPInstanceUID = "1.2.9", f"1.2.9.{number}"
        dataset.SeriesDescription, dataset.EchoTime = "PD first echo", 20.0
    for dataset in (*flair, *echo):
        dataset.ImagesInAcquisition = 20
    files = save_series(flair, tmp_path / "flair")
    with closing(setting.database), closing(READER):
        if has_echo:
            setting.receive(save_series(echo, tmp_path / "echo"))
        setting.receive(files)
        job = setting.jobs.get(setting.enqueue(files))
        series, _ = SeriesSource(setting.inbox, setting.jobs, READER, tmp_path, examine_files).read(job)
    assert ("fewer_images_than_announced" in series.flags) == (not has_echo)


@pytest.mark.parametrize("enhanced", [False, True])
@pytest.mark.slow
def test_a_whole_flair_beside_divided_slices_is_read(tmp_path: Path, enhanced: bool) -> None:
    """Also where all of it is one object; a job of one slice says that the study's slices are divided."""
    setting = Setting(tmp_path, SimpleNamespace())  # type: ignore[arg-type]
    whole, divided = phantom_series(enhanced=enhanced), phantom_series()
    for number, dataset in enumerate(divided):
        dataset.SeriesInstanceUID = f"1.2.{number}"
        dataset.SOPInstanceUID = f"1.2.{number}.1"
        dataset.StudyInstanceUID = whole[0].StudyInstanceUID
    one, *others = save_series(divided, tmp_path / "divided")
    files = save_series(whole, tmp_path / "whole")
    with closing(setting.database), closing(READER):
        setting.receive(others)
        for dataset in divided[1:]:
            setting.inbox.reject_series(dataset.SeriesInstanceUID, "slice_per_series", "Divided.")
        setting.receive(files)
        setting.receive([one])
        source = SeriesSource(setting.inbox, setting.jobs, READER, tmp_path, examine_files)
        series, _ = source.read(setting.jobs.get(setting.enqueue(files)))
        assert len(series.voxels) == 10
        with pytest.raises(IncompleteSeries, match="10 FLAIR series of one study have one image each"):
            source.read(setting.jobs.get(setting.enqueue([one])))
