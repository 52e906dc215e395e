"""A cortical wedge is what is bright from the surface into the depth, on one side: each of these is needed."""

from __future__ import annotations

import numpy as np
import pytest

from segmentation.bright_tissue import calm_brain
from segmentation.cortical_wedge import wedge_cm2
from segmentation.midline import Midline, Midplane
from segmentation.volume import FlairVolume

_SIDE = 160


def _places() -> tuple[np.ndarray, np.ndarray]:
    """mm from the middle of the picture."""
    rows, columns = np.indices((_SIDE, _SIDE), float)
    return (rows - _SIDE / 2) * 1.5, (columns - _SIDE / 2) * 1.5


def _inside(scale: float = 1.0) -> np.ndarray:
    y, x = _places()
    return (y / (85 * scale)) ** 2 + (x / (66 * scale)) ** 2 <= 1.0


def _wedge(sign: int, from_mm: float = 0.0, depth_mm: float = 25.0, half_width_mm: float = 14.0) -> np.ndarray:
    """Base at the surface on one side, tip towards the middle."""
    y, x = _places()
    deep = 66 - sign * x
    return (deep >= from_mm) & (deep < depth_mm) & (np.abs(y) < half_width_mm * (1 - 0.7 * deep / depth_mm)) & _inside()


def _area(*bright: np.ndarray, level: float = 1.6, turned: bool = False) -> float:
    voxels = np.where(_inside(), 1000.0, 0.0)
    for region in bright:
        voxels[region] = 1000.0 * level
    brain = _inside()
    if turned:
        voxels, brain = voxels.T.copy(), brain.T.copy()
    volume = FlairVolume(np.repeat(voxels[None], 3, axis=0).astype(np.float32), (6.0, 1.5, 1.5))
    calm, (middle, *_) = (
        calm_brain(volume.plane(0), brain, (1.5, 1.5)),
        Midplane.of(np.repeat(brain[None], 3, axis=0), volume.spacing_mm).lines,
    )
    return wedge_cm2(calm, middle.within(calm.box), (1.5, 1.5))


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("sign", [-1, 1])
def test_a_wedge_has_its_area(sign: int, turned: bool) -> None:
    """A wedge on either side, of a head that lies along rows or columns, is found with its area within a fifth."""
    drawn = np.count_nonzero(_wedge(sign)) * 1.5**2 / 100
    assert drawn > 3
    assert _area(_wedge(sign), turned=turned) == pytest.approx(drawn, rel=0.2)


def test_what_is_no_wedge() -> None:
    """Bright on both sides, deep in the white matter, flat at the surface, or fainter than a lesion: none of them."""
    assert _area() == 0.0
    assert _area(_wedge(-1), _wedge(1)) == 0.0
    assert _area(_wedge(1, from_mm=12.0, depth_mm=40.0)) == 0.0
    assert _area(_wedge(1, depth_mm=7.0, half_width_mm=30.0)) == 0.0
    assert _area(_inside() & ~_inside(0.93)) == 0.0
    assert _area(_wedge(1), level=1.2) == 0.0


def test_the_other_side_is_the_mirrored_place() -> None:
    """Of a turned head: what lies 20 mm left of the midline is found 20 mm right of it, at the same height."""
    y, x = _places()
    angle = np.deg2rad(25)
    along, across = y * np.cos(angle) + x * np.sin(angle), x * np.cos(angle) - y * np.sin(angle)
    head = (along / 85) ** 2 + (across / 66) ** 2 <= 1.0
    spot = np.hypot(along - 30, across - 20) < 8
    other = Midline.of(head, (1.5, 1.5)).other_side(spot.astype(np.float32), 0.0) > 0.5
    assert other.sum() == pytest.approx(spot.sum(), rel=0.1)
    assert (along[other].mean(), across[other].mean()) == pytest.approx((30, -20), abs=1.0)
