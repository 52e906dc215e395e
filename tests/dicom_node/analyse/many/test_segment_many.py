"""Many series at once, by the Python face."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import nibabel
import numpy as np
import pytest
from support.models import tiny_model
from support.phantom_series import phantom_series, save_series

from dicom_node import ScanResult, segment_many
from dicom_node.analyse.many.table import COLUMNS
from dicom_node.demo.phantom.phantom import PhantomSpec, make_phantom
from dicom_node.demo.phantom.training_cases import write_case
from segmentation import Ensemble, open_ensemble

SESSIONS = (("01", None), ("02", "a"), ("02", "b"))


@pytest.fixture(scope="module")
def ensemble(tmp_path_factory: pytest.TempPathFactory) -> Ensemble:
    return open_ensemble(tiny_model(tmp_path_factory.mktemp("model"), ventricles=True, ventricle_sd=1.5))


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BIDS tree of three sessions, one of which is damaged, a DICOM study, and a study of which nothing is left."""
    folder = tmp_path_factory.mktemp("cohort")
    write_case(make_phantom(PhantomSpec(matrix=64, slices=6)), folder / "case")
    for subject, session in SESSIONS:
        entities = [f"sub-{subject}", *([] if session is None else [f"ses-{session}"])]
        anat = folder / "bids" / "/".join(entities) / "anat"
        anat.mkdir(parents=True)
        shutil.copy(folder / "case" / "flair.nii.gz", anat / f"{'_'.join(entities)}_FLAIR.nii.gz")
        shutil.copy(folder / "case" / "wmh.nii.gz", anat / f"{'_'.join(entities)}_T1w.nii.gz")
    damaged = folder / "bids" / "sub-02" / "ses-b" / "anat" / "sub-02_ses-b_FLAIR.nii.gz"
    damaged.write_bytes(damaged.read_bytes()[:3000])
    save_series(phantom_series(), folder / "dicom" / "good")
    (folder / "dicom" / "bad").mkdir()
    (folder / "dicom" / "bad" / "im1.dcm").write_bytes(b"\0" * 128 + b"DICM" + b"\xff" * 40)
    return folder


def run(cohort: Path, out: Path, ensemble: Ensemble, **options: object) -> dict[str, ScanResult]:
    """Results by folder's name or, without one, by the input's."""
    results = segment_many([cohort / "bids", cohort / "dicom"], out, ensemble=ensemble, **options)  # type: ignore[arg-type]
    return {result.name or result.source.name: result for result in results}


@pytest.mark.slow
def test_a_cohort_gives_a_folder_a_series_and_a_row_each(cohort: Path, ensemble: Ensemble, tmp_path: Path) -> None:
    """Two jobs analyse BIDS and DICOM; the damaged ones have a row with the reason; a second run analyses nothing."""
    found = run(cohort, tmp_path, ensemble, jobs=2, bids=True, probability_map=True)
    (uid,) = {name for name in found if name.startswith("2.25")}
    statuses = {name: result.status for name, result in found.items()}
    assert statuses == {
        "sub-01_FLAIR": "analysed",
        "sub-02_ses-a_FLAIR": "analysed",
        "sub-02_ses-b_FLAIR": "not_analysable",
        uid: "analysed",
        "bad": "not_analysable",
    }

    rows = {row["folder"] or Path(row["input"]).name: row for row in csv.DictReader((tmp_path / "results.csv").open())}
    assert set(rows) == set(found)
    assert tuple(rows[uid]) == COLUMNS
    assert float(rows[uid]["brain_volume_ml"]) == found[uid].measurements["brain_volume_ml"]
    assert rows["sub-02_ses-b_FLAIR"]["reason_code"] == "bad_nifti"
    assert rows["bad"]["reason_code"] == "no_dicom"

    assert (tmp_path / uid / "seg.dcm").is_file()
    source = nibabel.load(found["sub-01_FLAIR"].source)
    for name in ("wmh.nii.gz", "regions.nii.gz", "probability.nii.gz"):
        image = nibabel.load(tmp_path / "sub-01_FLAIR" / name)
        assert np.array_equal(image.get_sform(), source.get_sform())
        assert image.header["qform_code"] == source.header["qform_code"]
    mask = np.asarray(nibabel.load(tmp_path / "sub-01_FLAIR" / "wmh.nii.gz").dataobj)
    regions = np.asarray(nibabel.load(tmp_path / "sub-01_FLAIR" / "regions.nii.gz").dataobj)
    assert np.array_equal(np.isin(regions, (1, 2)), mask > 0)

    derived = tmp_path / "bids"
    assert json.loads((derived / "dataset_description.json").read_text())["DatasetType"] == "derivative"
    about = derived / "sub-02" / "ses-a" / "anat" / "sub-02_ses-a_label-WMH_mask.json"
    assert json.loads(about.read_text())["Sources"] == ["bids:raw:sub-02/ses-a/anat/sub-02_ses-a_FLAIR.nii.gz"]
    assert len([*derived.rglob("*_probseg.nii.gz")]) == 3

    sheet = (tmp_path / "contact-sheet.html").read_text()
    assert sheet.count("<article") == 5
    assert sheet.count("data:image/jpeg;base64,") == 3
    assert "http" not in sheet.replace("http-equiv", "")

    again = run(cohort, tmp_path, ensemble, bids=True, probability_map=True)
    assert {name for name, result in again.items() if result.is_resumed} == set(found) - {"bad"}
    assert again[uid].measurements == found[uid].measurements


def test_what_changed_is_analysed_again(cohort: Path, ensemble: Ensemble, tmp_path: Path) -> None:
    """A missing result, a torn record and other options are no finished series; what is outdated is removed."""
    folder = cohort / "dicom" / "good"
    (first,) = segment_many([folder], tmp_path, ensemble=ensemble, probability_map=True)
    assert (first.folder / "probability.dcm").is_file()
    (other,) = segment_many([folder], tmp_path, ensemble=ensemble)
    assert not other.is_resumed
    assert not (first.folder / "probability.dcm").exists()
    (first.folder / "sr.dcm").unlink()
    (lost,) = segment_many([folder], tmp_path, ensemble=ensemble)
    assert not lost.is_resumed
    assert (first.folder / "sr.dcm").is_file()
    (first.folder / "segment.json").write_text("{")
    (torn,) = segment_many([folder], tmp_path, ensemble=ensemble)
    assert not torn.is_resumed


def test_wrong_calls_are_refused(tmp_path: Path) -> None:
    """No path, an unknown profile and no job are refused before a model is loaded."""
    with pytest.raises(ValueError, match="got none"):
        segment_many([], tmp_path)
    with pytest.raises(ValueError, match="'mosaic'"):
        segment_many([tmp_path], tmp_path, profile="mosaic")
    with pytest.raises(ValueError, match="at least 1 job"):
        segment_many([tmp_path], tmp_path, jobs=0)
