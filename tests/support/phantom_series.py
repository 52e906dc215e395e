"""A small FLAIR phantom as DICOM (10 slices of 64 x 64), to be spoilt: made once, copied for each test."""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset

from dicom_node.demo.phantom.phantom import Phantom, make_phantom
from dicom_node.demo.phantom.spec import PhantomSpec
from dicom_node.demo.phantom.writing import write_phantom_series


@cache
def _plain(enhanced: bool) -> tuple[Dataset, ...]:
    with TemporaryDirectory() as folder:
        files = write_phantom_series(make_phantom(PhantomSpec(slices=10, matrix=64, enhanced=enhanced)), Path(folder))
        return tuple(dcmread(file) for file in files)


def phantom_series(*, enhanced: bool = False) -> list[Dataset]:
    """Data sets of one series, in slice order, without ImagesInAcquisition."""
    series = [deepcopy(dataset) for dataset in _plain(enhanced)]
    for dataset in series:
        dataset.pop("ImagesInAcquisition", None)
    return series


def without_scalp(phantom: Phantom) -> Phantom:
    """The phantom's brain alone, as after skull stripping: nothing outside it is bright."""
    return replace(phantom, flair=np.where(phantom.brain, phantom.flair, 0).astype(np.float32))


def pixels(one: Dataset) -> NDArray[np.int64]:
    """Stored values (row, column)."""
    return one.pixel_array.astype(np.int64)


def save_series(series: Iterable[Dataset], folder: Path) -> list[Path]:
    """Write each data set as a file; returns them in order."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for number, dataset in enumerate(series, start=1):
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        files.append(folder / f"im{number:03}.dcm")
        dataset.save_as(files[-1], enforce_file_format=True)
    return files
