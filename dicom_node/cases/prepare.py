"""Cases in DICOM to case folders in NIfTI, kept in a cache; cases in NIfTI stay where they are.

| in DATA/<case>/               | becomes                     |
|-------------------------------|-----------------------------|
| flair/ (one FLAIR series)     | flair.nii.gz                |
| wmh.dcm                       | wmh.nii.gz                  |
| ventricles.dcm (optional)     | ventricles.nii.gz           |
| brain_mask.dcm (optional)     | brain_mask.nii.gz           |
| raters/<name>.dcm (optional)  | raters/<name>.nii.gz        |
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Final

import nibabel
import numpy as np
from numpy.typing import NDArray

from dicom_node.cases.case_cache import CaseCache
from dicom_node.cases.seg_mask import BRAIN, VENTRICLES, WMH, SegmentWords, read_seg_mask
from dicom_node.node.errors import BadTrainingCase, NotAnalysable
from dicom_node.node.progress import CountProgress
from dicom_node.series.dicom.folder import find_series
from dicom_node.series.dicom.parsing import file_sha256
from dicom_node.series.read.flair_series import FlairSeries
from dicom_node.series.read.series import read_series
from dicom_node.series.rules.flair import classify_series

FLAIR_FOLDER: Final = "flair"
_FLAIR_NIFTI: Final = "flair.nii.gz"
_WMH_SEG: Final = "wmh.dcm"
_MASKS: Final[dict[str, SegmentWords]] = {_WMH_SEG: WMH, "ventricles.dcm": VENTRICLES, "brain_mask.dcm": BRAIN}
_RATERS: Final = "raters"
_PATIENTS: Final = "patients.csv"
# Counted in with a case's files, so that a change of ours converts again.
_FORMAT: Final = "1"
_LPS_TO_RAS: Final = np.diag([-1.0, -1.0, 1.0, 1.0])


def prepare_cases(data: Path, cache: Path, progress: CountProgress | None = None) -> Path:
    """The folder to read cases from: `data` itself where no case is in DICOM, else `cache`.

    The cache then holds the converted cases, links to those in NIfTI, and a link to patients.csv. A case whose files
    are the same as last time is not converted again.

    Raises:
        ConfigurationError: `cache` holds the data, or other files.
        BadTrainingCase: a case that cannot be converted; the reason begins with its name.
    """
    folders = sorted(path for path in data.iterdir() if path.is_dir() and not path.name.startswith("."))
    in_dicom = [path for path in folders if _is_dicom(path)]
    if not in_dicom:
        return data
    linked = [path for path in folders if path not in in_dicom]
    if (data / _PATIENTS).exists():
        linked.append(data / _PATIENTS)
    ours = CaseCache(cache)
    with ours.opened(data):
        ours.keep_only({path.name for path in (*in_dicom, *linked)})
        for path in linked:
            ours.link(path)
        for done, path in enumerate(in_dicom):
            if progress is not None:
                progress(done, len(in_dicom))
            if not ours.holds(path.name, digest := _digest(path)):
                ours.put(path.name, digest, partial(convert_case, path))
        if progress is not None:
            progress(len(in_dicom), len(in_dicom))
    return cache


def convert_case(case: Path, target: Path) -> None:
    """Write one case in DICOM as a case folder in NIfTI.

    Raises:
        BadTrainingCase: it cannot be read; the reason begins with the case's name.
    """
    try:
        if not (case / _WMH_SEG).exists():
            raise BadTrainingCase("no_wmh", f"expected {_WMH_SEG} (a DICOM segmentation) beside {FLAIR_FOLDER}/")
        series = _read_flair(case / FLAIR_FOLDER)
        target.mkdir(parents=True, exist_ok=True)
        write_nifti(target / _FLAIR_NIFTI, series.voxels, series)
        for source, words in _sources(case):
            name = source.relative_to(case).with_suffix(".nii.gz")
            (target / name).parent.mkdir(exist_ok=True)
            write_nifti(target / name, read_seg_mask(source, series, words).astype(np.uint8), series)
    except NotAnalysable as error:
        raise BadTrainingCase(error.code, f"{case.name}: {error.reason}") from error


def _is_dicom(folder: Path) -> bool:
    has_parts = (folder / FLAIR_FOLDER).is_dir() or (folder / _WMH_SEG).exists()
    return has_parts and not (folder / _FLAIR_NIFTI).exists()


def _sources(case: Path) -> Iterator[tuple[Path, SegmentWords]]:
    for name, words in _MASKS.items():
        if (case / name).exists():
            yield case / name, words
    for path in sorted((case / _RATERS).glob("*.dcm")):
        yield path, WMH


def _read_flair(folder: Path) -> FlairSeries:
    if not folder.is_dir():
        raise BadTrainingCase("no_flair", f"expected a folder {FLAIR_FOLDER}/ with the DICOM series beside {_WMH_SEG}")
    found = find_series([folder])
    if not found.series:
        raise BadTrainingCase("no_dicom", f"expected one FLAIR series in {FLAIR_FOLDER}/, found no DICOM image")
    if len(found.series) == 1:
        return read_series(found.series[0].paths)  # let reading say what is wrong with it
    accepted = [series for series in found.series if classify_series(series.headers).accepted]
    if len(accepted) != 1:
        raise BadTrainingCase(
            "several_series",
            f"expected one FLAIR series in {FLAIR_FOLDER}/, found {len(accepted)} among {len(found.series)} series",
        )
    return read_series(accepted[0].paths)


def _digest(case: Path) -> str:
    digest = hashlib.sha256(_FORMAT.encode())
    for path in sorted(found for found in case.rglob("*") if found.is_file()):
        digest.update(f"{path.relative_to(case)} {file_sha256(path)}\n".encode())
    return digest.hexdigest()


def write_nifti(path: Path, voxels: NDArray[np.float32] | NDArray[np.uint8], series: FlairSeries) -> None:
    """(slice, row, column) in LPS as NIfTI (column, row, slice) in RAS+."""
    image = nibabel.Nifti1Image(np.ascontiguousarray(voxels.transpose(2, 1, 0)), _LPS_TO_RAS @ series.affine)
    nibabel.save(image, path)
