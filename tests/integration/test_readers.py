"""pydicom and highdicom read every segmentation back: each frame the mask's slice, and the grid the source's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest
from support.interop import NAMES, WrittenSet

OnDisk = Callable[[str], WrittenSet]


def origin_of(groups: pydicom.Dataset) -> tuple[str, int | None]:
    """The source frame that a frame names."""
    (source,) = groups.DerivationImageSequence[0].SourceImageSequence
    number = source.get("ReferencedFrameNumber")
    return str(source.ReferencedSOPInstanceUID), None if number is None else int(number)


@pytest.mark.parametrize("name", NAMES)
def test_every_frame_is_its_slice_of_the_mask(name: str, result_set_on_disk: OnDisk) -> None:
    """pydicom decodes frames that are, bit for bit, the mask on the slice that they name; what has none is empty."""
    written = result_set_on_disk(name)
    index_of = {(f.sop_instance_uid, f.frame_number): index for index, f in enumerate(written.series.frames)}
    for file in (*written.named("seg"), *written.named("regions")):
        seg = pydicom.dcmread(file)
        found = {number: np.zeros_like(mask) for number, mask in written.masks_of(file.name).items()}
        frames = seg.pixel_array.reshape(-1, seg.Rows, seg.Columns)
        for groups, pixels in zip(seg.PerFrameFunctionalGroupsSequence, frames, strict=True):
            at = index_of[origin_of(groups)]
            if seg.SegmentationType == "LABELMAP":
                for number, mask in found.items():
                    mask[at] = pixels == number
            else:
                shared = seg.SharedFunctionalGroupsSequence[0]
                holder = groups if "SegmentIdentificationSequence" in groups else shared
                found[int(holder.SegmentIdentificationSequence[0].ReferencedSegmentNumber)][at] = pixels
        for number, mask in written.masks_of(file.name).items():
            np.testing.assert_array_equal(found[number], mask, err_msg=f"{file.name}, segment {number}")


@pytest.mark.parametrize("name", NAMES)
def test_highdicom_has_the_same_volume(name: str, result_set_on_disk: OnDisk) -> None:
    """highdicom's volume of each segment has the mask's voxels where they lie in the patient, to 0.001 mm."""
    written = result_set_on_disk(name)
    ours = written.series.affine[:, [2, 1, 0, 3]]
    for file in (*written.named("seg"), *written.named("regions")):
        volume = _volume(file)
        if volume.affine[:3, 0] @ ours[:3, 0] < 0:
            volume = volume.flip_spatial(0)
        step = ours[:3, 0] / (ours[:3, 0] @ ours[:3, 0])
        begin = round(float((volume.affine[:3, 3] - ours[:3, 3]) @ step))
        np.testing.assert_allclose(volume.affine[:3, 3], ours[:3, 3] + begin * ours[:3, 0], atol=1e-3)
        if volume.shape[0] > 1:
            np.testing.assert_allclose(volume.affine[:3, :3], ours[:3, :3], atol=1e-3)
        for number, mask in written.masks_of(file.name).items():
            rest = mask.copy()
            rest[begin : begin + volume.shape[0]] = False
            assert not rest.any(), file.name
            np.testing.assert_array_equal(volume.array[..., number - 1], mask[begin : begin + volume.shape[0]])


def _volume(file: Path) -> highdicom.Volume:
    """(slice, row, column, segment); slices between frames that were left out are empty."""
    seg = highdicom.seg.segread(file)
    numbers = [number for number in seg.segment_numbers if number > 0]
    return seg.get_volume(segment_numbers=numbers, allow_missing_positions=True)
