"""Labelled cases on disk: a folder per case, every fault found before any epoch is spent.

    DATA/patients.csv                     optional, see `training.data.cohort`
    DATA/<case>/flair.nii.gz              the FLAIR volume
    DATA/<case>/wmh.nii.gz                manual mask of WMH, zeros and ones, on the FLAIR's grid
    DATA/<case>/ventricles.nii.gz         optional, same grid
    DATA/<case>/brain_mask.nii.gz         optional, same grid
    DATA/<case>/ignore.nii.gz             optional, same grid: voxels of which the masks say nothing
    DATA/<case>/raters/<name>.nii.gz      optional: WMH by other raters

A case without any lesion is a good case: it is counted, trained on, and scored by the rule of `training.dice`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from segmentation.errors import SegmentationError
from segmentation.nifti import NiftiGrid, read_flair_nifti, read_mask_nifti
from segmentation.volume import FlairVolume
from training.data.case_facts import CaseFacts, Target
from training.data.cohort import FILE_NAME, Clinical, PatientRow, Split, read_patients
from training.data.facts_index import FactsIndex, states_of
from training.errors import BadCase, BadCohort

Mask = NDArray[np.bool_]

FLAIR_NAME: Final = "flair.nii.gz"
WMH_NAME: Final = "wmh.nii.gz"
VENTRICLES_NAME: Final = "ventricles.nii.gz"
BRAIN_NAME: Final = "brain_mask.nii.gz"
IGNORE_NAME: Final = "ignore.nii.gz"
RATERS_FOLDER: Final = "raters"
# The same in DICOM, which the command line turns into NIfTI before it comes here.
DICOM_NAMES: Final = ("flair", "wmh.dcm")

_NIFTI: Final = ".nii.gz"


class Case(Protocol):
    """A labelled case, in memory (`LabelledCase`) or on disk (`CaseOnDisk`): what a plan needs to know of it.

    The attributes are those of `LabelledCase`.
    """

    @property
    def name(self) -> str:
        """The case folder's name."""

    @property
    def patient(self) -> str:
        """Cases of one patient are never on two sides of a split."""

    @property
    def site(self) -> str:
        """Blank when unknown."""

    @property
    def split(self) -> Split:
        """Blank when not drawn yet."""

    @property
    def clinical(self) -> Clinical:
        """What else patients.csv says."""

    @property
    def facts(self) -> CaseFacts:
        """What is known without the voxels."""

    @property
    def wmh_ml(self) -> float:
        """Manual WMH volume."""

    def load(self) -> LabelledCase:
        """The case with its voxels.

        Raises:
            BadCase: it can no longer be read, or is another one than when its facts were written down.
        """


@dataclass(frozen=True)
class LabelledCase:
    """A FLAIR volume with its manual masks.

    Attributes:
        name: the case folder's name.
        patient: cases with one value are never on two sides of a split.
        wmh: bool (slice, row, column) on the volume's grid.
        brain: the same, where a brain mask was given.
        ventricles: the same, where the ventricles were drawn.
        ignore: the same, voxels that count in no score, see `training.data.ignored`.
        site: where it was scanned; "" when unknown.
        split: its part of the split; "": not drawn yet.
        clinical: what else patients.csv says, numbers as numbers.
        raters: WMH by other raters, name -> mask on the same grid.

    Raises:
        BadCase: a mask of another shape than the volume.
    """

    name: str
    patient: str
    volume: FlairVolume
    wmh: Mask
    brain: Mask | None = None
    ventricles: Mask | None = None
    ignore: Mask | None = None
    site: str = ""
    split: Split = ""
    clinical: Clinical = field(default_factory=dict)
    raters: Mapping[str, Mask] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """A mask on another grid would train on the wrong voxels."""
        for label, mask in self._masks().items():
            if mask.shape != self.volume.voxels.shape:
                raise BadCase(
                    f"{self.name}: expected the {label} mask's shape {self.volume.voxels.shape}, got {mask.shape}"
                )

    @property
    def wmh_ml(self) -> float:
        """Manual WMH volume."""
        return float(self.wmh.sum()) * self.volume.voxel_volume_ml

    @cached_property
    def facts(self) -> CaseFacts:
        """What is known without the voxels."""
        return CaseFacts.of(self.volume, self._masks())

    def _masks(self) -> dict[str, Mask]:
        masks = {"wmh": self.wmh, "brain": self.brain, "ventricles": self.ventricles, "ignore": self.ignore}
        drawn = {name: mask for name, mask in masks.items() if mask is not None}
        return drawn | {f"rater {name}": mask for name, mask in self.raters.items()}

    def load(self) -> LabelledCase:
        """Itself: it is in memory already."""
        return self

    def label(self, target: Target) -> Mask:
        """The mask that a network of this target learns, bool (slice, row, column).

        Raises:
            BadCase: the ventricles were not drawn in this case.
        """
        if target == "wmh":
            return self.wmh
        if self.ventricles is None:
            raise _no_ventricles(self.name)
        return self.ventricles


@dataclass(frozen=True)
class CaseOnDisk:
    """A case whose voxels are read when they are needed, and checked against the facts.

    Attributes:
        read: reads it.
        facts: what was found when it was read first.
        others: as those of `LabelledCase`.
    """

    name: str
    patient: str
    read: Callable[[], LabelledCase] = field(repr=False)
    facts: CaseFacts
    site: str = ""
    split: Split = ""
    clinical: Clinical = field(default_factory=dict)

    @property
    def wmh_ml(self) -> float:
        """Manual WMH volume."""
        return self.facts.wmh_ml

    def load(self) -> LabelledCase:
        """Read it.

        Raises:
            BadCase: it can no longer be read, or its image or masks changed.
        """
        try:
            found = self.read()
        except OSError as error:
            raise BadCase(
                f"{self.name}: it can no longer be read ({error.strerror or error}); put its files back and run the "
                "same command again"
            ) from error
        if found.facts.digest != self.facts.digest:
            raise BadCase(f"{self.name}: its image or masks changed since this command began: run it again")
        return replace(found, patient=self.patient, site=self.site, split=self.split, clinical=self.clinical)


def is_marked(case: Case, target: Target) -> bool:
    """Whether the mask that a network of this target learns has any voxel.

    Raises:
        BadCase: the ventricles were not drawn in this case.
    """
    if target not in case.facts.marked:
        raise _no_ventricles(case.name)
    return case.facts.marked[target]


def open_cases(
    folder: Path, patients_csv: Path | None, known: FactsIndex, progress: Callable[[int, int], None] | None = None
) -> tuple[CaseOnDisk, ...]:
    """As `load_cases`, one case in memory at a time: each is read once, found fit for use, and let go.

    Args:
        folder: holds one folder a case.
        patients_csv: see `load_cases`.
        known: facts of an earlier call: a case whose files are the same since is not read again. The caller saves it.
        progress: called with (cases done, cases in all).

    Raises:
        BadCohort, BadCase: see `load_cases`.
    """
    rows = _rows(folder, patients_csv)
    found = []
    for done, (path, row) in enumerate(rows):
        if progress:
            progress(done, len(rows))
        read = partial(_load_case, path, row)
        found.append(open_case(path, row, read, known))
    if progress:
        progress(len(rows), len(rows))
    return tuple(found)


def open_case(path: Path, row: PatientRow, read: Callable[[], LabelledCase], known: FactsIndex) -> CaseOnDisk:
    """One case, by its facts; read where these are not known.

    Args:
        path: its file or folder, which shows whether it changed.
        row: whose it is.
        read: reads it.
        known: the facts of others, which get these too.

    Raises:
        BadCase: see `load_cases`.
        NotSaved: what is known could not be written.
    """
    facts = known.facts_of(path)
    if facts is None:
        states = states_of(path)
        facts = read().facts
        known.add(path, facts, states)
    return CaseOnDisk(row.case, row.patient, read, facts, row.site, row.split, row.clinical)


def load_cases(folder: Path, patients_csv: Path | None = None) -> tuple[LabelledCase, ...]:
    """Read every case folder, sorted by name, and what patients.csv says of it.

    Args:
        folder: holds one folder a case.
        patients_csv: default: `folder`/patients.csv if it is there, else each folder is a patient of its own.

    Raises:
        BadCohort: no case at all; patients.csv cannot be read, names a case that is not there, or misses one that is.
        BadCase: a case that cannot be used; names it.
    """
    return tuple(_load_case(path, row) for path, row in _rows(folder, patients_csv))


def _rows(folder: Path, patients_csv: Path | None) -> list[tuple[Path, PatientRow]]:
    """Each case folder with its row of patients.csv, by name."""
    folders = _case_folders(folder)
    if patients_csv is None and (folder / FILE_NAME).exists():
        patients_csv = folder / FILE_NAME
    if patients_csv is None:
        return [(path, PatientRow(path.name, path.name)) for path in folders]
    rows = read_patients(patients_csv)
    _refuse_mismatch(patients_csv.name, set(rows), {path.name for path in folders})
    return [(path, rows[path.name]) for path in folders]


def _no_ventricles(name: str) -> BadCase:
    return BadCase(f"{name}: expected {VENTRICLES_NAME} to train on ventricles, found none")


def _case_folders(folder: Path) -> list[Path]:
    """Sub-folders with anything of a case in them; others (notes, run folders) are none of ours."""
    if not folder.is_dir():
        raise BadCohort(f"expected a folder of cases, found no folder {folder.name}/")
    found = []
    for path in sorted(folder.iterdir()):
        if not path.is_dir() or path.name.startswith("."):
            continue
        if not any(path.iterdir()):
            raise BadCase(f"{path.name}: the case folder is empty; expected {FLAIR_NAME} and {WMH_NAME}")
        if any((path / name).exists() for name in (FLAIR_NAME, WMH_NAME, *DICOM_NAMES)):
            found.append(path)
        elif images := sorted(image.name for image in path.glob("*.nii*")):
            raise BadCase(f"{path.name}: expected {FLAIR_NAME} and {WMH_NAME}, found {', '.join(images)}")
    if not found:
        raise BadCohort(
            f"expected sub-folders with {FLAIR_NAME} and {WMH_NAME} (or {' and '.join(DICOM_NAMES)}), found none in "
            f"{folder.name}/"
        )
    return found


def _refuse_mismatch(table: str, listed: set[str], there: set[str]) -> None:
    if missing := sorted(listed - there):
        raise BadCohort(f"{table}: names cases that do not exist: {', '.join(missing)}")
    if unlisted := sorted(there - listed):
        # Taken as patients of their own, they might be another scan of a patient on the other side.
        raise BadCohort(f"{table}: expected a row for every case, found none for {', '.join(unlisted)}")


def _load_case(folder: Path, row: PatientRow) -> LabelledCase:
    for name in (FLAIR_NAME, WMH_NAME):
        if not (folder / name).exists():
            raise BadCase(f"{folder.name}: expected {name}, found {', '.join(_names(folder))}")
    try:
        volume, grid = read_flair_nifti(folder / FLAIR_NAME)
        if volume.voxels.max() <= 0:
            raise BadCase(f"{folder.name}: expected an image in {FLAIR_NAME}, got one without any signal")
        return LabelledCase(
            name=folder.name,
            patient=row.patient,
            volume=volume,
            wmh=read_mask_nifti(folder / WMH_NAME, grid),
            brain=_optional_mask(folder / BRAIN_NAME, grid),
            ventricles=_optional_mask(folder / VENTRICLES_NAME, grid),
            ignore=_optional_mask(folder / IGNORE_NAME, grid),
            site=row.site,
            split=row.split,
            clinical=row.clinical,
            raters={
                path.name.removesuffix(_NIFTI): read_mask_nifti(path, grid)
                for path in sorted((folder / RATERS_FOLDER).glob(f"*{_NIFTI}"))
            },
        )
    except SegmentationError as error:
        raise BadCase(f"{folder.name}: {error}") from error


def _optional_mask(path: Path, grid: NiftiGrid) -> Mask | None:
    return read_mask_nifti(path, grid) if path.exists() else None


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())
