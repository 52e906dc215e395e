"""Single slices: each is enough of a brain to be judged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from segmentation.anatomy import PARTS, Anatomy
from segmentation.segment import find_brain
from training.bundle.single_slices import MarkedSlice, read_slices
from training.errors import BadCohort


def test_one_slice_of_a_small_brain_counts_as_a_brain() -> None:
    """A brain of 13 cm across, all in one slice, is found, and not left out as too little to rely on."""
    rows, columns = np.mgrid[:189, :157]
    inside = (rows - 94) ** 2 + (columns - 78) ** 2 < 65**2
    one = MarkedSlice.of("a", np.where(inside, 100, 0).astype(np.uint8), np.zeros_like(inside))
    anatomy = Anatomy.of(*(inside[np.newaxis] for _part in PARTS))
    assert np.array_equal(find_brain(one.volume, anatomy)[0], inside)


def test_slices_are_read_by_their_numbers(tmp_path: Path) -> None:
    """From the first one on, as many as there are, each with its own infarct; none behind the end."""
    flair = np.arange(5, dtype=np.uint8)[:, np.newaxis, np.newaxis] * np.ones((1, 4, 3), np.uint8)
    masks = np.eye(5, dtype=np.uint8)[:, :, np.newaxis] * np.ones((1, 1, 3), np.uint8)
    np.savez(tmp_path / "slices.npz", flair=flair, stroke_mask=masks[:, :4])
    found = read_slices(tmp_path / "slices.npz", 3, 10)
    assert [one.name for one in found] == ["stroke-0003", "stroke-0004"]
    assert [float(one.volume.voxels.max()) for one in found] == [3.0, 4.0]
    assert [int(one.infarct.sum()) for one in found] == [3, 0]
    with pytest.raises(BadCohort, match="ends before"):
        read_slices(tmp_path / "slices.npz", 5, 1)
