"""`wmh-node segment`."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest
from support.data import shared_data
from support.models import tiny_bundle
from support.node import run_cli, run_here
from support.phantoms import phantom_files

from dicom_node.demo.phantom.phantom import PhantomSpec

pytestmark = pytest.mark.slow

FIELDS = {
    "series_instance_uid",
    "wmh_volume_ml",
    "lesion_count",
    "uncertainty_index",
    "review_recommended",
    "model",
    "seconds",
    "flags",
}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny bundle."""
    return tiny_bundle(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def series(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A small phantom series."""
    return phantom_files(PhantomSpec(slices=12, matrix=128), tmp_path_factory.mktemp("series"))


def test_dicom_in_result_set_out(series: list[Path], model: Path, tmp_path: Path) -> None:
    """A folder of DICOM gives SEG, SR, measurements.json with its documented names, and a picture; JSON on stdout."""
    done = run_cli("segment", series[0].parent, "--out", tmp_path, "--model", model, "--json")
    measurements = json.loads(done.stdout)
    assert set(measurements) >= FIELDS
    assert set(measurements["seconds"]) == {"read", "preprocess", "infer", "measure", "write"}
    assert json.loads((tmp_path / "measurements.json").read_text()) == measurements
    assert pydicom.dcmread(tmp_path / "seg.dcm").Modality == "SEG"
    assert pydicom.dcmread(tmp_path / "sr.dcm").Modality == "SR"
    assert (tmp_path / "overlay.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_a_profile_adds_its_objects(series: list[Path], tmp_path: Path) -> None:
    """`--profile` writes what a destination of that profile gets beside what is always written; an unknown one is a
    usage error."""
    model = tiny_bundle(tmp_path / "model", ventricles=True, ventricle_sd=1.5)
    arguments = "segment", series[0].parent, "--model", model, "--out", tmp_path / "out"
    run_here(*arguments, "--profile", "slicer", "--probability-map")
    found = {path.name: pydicom.dcmread(path) for path in (tmp_path / "out").glob("*.dcm")}
    assert {"seg.dcm", "regions.dcm", "summary.dcm", "sr.dcm"} <= set(found)
    assert {"seg-nonempty.dcm", "regions-nonempty.dcm", "sr-nonempty.dcm", "probability.dcm"} <= set(found)
    assert len({str(dataset.SOPInstanceUID) for dataset in found.values()}) == len(found)
    assert "expected generic, ohif, slicer, legacy" in run_here(*arguments, "--profile", "osirix", code=2).stderr


@pytest.mark.slow
def test_regions_follow_the_settings(series: list[Path], tmp_path: Path) -> None:
    """A model with a ventricle network gives the regions, by the rule of the settings; of a result that is not reliable
    the terminal shows the ventricles and no volume of WMH."""
    model = tiny_bundle(tmp_path / "model", ventricles=True, ventricle_sd=1.5)  # calls fat ventricle
    config = tmp_path / "node.toml"
    config.write_text('periventricular_mm = 7.5\nperiventricular_distance = "3d"\nthreads = 1\n')
    folders = series[0].parent, "--out", tmp_path / "out"
    done = run_here("segment", *folders, "--model", model, "--config", config)
    measurements = json.loads((tmp_path / "out" / "measurements.json").read_text())
    assert measurements["periventricular_rule"] == {"distance_mm": 7.5, "distance": "3d"}
    assert measurements["reliability"] == "not_reliable"
    assert "ventricles" in done.stdout
    assert "not reliable" in done.stdout
    assert "periventricular" not in done.stdout
    texts = [i.value for i in pydicom.dcmread(tmp_path / "out" / "sr.dcm").iterall() if i.keyword == "TextValue"]
    assert any("within 7.5 mm of the ventricles, measured in space" in text for text in texts)


@pytest.mark.slow
def test_twice_is_the_same(series: list[Path], model: Path, tmp_path: Path) -> None:
    """Running it twice gives the same bytes of SEG and SR."""
    for folder in ("one", "two"):
        run_cli("segment", series[0].parent, "--out", tmp_path / folder, "--model", model)
    for name in ("seg.dcm", "sr.dcm"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


@pytest.mark.slow
def test_nifti_in_mask_out(model: Path, tmp_path: Path) -> None:
    """A NIfTI gives a mask on its own grid in place of the DICOM, and no invented series UID."""
    flair = shared_data("flair-wmh", "105911", "flair.nii.gz")
    done = run_here("segment", flair, "--out", tmp_path, "--model", model, "--json")
    measurements = json.loads(done.stdout)
    assert "series_instance_uid" not in measurements
    assert measurements["input_name"] == "flair.nii.gz"
    mask, source = nibabel.load(tmp_path / "wmh.nii.gz"), nibabel.load(flair)
    assert mask.shape == source.shape
    assert np.allclose(mask.affine, source.affine)
    voxel_ml = abs(np.linalg.det(source.affine[:3, :3])) / 1000
    assert np.asarray(mask.dataobj).sum() * voxel_ml == pytest.approx(measurements["wmh_volume_ml"], rel=1e-3)
    assert (tmp_path / "overlay.png").exists()
    assert not (tmp_path / "seg.dcm").exists()


@pytest.mark.slow
def test_not_a_flair_is_exit_3(model: Path, tmp_path: Path) -> None:
    """A series that is no FLAIR ends with exit 3 and the reason on stderr; nothing is written."""
    folder = tmp_path / "in"
    folder.mkdir()
    shutil.copy(next(shared_data("dicom", "dcm_qa_ts").rglob("*.dcm")), folder)
    done = run_here("segment", folder, "--out", tmp_path / "out", "--model", model, code=3)
    assert "not analysable" in done.stderr
    assert not (tmp_path / "out" / "seg.dcm").exists()


def test_empty_folder_is_exit_3(model: Path, tmp_path: Path) -> None:
    """A folder without DICOM is not analysable, and that is said."""
    (tmp_path / "in").mkdir()
    done = run_here("segment", tmp_path / "in", "--out", tmp_path / "out", "--model", model, code=3)
    assert "No DICOM" in done.stderr


def test_a_damaged_nifti_is_exit_3(model: Path, tmp_path: Path) -> None:
    """A file that only claims to be NIfTI is not analysable."""
    (tmp_path / "x.nii.gz").write_bytes(b"no")
    done = run_here("segment", tmp_path / "x.nii.gz", "--out", tmp_path / "out", "--model", model, code=3)
    assert "NIfTI" in done.stderr


def test_a_missing_path_is_a_usage_error(tmp_path: Path) -> None:
    """A path that does not exist ends with exit 2."""
    run_here("segment", tmp_path / "absent", "--out", tmp_path / "out", code=2)


@pytest.mark.slow
def test_series_of_two_studies_go_to_folders_of_their_own(series: list[Path], model: Path, tmp_path: Path) -> None:
    """Each study's FLAIR is analysed into a folder named by its UID; `--series` takes one, into the folder itself."""
    folder = tmp_path / "in"
    shutil.copytree(series[0].parent, folder / "one")
    other = phantom_files(PhantomSpec(slices=12, matrix=128, seed=2), folder / "two")
    wanted = str(pydicom.dcmread(other[0], stop_before_pixels=True).SeriesInstanceUID)
    done = run_here("segment", folder, "--out", tmp_path / "each", "--model", model, "--json")
    found = {entry["series_instance_uid"] for entry in json.loads(done.stdout)}
    assert found == {path.name for path in (tmp_path / "each").iterdir() if path.is_dir()}
    assert (tmp_path / "each" / "contact-sheet.html").is_file()
    rows = [*csv.DictReader((tmp_path / "each" / "results.csv").open())]
    assert {row["series_instance_uid"] for row in rows} == found
    assert len(found) == 2
    assert all((tmp_path / "each" / uid / "seg.dcm").exists() for uid in found)
    done = run_here("segment", folder, "--series", wanted, "--out", tmp_path / "out", "--model", model, "--json")
    assert json.loads(done.stdout)["series_instance_uid"] == wanted
    assert (tmp_path / "out" / "seg.dcm").exists()


@pytest.mark.slow
def test_a_lost_slice_is_said(series: list[Path], model: Path, tmp_path: Path) -> None:
    """A file of the folder that is cut off may be a slice: a warning names it, and the result is flagged."""
    folder = tmp_path / "in"
    shutil.copytree(series[0].parent, folder)
    last = folder / series[-1].name
    last.write_bytes(last.read_bytes()[:700])
    (folder / "._im.dcm").write_bytes(b"\0\5\x16\7" + bytes(200))
    done = run_here("segment", folder, "--out", tmp_path / "out", "--model", model, "--json")
    assert "unreadable_files_beside" in json.loads(done.stdout)["flags"]
    assert last.name in done.stderr
    assert "._im" not in done.stderr
