"""Labelled cases on disk: a folder per case, and which cases are one patient."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from segmentation.errors import SegmentationError
from segmentation.nifti import read_flair_nifti, read_mask_nifti
from segmentation.volume import FlairVolume
from training.errors import BadCase, BadCohort


@dataclass(frozen=True)
class LabelledCase:
    """A FLAIR volume with its manual WMH mask.

    Attributes:
        name: the case folder's name.
        patient: cases with one value are never on two sides of a split.
        wmh: bool (slice, row, column) on the volume's grid.
        brain: the same, where a brain mask was given.
    """

    name: str
    patient: str
    volume: FlairVolume
    wmh: NDArray[np.bool_]
    brain: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        """A mask on another grid would train on the wrong voxels."""
        for label, mask in (("wmh", self.wmh), ("brain", self.brain)):
            if mask is not None and mask.shape != self.volume.voxels.shape:
                raise BadCase(
                    f"{self.name}: expected the {label} mask's shape {self.volume.voxels.shape}, got {mask.shape}"
                )

    @property
    def wmh_ml(self) -> float:
        """Manual WMH volume."""
        return float(self.wmh.sum()) * self.volume.voxel_volume_ml


def load_cases(folder: Path, patients_csv: Path | None = None) -> tuple[LabelledCase, ...]:
    """Read every sub-folder that holds `flair.nii.gz` and `wmh.nii.gz`, sorted by name.

    `patients_csv` has the columns `case,patient`; a case that it does not name is a patient of its own.

    Raises:
        BadCohort: no case, or a CSV without its columns.
        BadCase: a mask on another grid or with other values than 0 and 1.
    """
    patients = _patients(patients_csv) if patients_csv else {}
    folders = sorted(path.parent for path in folder.glob("*/flair.nii.gz"))
    if not folders:
        raise BadCohort(f"expected sub-folders with flair.nii.gz and wmh.nii.gz, found none in {folder.name}/")
    unknown = sorted(set(patients) - {path.name for path in folders})
    if unknown:
        raise BadCohort(f"{patients_csv and patients_csv.name}: names cases that are not there: {', '.join(unknown)}")
    return tuple(_load_case(path, patients.get(path.name, path.name)) for path in folders)


def _load_case(folder: Path, patient: str) -> LabelledCase:
    mask = folder / "wmh.nii.gz"
    if not mask.exists():
        raise BadCase(f"{folder.name}: expected wmh.nii.gz beside flair.nii.gz")
    brain = folder / "brain_mask.nii.gz"
    try:
        volume, grid = read_flair_nifti(folder / "flair.nii.gz")
        return LabelledCase(
            folder.name,
            patient,
            volume,
            read_mask_nifti(mask, grid),
            read_mask_nifti(brain, grid) if brain.exists() else None,
        )
    except SegmentationError as error:
        raise BadCase(f"{folder.name}: {error}") from error


def _patients(path: Path) -> dict[str, str]:
    with path.open(newline="", encoding="utf-8") as lines:
        reader = csv.DictReader(lines)
        missing = {"case", "patient"} - set(reader.fieldnames or ())
        if missing:
            raise BadCohort(f"{path.name}: expected the columns case and patient, missing {', '.join(sorted(missing))}")
        rows = [(row["case"], row["patient"]) for row in reader]
    if len({case for case, _ in rows}) < len(rows):
        raise BadCohort(f"{path.name}: a case is listed twice")
    return dict(rows)
