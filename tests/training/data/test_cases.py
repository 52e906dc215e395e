"""Case folders: what is read, and every fault named before any epoch."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from support.labelled_cases import AFFINE, labelled_case, write_case, write_cohort, write_nifti

from training.data.cases import load_cases
from training.errors import BadCase, BadCohort


def test_everything_of_a_case_is_read(tmp_path: Path) -> None:
    """Masks, raters and the row of patients.csv arrive with the case."""
    case = labelled_case("c1")
    folder = write_case(tmp_path, case)
    (folder / "raters").mkdir()
    write_nifti(folder / "raters" / "kim.nii.gz", ~case.wmh)
    (tmp_path / "patients.csv").write_text("case,patient,site,split,age\nc1,p,Seoul,external,66\n")
    (read,) = load_cases(tmp_path)
    np.testing.assert_array_equal(read.volume.voxels, case.volume.voxels)
    for name in ("wmh", "brain", "ventricles"):
        np.testing.assert_array_equal(getattr(read, name), getattr(case, name))
    np.testing.assert_array_equal(read.raters["kim"], ~case.wmh)
    assert (read.patient, read.site, read.split, read.clinical) == ("p", "Seoul", "external", {"age": 66.0})


def test_no_patients_csv(tmp_path: Path) -> None:
    """Each folder is then its own patient, and nothing of the split is decided; other folders are not cases."""
    write_cohort(tmp_path, 2)
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "readme.txt").write_text("not a case")
    assert [(case.name, case.patient, case.split) for case in load_cases(tmp_path)] == [
        ("p0", "p0", ""),
        ("p1", "p1", ""),
    ]


def _nan(folder: Path) -> None:
    voxels = labelled_case("p0").volume.voxels.copy()
    voxels[1, 3, 3] = np.nan
    write_nifti(folder / "flair.nii.gz", voxels)


def _other_affine(folder: Path) -> None:
    moved = AFFINE.copy()
    moved[0, 3] = 2
    write_nifti(folder / "wmh.nii.gz", labelled_case("p0").wmh, moved)


def _cut_gzip(folder: Path) -> None:
    path = folder / "flair.nii.gz"
    path.write_bytes(path.read_bytes()[:2000])


def _corrupt_deflate(folder: Path) -> None:
    path = folder / "wmh.nii.gz"
    path.write_bytes(path.read_bytes()[:12] + b"\xff" * 40)


def _no_nifti_in_gzip(folder: Path) -> None:
    (folder / "wmh.nii.gz").write_bytes(gzip.compress(b"not an image" * 100))


def _singular_affine(folder: Path) -> None:
    path = folder / "flair.nii.gz"
    header = bytearray(gzip.decompress(path.read_bytes()))
    header[296:312] = bytes(16)  # srow_y of the NIfTI-1 header: the rows lie in one place
    path.write_bytes(gzip.compress(bytes(header)))


@pytest.mark.parametrize(
    ("break_it", "words"),
    [
        (_nan, "finite values, got NaN"),
        (_other_affine, "grid.*another affine"),
        (lambda f: write_nifti(f / "wmh.nii.gz", np.zeros((3, 32, 31), bool)), "expected the FLAIR's grid"),
        (lambda f: write_nifti(f / "wmh.nii.gz", np.full((3, 32, 32), 2, np.uint8)), "values 0 and 1, got"),
        (
            lambda f: write_nifti(f / "ventricles.nii.gz", np.full((3, 32, 32), 4, np.uint8)),
            "ventricles.*values 0 and 1",
        ),
        (lambda f: (f / "wmh.nii.gz").unlink(), "expected wmh.nii.gz"),
        (lambda f: (f / "flair.nii.gz").unlink(), "expected flair.nii.gz"),
        (_cut_gzip, "readable NIfTI"),
        (_corrupt_deflate, "readable NIfTI"),
        (_no_nifti_in_gzip, "readable NIfTI"),
        (_singular_affine, "affine that can be inverted"),
        (lambda f: [path.unlink() for path in f.iterdir()], "the case folder is empty"),
        (lambda f: write_nifti(f / "flair.nii.gz", np.zeros((3, 32, 32), np.float32)), "without any signal"),
        (lambda f: [path.rename(path.with_name(f"x-{path.name}")) for path in f.iterdir()], "found x-"),
    ],
)
def test_a_bad_case_is_named(tmp_path: Path, break_it, words: str) -> None:
    """Whatever is wrong with one of many cases, the error begins with its name."""
    write_cohort(tmp_path, 2)
    break_it(tmp_path / "p1")
    with pytest.raises(BadCase, match=rf"^p1: .*({words})"):
        load_cases(tmp_path)


def test_no_cases(tmp_path: Path) -> None:
    """An empty folder and a missing one are clear errors."""
    with pytest.raises(BadCohort, match="found none"):
        load_cases(tmp_path)
    with pytest.raises(BadCohort, match="no folder"):
        load_cases(tmp_path / "nowhere")


def test_table_and_folders_must_agree(tmp_path: Path) -> None:
    """A row without a folder and a folder without a row are both errors: either could part one patient's scans."""
    write_cohort(tmp_path, 2)
    table = tmp_path / "other.csv"
    table.write_text("patient,site,split\np0,,\np1,,\np2,,\n")
    with pytest.raises(BadCohort, match="names cases that do not exist: p2"):
        load_cases(tmp_path, table)
    table.write_text("patient,site,split\np0,,\n")
    with pytest.raises(BadCohort, match="none for p1"):
        load_cases(tmp_path, table)
