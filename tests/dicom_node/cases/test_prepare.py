"""DICOM cases become case folders on the FLAIR's own grid, whichever program wrote the segmentation."""

from __future__ import annotations

from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest
from highdicom.seg import SegmentAlgorithmTypeValues, Segmentation, SegmentationTypeValues, SegmentDescription
from numpy.typing import NDArray
from pydicom.sr.codedict import codes
from pydicom.uid import generate_uid
from support.dicom_series import small_scan, write_scan
from support.labelled_cases import labelled_case, write_case
from support.result_cases import CASES, result_set_of, segmentation_of, series_of

from dicom_node.cases.prepare import prepare_cases
from dicom_node.node.errors import BadTrainingCase, ConfigurationError
from dicom_node.results.result_set import part10_bytes
from dicom_node.series.read.series import FlairSeries, read_series
from training.data.cases import load_cases


def _other_tool(
    series_files: list[Path], masks: dict[str, NDArray[np.bool_]], **changes: object
) -> highdicom.seg.Segmentation:
    """A SEG as other tools write it: empty frames left out, one segment a mask."""
    images = [pydicom.dcmread(path) for path in series_files]
    images.sort(key=lambda image: image.ImagePositionPatient[2])
    stacked = np.stack(list(masks.values()), axis=-1).astype(np.uint8)
    settings: dict[str, object] = {
        "segmentation_type": SegmentationTypeValues.BINARY,
        "segment_descriptions": [
            SegmentDescription(number, label, codes.SCT.Tissue, codes.SCT.Brain, SegmentAlgorithmTypeValues.MANUAL)
            for number, label in enumerate(masks, start=1)
        ],
        "omit_empty_frames": True,
    }
    return Segmentation(
        images,
        stacked,
        series_instance_uid=generate_uid(),
        series_number=9,
        sop_instance_uid=generate_uid(),
        instance_number=1,
        manufacturer="Other",
        manufacturer_model_name="Tool",
        software_versions="1",
        device_serial_number="1",
        **(settings | changes),
    )


def _mask(shape: tuple[int, ...], seed: int) -> NDArray[np.bool_]:
    mask = np.random.default_rng(seed).random(shape) > 0.9
    mask[[0, -1]] = False
    return mask


@pytest.fixture
def case(tmp_path: Path) -> tuple[Path, FlairSeries, list[Path]]:
    """A case folder with its FLAIR series."""
    folder = tmp_path / "data" / "c1"
    files = write_scan(small_scan(), folder / "flair")
    return folder, read_series(files), files


@pytest.mark.parametrize("kind", [CASES[0], CASES[1], CASES[3]], ids=str)
def test_our_own_segmentation(tmp_path: Path, kind) -> None:
    """Axial, oblique and Enhanced: voxels and mask come back through NIfTI as they were."""
    folder = tmp_path / "data" / "c1"
    series = series_of(kind, folder / "flair")
    segmentation = segmentation_of(series)
    (folder / "wmh.dcm").write_bytes(part10_bytes(result_set_of(series, segmentation).seg))
    (read,) = load_cases(prepare_cases(tmp_path / "data", tmp_path / "cache"))
    np.testing.assert_array_equal(read.volume.voxels, series.voxels)
    np.testing.assert_array_equal(read.wmh, segmentation.mask)
    np.testing.assert_allclose(read.volume.spacing_mm, series.spacing_mm, rtol=1e-4)


def test_another_tools_segments(tmp_path: Path, case: tuple[Path, FlairSeries, list[Path]]) -> None:
    """Empty frames left out, several segments in one object distinguished by label, and raters of their own."""
    folder, series, files = case
    wmh, ventricles, rater = (_mask(series.voxels.shape, seed) for seed in range(3))
    both = _other_tool(files, {"Lateral ventricles": ventricles, "WMH (manual)": wmh})
    for name in ("wmh.dcm", "ventricles.dcm"):
        both.save_as(folder / name)
    (folder / "raters").mkdir()
    _other_tool(files, {"anything": rater}).save_as(folder / "raters" / "second.dcm")
    (read,) = load_cases(prepare_cases(tmp_path / "data", tmp_path / "cache"))
    np.testing.assert_array_equal(read.wmh, wmh)
    np.testing.assert_array_equal(read.ventricles, ventricles)
    np.testing.assert_array_equal(read.raters["second"], rater)


def test_cases_in_nifti_stay_as_they_are(tmp_path: Path, case: tuple[Path, FlairSeries, list[Path]]) -> None:
    """Without DICOM the data folder itself is read; beside it, both kinds and patients.csv are; what is gone goes."""
    folder, series, files = case
    data = folder.parent
    only_nifti = tmp_path / "nifti"
    write_case(only_nifti, labelled_case("n1"))
    assert prepare_cases(only_nifti, tmp_path / "none") == only_nifti
    write_case(data, labelled_case("n1"))
    _other_tool(files, {"WMH": _mask(series.voxels.shape, 0)}).save_as(folder / "wmh.dcm")
    (data / "patients.csv").write_text("case,patient,site,split\nc1,p,A,test\nn1,q,B,train\n")
    read = load_cases(prepare_cases(data, tmp_path / "cache"))
    assert [(case.name, case.site) for case in read] == [("c1", "A"), ("n1", "B")]
    stamp = (tmp_path / "cache" / "c1" / "flair.nii.gz").stat().st_mtime_ns
    prepare_cases(data, tmp_path / "cache")
    assert (tmp_path / "cache" / "c1" / "flair.nii.gz").stat().st_mtime_ns == stamp
    changed = _mask(series.voxels.shape, 1)
    _other_tool(files, {"WMH": changed}).save_as(folder / "wmh.dcm")
    np.testing.assert_array_equal(load_cases(prepare_cases(data, tmp_path / "cache"))[0].wmh, changed)


@pytest.mark.parametrize(
    ("break_it", "words"),
    [
        (lambda seg: setattr(seg, "FrameOfReferenceUID", generate_uid()), "different frames of reference"),
        (lambda seg: setattr(seg, "SegmentationType", "FRACTIONAL"), "SegmentationType BINARY, got FRACTIONAL"),
        (lambda seg: setattr(seg, "SOPClassUID", "1.2.840.10008.5.1.4.1.1.4"), "another kind of object"),
        (lambda seg: _shift(seg, 0.5), "are not on the FLAIR's grid"),
        (lambda seg: _shift(seg, 5000), "are not on the FLAIR's grid"),
        (lambda seg: seg.PerFrameFunctionalGroupsSequence.pop(), "frames and describes"),
    ],
)
def test_a_segmentation_of_something_else_is_refused(
    tmp_path: Path, case: tuple[Path, FlairSeries, list[Path]], break_it, words: str
) -> None:
    """The error begins with the case's name and says what does not fit."""
    folder, series, files = case
    seg = _other_tool(files, {"WMH": _mask(series.voxels.shape, 0)})
    break_it(seg)
    seg.save_as(folder / "wmh.dcm")
    with pytest.raises(BadTrainingCase, match=rf"^c1: .*{words}"):
        prepare_cases(tmp_path / "data", tmp_path / "cache")
    assert not (tmp_path / "cache" / "c1").exists()


def _shift(seg: highdicom.seg.Segmentation, millimetres: float) -> None:
    for group in seg.PerFrameFunctionalGroupsSequence:
        group.PlanePositionSequence[0].ImagePositionPatient[0] += millimetres


def test_several_segments_and_none_is_meant(tmp_path: Path, case: tuple[Path, FlairSeries, list[Path]]) -> None:
    """Two segments that could both be WMH, or none, are an error: no label is guessed."""
    folder, series, files = case
    for labels in (("lesion 1", "lesion 2"), ("tumour", "oedema")):
        masks = {label: _mask(series.voxels.shape, seed) for seed, label in enumerate(labels)}
        _other_tool(files, masks).save_as(folder / "wmh.dcm")
        with pytest.raises(BadTrainingCase, match=r"^c1: Expected one segment of WMH"):
            prepare_cases(tmp_path / "data", tmp_path / "cache")


def test_half_a_case(tmp_path: Path, case: tuple[Path, FlairSeries, list[Path]]) -> None:
    """A FLAIR without a mask, a mask without a FLAIR, and two series in one folder are named."""
    folder, series, files = case
    with pytest.raises(BadTrainingCase, match=r"^c1: expected wmh.dcm"):
        prepare_cases(tmp_path / "data", tmp_path / "cache")
    _other_tool(files, {"WMH": _mask(series.voxels.shape, 0)}).save_as(folder / "wmh.dcm")
    write_scan(small_scan().tilted(3), folder / "flair" / "second")
    with pytest.raises(BadTrainingCase, match=r"^c1: expected one FLAIR series in flair/, found 2 among 2"):
        prepare_cases(tmp_path / "data", tmp_path / "cache")
    (folder / "flair").rename(folder / "other")
    with pytest.raises(BadTrainingCase, match=r"^c1: expected a folder flair/"):
        prepare_cases(tmp_path / "data", tmp_path / "cache")


def test_nothing_of_anybody_elses_is_removed(
    tmp_path: Path, case: tuple[Path, FlairSeries, list[Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cache that would be the data, hold it, or be another folder that is in use, is refused, and left as it was."""
    folder, series, _ = case
    (folder / "wmh.dcm").write_bytes(part10_bytes(result_set_of(series, segmentation_of(series)).seg))
    (tmp_path / "data" / "notes.txt").write_text("of somebody")
    before = sorted(tmp_path.rglob("*"))
    monkeypatch.chdir(tmp_path)
    for cache in (tmp_path / "data", Path("data"), folder, tmp_path):
        with pytest.raises(ConfigurationError, match="choose another --out"):
            prepare_cases(tmp_path / "data", cache)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_conversion_that_was_killed(tmp_path: Path, case: tuple[Path, FlairSeries, list[Path]]) -> None:
    """What a kill left half made is cleared away, and the case made again."""
    folder, series, _ = case
    segmentation = segmentation_of(series)
    (folder / "wmh.dcm").write_bytes(part10_bytes(result_set_of(series, segmentation).seg))
    cache = tmp_path / "cache"
    prepare_cases(tmp_path / "data", cache)
    (cache / "c1" / "source.sha256").unlink()
    (cache / "c1").rename(cache / ".c1.partial")
    (read,) = load_cases(prepare_cases(tmp_path / "data", cache))
    np.testing.assert_array_equal(read.wmh, segmentation.mask)
    assert [path.name for path in cache.iterdir() if path.is_dir()] == ["c1"]
