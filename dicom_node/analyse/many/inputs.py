"""What there is to analyse under the paths that a user gives: DICOM, DICOMDIRs, BIDS trees, NIfTI files, lists."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from dicom_node.node.errors import NotAnalysable, NotFlair, UnreadableObject
from dicom_node.series.dicom.dicomdir import NAME as DICOMDIR
from dicom_node.series.dicom.dicomdir import files_of_dicomdir
from dicom_node.series.dicom.folder import SeriesFiles, find_series, group_by_study, looks_like_dicom, lost_beside
from dicom_node.series.geometry.planning import Planning, are_images_beside, missing_at_ends
from dicom_node.series.rules.flair import classify_series
from dicom_node.series.rules.selection import select_series
from dicom_node.series.rules.study import planning_of_headers

NIFTI_ENDINGS: Final = (".nii", ".nii.gz")
LIST_ENDINGS: Final = (".txt",)
# BIDS 1.10, MRI: `sub-<label>[_ses-<label>]..._FLAIR.nii[.gz]` in `anat`.
_BIDS_FLAIR: Final = re.compile(r"sub-[0-9A-Za-z]+(_[0-9A-Za-z]+-[0-9A-Za-z]+)*_FLAIR\.nii(\.gz)?")
_BIDS_DESCRIPTION: Final = "dataset_description.json"
# NIfTI beside a FLAIR that carries its name and is none.
_NO_SCAN: Final = re.compile(r"(^|[_.-])(mask|seg|dseg|probseg|label|labels|lesion|lesions|roi|wmh)([_.-]|$)", re.I)
_UNSAFE: Final = re.compile(r"[^0-9A-Za-z._-]+")
_LONGEST_NAME: Final = 120


@dataclass(frozen=True)
class InputSeries:
    """One series to analyse.

    Attributes:
        name: its folder among the results; unique, and safe as a file name.
        source: the file, or the folder that holds its files, under the path that the user gave.
        files: of DICOM in any order; of NIfTI the one.
        series_instance_uid: None for NIfTI.
        lost: unreadable files beside it that may be slices of it.
        is_shorter: another series of the study goes on beyond an end of it, see `series.geometry.planning`.
        has_echoes: what it lacks of the images that the scanner announced are echoes in other series, see there.
    """

    name: str
    source: Path
    files: tuple[Path, ...]
    series_instance_uid: str | None = None
    lost: tuple[Path, ...] = ()
    is_shorter: bool = False
    has_echoes: bool = False

    @property
    def is_nifti(self) -> bool:
        """NIfTI, not DICOM."""
        return self.series_instance_uid is None


@dataclass(frozen=True)
class RefusedInput:
    """Something under the paths that cannot be analysed, found before any voxel was read.

    Attributes:
        source: where it lies.
        error: why.
    """

    source: Path
    error: NotAnalysable


@dataclass
class FoundInputs:
    """What the paths hold.

    Attributes:
        series: to analyse, each with a name of its own.
        refused: what cannot be analysed.
        skipped: FLAIR series for which their study has a better one, as sentences.
    """

    series: list[InputSeries] = field(default_factory=list)
    refused: list[RefusedInput] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)


def find_inputs(paths: Sequence[Path], wanted: str | None = None) -> FoundInputs:
    """Find every series under the paths; nothing is decoded yet.

    - A NIfTI file is one series. A `.txt` file is a list: one path a line, relative to the list's folder.
    - A DICOMDIR stands for the files that it names.
    - A folder with `dataset_description.json`, or with `sub-*` folders that have `anat`, is BIDS: its `*_FLAIR` files.
    - Any other folder: the best FLAIR of each study in DICOM, and NIfTI files with FLAIR in their names.

    Args:
        paths: what the user gave.
        wanted: only the DICOM series with this SeriesInstanceUID, whether its study has a better one or not.
    """
    found = FoundInputs()
    dicom: list[Path] = []
    for path in _listed(paths):
        if not path.exists():
            found.refused.append(RefusedInput(path, UnreadableObject("missing", "The path does not exist.")))
        elif path.name.endswith(NIFTI_ENDINGS):
            found.series.append(_nifti(path))
        elif path.is_file() and path.name.upper() == DICOMDIR:
            try:
                dicom += files_of_dicomdir(path)
            except UnreadableObject as error:
                found.refused.append(RefusedInput(path, error))
        elif path.is_dir():
            nifti = _nifti_below(path)
            found.series += map(_nifti, nifti)
            if is_bids(path):
                if not nifti:
                    why = "The BIDS tree has no *_FLAIR.nii or *_FLAIR.nii.gz in a subject's anat folder."
                    found.refused.append(RefusedInput(path, UnreadableObject("missing", why)))
            elif not _only(path, nifti):
                dicom.append(path)
        else:
            dicom.append(path)
    if dicom:
        _find_dicom(dicom, wanted, found)
    if wanted is None and not found.series and not found.refused:
        empty = UnreadableObject("missing", "There is nothing to analyse: the list is empty.")
        found.refused += [RefusedInput(path, empty) for path in paths]
    # A file that is given, and lies in a folder that is given, is one series.
    found.series = _named(list({tuple(map(Path.absolute, input_.files)): input_ for input_ in found.series}.values()))
    return found


def is_bids(folder: Path) -> bool:
    """Whether a folder is the root of a BIDS data set."""
    if (folder / _BIDS_DESCRIPTION).is_file():
        return True
    return any(next(folder.glob(pattern), None) is not None for pattern in ("sub-*/anat", "sub-*/ses-*/anat"))


def _listed(paths: Sequence[Path]) -> Iterator[Path]:
    """The paths, with those in lists in the place of the list; each once."""
    seen = set()
    for path in paths:
        lines: list[Path] = [path]
        if path.name.endswith(LIST_ENDINGS) and path.is_file():
            text = path.read_text(encoding="utf-8-sig", errors="surrogateescape")
            lines = [path.parent / line.strip() for line in text.splitlines() if line.strip()]
        for line in lines:
            if (key := line.absolute()) not in seen:
                seen.add(key)
                yield line


def _nifti_below(folder: Path) -> list[Path]:
    if is_bids(folder):
        subjects = sorted(folder.glob("sub-*"))
        return [
            path
            for subject in subjects
            for path in sorted(subject.rglob("*_FLAIR.nii*"))
            if path.parent.name == "anat" and _BIDS_FLAIR.fullmatch(path.name)
        ]
    return sorted(
        path
        for path in folder.rglob("*.nii*")
        if path.name.endswith(NIFTI_ENDINGS)
        and "flair" in path.name.lower()
        and not path.name.startswith(".")
        and not _NO_SCAN.search(_stem(path))
    )


def _only(folder: Path, nifti: Sequence[Path]) -> bool:
    """Whether a folder with FLAIR in NIfTI holds nothing that could be DICOM."""
    return bool(nifti) and not any(
        path.is_file() and not path.name.endswith((*NIFTI_ENDINGS, ".json", ".tsv", ".txt", ".csv", ".bval", ".bvec"))
        for path in folder.rglob("*")
    )


def _find_dicom(paths: Sequence[Path], wanted: str | None, found: FoundInputs) -> None:
    files = group_by_study(paths)
    alone = len(files.studies) == 1
    for study in files.studies:
        series = find_series(study).series
        if wanted is not None:
            found.series += [
                _dicom(found_series, files.unreadable, series)
                for found_series in series
                if found_series.series_instance_uid == wanted
            ]
            continue
        _choose(series, alone, files.unreadable, found)
    sources = [path for study in files.studies for path in study]
    sources += [*(input_.source for input_ in found.series), *(input_.source for input_ in found.refused)]
    reached = {place for source in sources for place in (source, *source.parents)}
    for given in paths:
        if wanted is None and given not in reached:
            found.refused.append(RefusedInput(given, _nothing_in(given, files.unreadable)))
            reached.update((given, *given.parents))
    all_given = set(paths)
    used = {path.parent for study in files.studies for path in study}
    lost: dict[Path, str] = {}
    for path, reason in files.unreadable:
        given_alone = path in all_given or path.parent in all_given
        if path.parent not in used and not given_alone and looks_like_dicom(path):
            lost.setdefault(path.parent, reason)
    for folder, reason in lost.items():
        error = UnreadableObject("no_dicom", f"No DICOM image series was found in the folder: {reason}")
        found.refused.append(RefusedInput(folder, error))


def _nothing_in(given: Path, unreadable: Sequence[tuple[Path, str]]) -> UnreadableObject:
    reasons = [reason for path, reason in unreadable if path == given or path.is_relative_to(given)]
    why = "; ".join(dict.fromkeys(reasons)) or "the folder is empty"
    hint = ""
    if given.is_dir() and next((path for path in given.rglob("*.nii*")), None) is not None:
        hint = " It holds NIfTI files without FLAIR in their names: give the files themselves, or a list of them."
    return UnreadableObject("no_dicom", f"No DICOM image series was found under {given.name}: {why}{hint}")


def _choose(
    series: Sequence[SeriesFiles], alone: bool, unreadable: Sequence[tuple[Path, str]], found: FoundInputs
) -> None:
    """The best FLAIR of one study; a study that is not alone is refused by its headers where it has none."""
    if len(series) == 1 and not alone:
        verdict = classify_series(series[0].headers)
        if not verdict.accepted:
            error = NotFlair(verdict.code, verdict.reason)
            found.refused.append(RefusedInput(_folder_of(series[0].paths), error))
            return
    try:
        selection = select_series(series)
    except NotAnalysable as error:
        found.refused.append(RefusedInput(_folder_of([path for files in series for path in files.paths]), error))
        return
    found.series += [_dicom(selected, unreadable, series) for selected in selection.chosen]
    found.skipped += [f"skipped: {skipped.series}; analysed: {skipped.better}" for skipped in selection.skipped]


def _dicom(series: SeriesFiles, unreadable: Sequence[tuple[Path, str]], study: Sequence[SeriesFiles]) -> InputSeries:
    own = planning_of_headers(series.headers) if len(study) > 1 else None
    others = [] if own is None else list(_plannings_beside(series, study))
    return InputSeries(
        name=series.series_instance_uid,
        source=_folder_of(series.paths),
        files=series.paths,
        series_instance_uid=series.series_instance_uid,
        lost=lost_beside(series, unreadable),
        is_shorter=own is not None and missing_at_ends(own, others) > 0,
        has_echoes=own is not None and are_images_beside(series.headers, own, others),
    )


def _plannings_beside(series: SeriesFiles, study: Sequence[SeriesFiles]) -> Iterator[Planning]:
    for other in study:
        if other is not series and (planning := planning_of_headers(other.headers)) is not None:
            yield planning


def _nifti(path: Path) -> InputSeries:
    return InputSeries(name=_stem(path), source=path, files=(path,))


def _stem(path: Path) -> str:
    return path.name.removesuffix(".gz").removesuffix(".nii")


def _folder_of(paths: Sequence[Path]) -> Path:
    """The file itself, or the folder that all files are in."""
    return paths[0] if len(paths) == 1 else Path(os.path.commonpath([path.parent for path in paths]))


def _named(series: Sequence[InputSeries]) -> list[InputSeries]:
    """Every series with a name of its own: where names meet, folders above the file are put in front, then a number."""
    names = [_safe(input_.name) for input_ in series]
    for depth in range(1, 4):
        doubled = {name for name, count in Counter(names).items() if count > 1}
        if not doubled:
            break
        names = [
            _safe("_".join([*input_.source.absolute().parts[-1 - depth : -1], input_.name]))
            if name in doubled
            else name
            for input_, name in zip(series, names, strict=True)
        ]
    taken = {"bids", "results.csv", "contact-sheet.html"}  # beside the series' folders
    named = []
    for input_, name in zip(series, names, strict=True):
        unique, number = name, 1
        while unique.lower() in taken:
            number += 1
            unique = f"{name}-{number}"
        taken.add(unique.lower())
        named.append(replace(input_, name=unique))
    return named


def _safe(name: str) -> str:
    return _UNSAFE.sub("_", name).strip("._")[-_LONGEST_NAME:] or "series"
