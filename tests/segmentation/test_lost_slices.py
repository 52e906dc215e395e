"""Slices inside the brain that lost their image on the way are found, and good ones are not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from segmentation.evidence import gather
from segmentation.lost_slices import lost_lines, lost_slices
from segmentation.measures import measure
from segmentation.noisy_lines import noisy_lines
from segmentation.plausibility import assess_plausibility
from segmentation.volume import FlairVolume

_SPACING = (6.0, 2.0, 2.0)
_RNG = np.random.default_rng(1)


def _head() -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Twelve slices of an ellipsoid of 170 x 140 mm with noise, and where it is."""
    z, y, x = np.ogrid[-5.5:6.5, -48:48, -48:48]
    brain = (z / 8) ** 2 + (y / 42) ** 2 + (x / 35) ** 2 < 1
    return (np.where(brain, 400, 5) + _RNG.normal(0, 15, brain.shape)).astype(np.float32), brain


def _noise(slice_: NDArray[np.float32]) -> NDArray[np.float32]:
    return _RNG.uniform(0, 800, slice_.shape).astype(np.float32)


_BROKEN: dict[str, Callable[[NDArray[np.float32]], NDArray[np.float32]]] = {
    "black": np.zeros_like,
    "nearly black": lambda s: np.round(_RNG.uniform(0, 2, s.shape)).astype(np.float32),
    "noise": _noise,
    "a third as bright": lambda s: 0.3 * s,
    "eight times as bright": lambda s: 8 * s,
}


# Two neighbours of one brightness are compared with each other.
@pytest.mark.parametrize(
    ("how", "indices"), [*((how, (5,)) for how in _BROKEN), *((how, (5, 6)) for how in _BROKEN if "bright" not in how)]
)
def test_a_broken_slice_is_found(how: str, indices: tuple[int, ...]) -> None:
    """One slice that shows no head, or two neighbours, though the brain mask holds them."""
    voxels, brain = _head()
    for index in indices:
        voxels[index] = _BROKEN[how](voxels[index])
    assert lost_slices(FlairVolume(voxels, _SPACING), brain) == indices


def test_a_slice_with_the_image_of_another_is_found() -> None:
    """An export that wrote one image twice has lost one: the second is named."""
    voxels, brain = _head()
    voxels[7] = voxels[3]
    assert lost_slices(FlairVolume(voxels, _SPACING), brain) == (7,)


def test_a_slice_without_brain_between_others_is_found() -> None:
    """The image looks like a head, and the network finds no brain in it: it is of another place."""
    voxels, brain = _head()
    brain[6] = False
    assert lost_slices(FlairVolume(voxels, _SPACING), brain) == (6,)


@pytest.mark.parametrize("scale", [1.0, 0.1, 40.0])
def test_whole_heads_have_none(scale: float) -> None:
    """No slice of a good volume is called lost, black ones beyond the brain neither, at any scale."""
    voxels, brain = _head()
    beyond = np.zeros((2, *voxels.shape[1:]), np.float32)
    voxels, brain = np.concatenate([beyond, scale * voxels, beyond]), np.pad(brain, ((2, 2), (0, 0), (0, 0)))
    assert lost_slices(FlairVolume(voxels, _SPACING), brain) == ()


def test_a_lost_slice_is_a_reason_for_review() -> None:
    """What was lost is said above the number."""
    voxels, brain = _head()
    voxels[5] = 0
    empty = np.zeros(brain.shape, bool)
    evidence = gather(FlairVolume(voxels, _SPACING), brain, empty, 0.0, measure(empty, empty.astype(np.float32), 0.02))
    found = {reason.code: reason for reason in assess_plausibility(evidence).reasons}
    assert "1 slice inside the brain is empty" in found["lost_slices"].sentence


@pytest.mark.parametrize("value", [0.0, 1200.0])
@pytest.mark.parametrize("place", [np.s_[:, 48], np.s_[4:6, :, 40:42]], ids=["row", "columns"])
def test_lines_of_one_value_are_found(value: float, place: tuple[slice, ...]) -> None:
    """A row of all slices, or two columns of two, that lost their values; none in a good head."""
    voxels, brain = _head()
    assert lost_lines(FlairVolume(voxels, _SPACING), brain) == 0
    voxels[place] = value
    found = lost_lines(FlairVolume(voxels, _SPACING), brain)
    assert found == (4 if len(place) == 3 else int((brain[:, 48].sum(axis=1) * 2 >= 60).sum()))


@pytest.mark.parametrize("scale", [1.0, 0.001])
@pytest.mark.parametrize(
    "place",
    [np.s_[5, 48, :], np.s_[4:8, 40, :], np.s_[:, :, 60], np.s_[6, 45:48, :]],
    ids=["a row", "one row of some slices", "one column of all slices", "three rows"],
)
def test_lines_of_noise_are_found(place: tuple[slice, ...], scale: float) -> None:
    """Rows or columns that hold noise in place of the image are counted and doubted, in any unit of brightness."""
    voxels, brain = _head()
    voxels[:, :, 47:49] *= 0.6  # the falx: another image than beside it, and smooth along itself
    voxels[5, 30:60, 30] = 900.0  # a vessel
    assert noisy_lines(FlairVolume(scale * voxels, _SPACING), brain) == 0
    voxels[place] = np.abs(_RNG.normal(400, 200, voxels[place].shape))
    found = noisy_lines(FlairVolume(scale * voxels, _SPACING), brain)
    assert found >= 1
    evidence = gather(
        FlairVolume(scale * voxels, _SPACING), brain, brain & False, 0.0, measure(brain & False, 0.0 * voxels, 0.024)
    )
    assert "lost_lines" in {reason.code for reason in assess_plausibility(evidence).reasons}


def test_lines_of_images_without_noise_are_no_noise() -> None:
    """A denoised or drawn image has the same value in many pixels: an edge of tissue is no noise beside it."""
    _, brain = _head()
    voxels = np.where(brain, np.float32(400), np.float32(5))
    voxels[:, 40:44, 30:60] = 700.0
    voxels[:, 60, 30:60] = 300.0
    assert noisy_lines(FlairVolume(voxels, _SPACING), brain) == 0
    assert noisy_lines(FlairVolume(voxels, _SPACING), brain & False) == 0
