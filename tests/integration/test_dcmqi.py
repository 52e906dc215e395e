"""3D Slicer's dcmqi converts segmentations back to NIfTI, and reads the report."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import distribution
from pathlib import Path

import nibabel
import numpy as np
import pytest
from numpy.typing import NDArray
from support.interop import NAMES, WrittenSet

OnDisk = Callable[[str], WrittenSet]
_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def dcmqi(program: str) -> str:
    """A program of the installed dcmqi, without the Python launcher around it."""
    return str(distribution("dcmqi").locate_file(f"dcmqi/bin/{program}"))


def to_nifti(file: Path, folder: Path) -> list[Path]:
    """segimage2itkimage of one file; the NIfTI files that it gave."""
    prefix = file.stem
    command = [
        dcmqi("segimage2itkimage"), "--inputDICOM", str(file), "--outputDirectory", str(folder), "-t", "nii",
        "-p", prefix,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return sorted(folder.glob(f"{prefix}-[0-9].nii.gz"))


def on_our_grid(file: Path, written: WrittenSet) -> NDArray[np.int64]:
    """A NIfTI's values as (slice, row, column) on the source's grid, after its affine was found to be the source's.

    Where empty frames were left out, dcmqi's volume begins and ends with the frames that are there.
    """
    image = nibabel.load(file)
    values = np.asarray(image.dataobj).transpose(2, 1, 0)
    theirs, ours = _LPS @ image.affine, written.series.affine
    np.testing.assert_allclose(theirs[:3, :3], ours[:3, :3], atol=1e-4)
    begin = round(float((theirs[:3, 3] - ours[:3, 3]) @ ours[:3, 2] / (ours[:3, 2] @ ours[:3, 2])))
    np.testing.assert_allclose(theirs[:3, 3], ours[:3, 3] + begin * ours[:3, 2], atol=1e-3)
    whole = np.zeros(written.series.voxels.shape, np.int64)
    whole[begin : begin + len(values)] = values
    return whole


@pytest.mark.parametrize("name", NAMES)
def test_dcmqi_gives_the_mask_back(name: str, result_set_on_disk: OnDisk, tmp_path: Path) -> None:
    """SEG to NIfTI: identical mask of every segment and identical geometry, in every form."""
    written = result_set_on_disk(name)
    files = [*written.named("seg"), *written.named("regions")]
    with ThreadPoolExecutor(2) as pool:
        converted = list(pool.map(lambda file: to_nifti(file, tmp_path), files))
    for file, images in zip(files, converted, strict=True):
        assert images, file.name
        values = [on_our_grid(image, written) for image in images]
        for number, mask in written.masks_of(file.name).items():
            found = _segment(number, values, occupancy="occupancy" in file.name)
            np.testing.assert_array_equal(found, mask, err_msg=f"{file.name}, segment {number}")


def _segment(number: int, values: list[NDArray[np.int64]], *, occupancy: bool) -> NDArray[np.bool_]:
    """One segment: voxels of its number, in whichever volume; of FRACTIONAL, the full bytes of its own volume."""
    if occupancy:
        return values[number - 1] == 255
    return np.logical_or.reduce([value == number for value in values])


@pytest.mark.parametrize("name", ["axial", "enhanced"])
def test_dcmqi_reads_the_probabilities(name: str, result_set_on_disk: OnDisk, tmp_path: Path) -> None:
    """The FRACTIONAL SEG comes back as the probabilities in 255 steps."""
    written = result_set_on_disk(name)
    (image,) = to_nifti(written.folder / "probability.dcm", tmp_path)
    expected = np.around(written.segmentation.probability * 255)
    np.testing.assert_array_equal(on_our_grid(image, written), expected)


@pytest.mark.parametrize("name", NAMES)
def test_dcmqi_reads_the_report(name: str, result_set_on_disk: OnDisk, tmp_path: Path) -> None:
    """tid1500reader finds each group with its segment, tracking UID and volume."""
    written = result_set_on_disk(name)
    for file in written.named("sr"):
        told = tmp_path / f"{file.stem}.json"
        command = [dcmqi("tid1500reader"), "--inputDICOM", str(file), "--outputMetadata", str(told)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        groups = json.loads(told.read_text())["Measurements"]
        segs = {obj.name: obj.dataset for obj in written.result_set.objects if "SegmentSequence" in obj.dataset}
        tracked = {str(s.TrackingUID) for seg in segs.values() for s in seg.SegmentSequence if "TrackingUID" in s}
        volumes = {group["TrackingIdentifier"]: float(group["measurementItems"][0]["value"]) for group in groups}
        assert {group["TrackingUniqueIdentifier"] for group in groups} <= tracked
        assert volumes["WMH"] == pytest.approx(written.segmentation.measures.wmh_volume_ml, abs=0.0051)
        assert len(groups) == 4
        assert {group["SourceSeriesForImageSegmentation"] for group in groups} == {written.series.series_instance_uid}
