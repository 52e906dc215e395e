"""The phantom as DICOM: valid objects that read back exactly, with the truth beside them."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest
from support.peers import peer

from dicom_node.demo.phantom.phantom import Phantom, PhantomSpec, make_phantom
from dicom_node.demo.phantom.writing import write_phantom_series
from dicom_node.node.errors import ConfigurationError
from dicom_node.series.read.series import read_series

pytestmark = pytest.mark.slow

_SPEC = {"slices": 12, "matrix": 96, "oblique_degrees": 10.0, "seed": 4}


@pytest.fixture(scope="module", params=[False, True], ids=["classic", "enhanced"])
def written(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Phantom, Path, list[Path]]:
    """A phantom on disk, as classic and as Enhanced MR."""
    phantom = make_phantom(PhantomSpec(enhanced=request.param, **_SPEC))
    folder = tmp_path_factory.mktemp("phantom")
    return phantom, folder, write_phantom_series(phantom, folder)


def test_it_reads_back_exactly(written: tuple[Phantom, Path, list[Path]]) -> None:
    """Voxels, affine and spacing survive the way through DICOM."""
    phantom, _, files = written
    series = read_series(files)
    np.testing.assert_array_equal(series.voxels, phantom.flair)
    np.testing.assert_allclose(series.affine, phantom.affine, atol=1e-6)
    np.testing.assert_allclose(series.spacing_mm, phantom.spec.spacing_mm, rtol=1e-6)
    assert set(series.flags) == {"oblique"}


def test_the_truth_lies_on_the_same_grid(written: tuple[Phantom, Path, list[Path]]) -> None:
    """truth.nii.gz has the mask with its RAS affine; truth.json names the series, the volume and the seed."""
    phantom, folder, files = written
    image = nibabel.load(folder / "truth.nii.gz")
    np.testing.assert_array_equal(np.asarray(image.dataobj).transpose(2, 1, 0), phantom.wmh)
    np.testing.assert_allclose(np.diag([-1.0, -1.0, 1.0, 1.0]) @ image.affine, phantom.affine, atol=1e-4)
    truth = json.loads((folder / "truth.json").read_text())
    assert truth["series_instance_uid"] == pydicom.dcmread(files[0]).SeriesInstanceUID
    assert truth["wmh_volume_ml"] == pytest.approx(phantom.truth_ml)
    assert truth["lesion_count"] == phantom.lesion_count
    ventricles = nibabel.load(folder / "ventricles.nii.gz")
    np.testing.assert_array_equal(np.asarray(ventricles.dataobj).transpose(2, 1, 0), phantom.ventricles)
    np.testing.assert_array_equal(ventricles.affine, image.affine)
    assert truth["ventricle_volume_ml"] == pytest.approx(phantom.ventricles.sum() * np.prod(truth["spacing_mm"]) / 1000)
    assert truth["periventricular_volume_ml"] > truth["deep_volume_ml"] > 0
    parts = truth["periventricular_volume_ml"] + truth["deep_volume_ml"]
    assert parts == pytest.approx(truth["wmh_volume_ml"])
    assert truth["seed"] == 4
    assert truth["spacing_mm"] == pytest.approx(list(phantom.spec.spacing_mm))


@pytest.mark.peer("dciodvfy")
def test_dciodvfy_finds_no_error(written: tuple[Phantom, Path, list[Path]]) -> None:
    """The objects are valid MR Image and Enhanced MR Image instances."""
    _, _, files = written
    for path in (files[0], files[-1]):
        found = subprocess.run([peer("dciodvfy"), path], capture_output=True, text=True, check=False)
        assert "Error" not in found.stdout + found.stderr


def test_the_same_spec_gives_the_same_files(written: tuple[Phantom, Path, list[Path]], tmp_path: Path) -> None:
    """Written again, every byte is the same; another seed gives other UIDs."""
    phantom, _, files = written
    again = write_phantom_series(phantom, tmp_path)
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in files]
    other = write_phantom_series(make_phantom(PhantomSpec(slices=8, matrix=64)), tmp_path / "other")
    assert pydicom.dcmread(other[0]).SeriesInstanceUID != pydicom.dcmread(files[0]).SeriesInstanceUID
    assert pydicom.dcmread(files[0]).PatientName == "PHANTOM^WMH"


def test_the_command_writes_the_series(tmp_path: Path) -> None:
    """`wmh-node phantom --json` prints the truth, and writes a series that reads."""
    from support.node import run_here

    answer = run_here("phantom", "--out", str(tmp_path), "--slices", "8", "--matrix", "64", "--wmh-ml", "9", "--json")
    truth = json.loads(answer.stdout)
    assert truth["wmh_volume_ml"] == pytest.approx(9.0, abs=0.2)
    assert len(read_series(sorted(tmp_path.glob("*.dcm"))).frames) == 8


def test_the_command_refuses_bad_values(tmp_path: Path) -> None:
    """A value out of range is a usage error that names the value."""
    from support.node import run_here

    assert "slices" in run_here("phantom", "--out", str(tmp_path), "--slices", "1", code=2).stderr


def test_two_visits_of_one_patient(tmp_path: Path) -> None:
    """A date moves the head and draws new noise; PatientID is the one given; UIDs differ, and without a date stay."""
    spec = PhantomSpec(matrix=64, slices=6, wmh_ml=10)
    visits = [replace(spec, patient="P-1", date=date) for date in ("2024-03-01", "2025-03-02")]
    first, second = (make_phantom(visit) for visit in visits)
    assert not np.array_equal(first.flair, second.flair)
    assert first.truth_ml == pytest.approx(second.truth_ml, rel=0.1)
    assert np.array_equal(make_phantom(visits[0]).flair, first.flair)
    headers = [
        pydicom.dcmread(write_phantom_series(visit, tmp_path / visit.spec.date)[0], stop_before_pixels=True)
        for visit in (first, second)
    ]
    assert [header.PatientID for header in headers] == ["P-1", "P-1"]
    assert [header.AcquisitionDateTime[:8] for header in headers] == ["20240301", "20250302"]
    assert headers[0].StudyInstanceUID != headers[1].StudyInstanceUID
    for wrong in ({"date": "2024-13-01"}, {"patient": "A^B"}, {"patient": "x" * 65}):
        with pytest.raises(ConfigurationError):
            replace(spec, **wrong)
