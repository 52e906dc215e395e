"""The phantom: a head in FLAIR contrast with lesions of known volume, the same each time."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from dicom_node.demo.phantom.phantom import Phantom, PhantomSpec, make_phantom, phantom_affine
from dicom_node.demo.phantom.writing import _identity
from dicom_node.node.errors import ConfigurationError
from segmentation.brain import brain_mask
from segmentation.volume import FlairVolume

pytestmark = pytest.mark.slow


@cache
def _phantom(**changes: object) -> Phantom:
    # A coarser matrix than the default, for speed; lesions and tissues are the same.
    return make_phantom(PhantomSpec(**{"matrix": 160, **changes}))  # type: ignore[arg-type]


def test_the_same_spec_gives_the_same_bits() -> None:
    """Voxels and truth depend on the spec alone; another seed is another head."""
    one, again, other = _phantom(), make_phantom(PhantomSpec(matrix=160)), _phantom(seed=2)
    np.testing.assert_array_equal(one.flair, again.flair)
    np.testing.assert_array_equal(one.wmh, again.wmh)
    assert (one.flair != other.flair).mean() > 0.5


@pytest.mark.parametrize("wanted", [0.0, 0.5, 5.0, 15.0, 60.0])
@pytest.mark.slow
def test_lesions_have_the_volume_asked_for(wanted: float) -> None:
    """The mask's volume is the one asked for within 2 % or 0.05 mL, counted with the distance of slices."""
    phantom = _phantom(wmh_ml=wanted)
    assert phantom.truth_ml == pytest.approx(wanted, rel=0.02, abs=0.05)
    assert phantom.truth_ml == pytest.approx(phantom.wmh.sum() * np.prod(phantom.spec.spacing_mm) / 1000)
    assert (phantom.lesion_count > 0) is (wanted > 0)


def test_lesions_lie_in_the_brain_and_outside_the_ventricles() -> None:
    """Every lesion voxel is brain, and none is ventricle."""
    phantom = _phantom()
    assert not (phantom.wmh & ~phantom.brain).any()
    assert not (phantom.wmh & phantom.ventricles).any()


def test_tissues_have_the_contrast_of_clinical_flair() -> None:
    """Relative to the brain's median: lesions 1.25 to 1.6, ventricles under 0.4, fat above 2, air under 0.1.

    The labelled 1.5 T scans that the phantom is compared with have lesions at 1.25 to 1.7, ventricles at 0.15 to 0.5.
    """
    phantom = _phantom()
    brain = float(np.median(phantom.flair[phantom.brain & ~phantom.wmh]))
    lesion = float(np.median(phantom.flair[phantom.wmh])) / brain
    fluid = float(np.median(phantom.flair[phantom.ventricles])) / brain
    corner = float(np.median(phantom.flair[:, :12, :12])) / brain
    assert 1.25 < lesion < 1.6
    assert fluid < 0.4
    assert np.percentile(phantom.flair, 99.5) / brain > 2.0
    assert corner < 0.1


def test_the_brain_has_the_size_of_a_brain() -> None:
    """Brain 1.1 to 1.7 L, ventricles 10 to 70 mL, for several heads."""
    for seed in (1, 2, 3):
        phantom = _phantom(seed=seed)
        voxel_ml = float(np.prod(phantom.spec.spacing_mm)) / 1000
        assert 1100 < phantom.brain.sum() * voxel_ml < 1700
        assert 10 < phantom.ventricles.sum() * voxel_ml < 70


def test_noise_is_rician() -> None:
    """Air has the Rayleigh distribution of a magnitude image: its mean is 1.25 times the noise."""
    air = _phantom().flair[:, :12, :12]
    assert air.mean() == pytest.approx(1.2533 * 0.03 * 4200, rel=0.05)
    assert air.std() == pytest.approx(0.655 * 0.03 * 4200, rel=0.05)


def test_tilting_the_slices_tilts_the_grid_and_not_the_head() -> None:
    """An oblique phantom shows the same head: lesions lie at the same place in the patient."""
    straight, tilted = _phantom(noise=0.0), _phantom(noise=0.0, oblique_degrees=15.0)
    assert abs(_centre(straight, straight.ventricles) - _centre(tilted, tilted.ventricles)).max() < 2.0
    assert abs(_centre(straight, straight.wmh) - _centre(tilted, tilted.wmh)).max() < 4.0
    normal = np.cross(tilted.affine[:3, 0], tilted.affine[:3, 1])
    assert np.rad2deg(np.arccos(normal[2] / np.linalg.norm(normal))) == pytest.approx(15.0)


def test_the_affine_states_the_spacing() -> None:
    """Columns of the affine have the lengths of the spacing, at right angles."""
    spec = PhantomSpec(slices=30, matrix=200, oblique_degrees=-12.0)
    axes = phantom_affine(spec)[:3, :3]
    np.testing.assert_allclose(np.linalg.norm(axes, axis=0)[::-1], spec.spacing_mm)
    np.testing.assert_allclose(axes.T @ axes - np.diag(np.diag(axes.T @ axes)), 0.0, atol=1e-9)


@pytest.mark.parametrize(
    "changes", [{"slices": 2}, {"matrix": 10}, {"wmh_ml": -1.0}, {"oblique_degrees": 80.0}, {"seed": -1}]
)
def test_impossible_specs_are_refused_by_name(changes: dict[str, float]) -> None:
    """A value out of range is named, with the range."""
    with pytest.raises(ConfigurationError, match=next(iter(changes))):
        replace(PhantomSpec(), **changes)  # type: ignore[arg-type]


def test_a_phantom_from_the_chin_shows_neck_and_jaw_and_the_brain_mask_leaves_them_out() -> None:
    """The slices begin below the brain, in tissue as bright as WMH; the brain mask holds all WMH and nothing there."""
    phantom = _phantom(chin=True, slices=25, matrix=128)
    low = phantom.affine[2, 3] + phantom.affine[2, 2] * np.arange(25) < -75.0
    assert low.sum() >= 5
    assert not phantom.wmh[low].any()
    lesions = float(np.median(phantom.flair[phantom.wmh]))
    assert (phantom.flair[low] > lesions).sum(axis=(1, 2)).min() > 50
    found = brain_mask(FlairVolume(phantom.flair, phantom.spec.spacing_mm))
    assert not found[low].any()
    assert (found & phantom.wmh).sum() == phantom.wmh.sum()


def test_the_chin_changes_no_other_phantom() -> None:
    """A phantom without it keeps the UIDs that it had before there was such an option."""
    assert "chin" not in _identity(PhantomSpec())
    assert _identity(PhantomSpec(chin=True))["chin"] is True


def _centre(phantom: Phantom, mask: np.ndarray) -> np.ndarray:
    index = np.argwhere(mask).mean(axis=0)[::-1]
    return np.asarray(phantom.affine[:3, :3] @ index + phantom.affine[:3, 3])
