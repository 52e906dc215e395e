from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from segmentation.errors import BadVolume
from segmentation.regions import LEAST_ML, RegionRule, clean_ventricles, divide, near

SHAPE = (4, 40, 50)
SPACING = (5.0, 2.0, 1.0)


def empty() -> np.ndarray:
    return np.zeros(SHAPE, bool)


def test_distances_are_millimetres_of_each_axis() -> None:
    """In plane, 10 mm are 5 rows of 2 mm and 10 columns of 1 mm, the limit included; 7.5 mm are 3 and 7."""
    ventricles = empty()
    ventricles[1, 20, 25] = True
    for distance, rows, columns in [(10.0, 5, 10), (7.5, 3, 7)]:
        found = near(ventricles, SPACING, RegionRule(distance))
        assert not found[[0, 2, 3]].any()
        assert np.flatnonzero(found[1, :, 25]).tolist() == list(range(20 - rows, 21 + rows))
        assert np.flatnonzero(found[1, 20]).tolist() == list(range(25 - columns, 26 + columns))
    assert found[1, 17, 25] and not found[1, 17, 30]  # 6 mm; 7.8 mm aslant


def test_in_space_the_slices_count_by_their_distance() -> None:
    """By the rule 3d a slice 5 mm away holds what lies within 8.66 mm in its plane; one 15 mm away holds nothing."""
    ventricles = empty()
    ventricles[1, 20, 25] = True
    found = near(ventricles, SPACING, RegionRule(10.0, "3d"))
    assert [int(found[i, 20].sum()) for i in range(4)] == [17, 21, 17, 1]
    assert [int(found[i, :, 25].sum()) for i in range(4)] == [9, 11, 9, 1]


@given(
    arrays(bool, (3, 12, 9), elements=st.booleans()),
    st.tuples(*[st.floats(0.4, 8.0)] * 3),
    st.floats(0.5, 15.0),
    st.sampled_from(["2d", "3d"]),
)
def test_the_box_loses_nothing(
    ventricles: np.ndarray, spacing: tuple[float, float, float], mm: float, rule: str
) -> None:
    """Every voxel is near exactly when a ventricle voxel's centre is, by distances computed one by one."""
    ventricles &= np.random.default_rng(0).random(ventricles.shape) < 0.2
    found = near(ventricles, spacing, RegionRule(mm, rule))  # type: ignore[arg-type]
    sources = np.argwhere(ventricles)
    for place in np.ndindex(ventricles.shape):
        steps = (sources - place) * np.asarray(spacing)
        if rule == "2d":
            steps = steps[sources[:, 0] == place[0]]
        nearest = float(np.min(np.linalg.norm(steps, axis=1), initial=np.inf))
        assert found[place] == (nearest <= mm) or abs(nearest - mm) < 1e-6


def test_the_regions_add_up() -> None:
    """Periventricular and deep are the WMH volume; a slice without ventricles is deep in 2d, and need not be in 3d."""
    ventricles, wmh = empty(), empty()
    ventricles[1, 18:22, 20:30] = True
    wmh[1, 18:22, 31:45] = True
    wmh[2, 18:22, 20:24] = True
    flat, solid = (divide(wmh, ventricles, SPACING, RegionRule(10.0, rule)) for rule in ("2d", "3d"))
    assert flat is not None and solid is not None
    assert np.count_nonzero(flat.periventricular) == 4 * 9  # columns 31 to 39
    assert flat.volumes.periventricular_volume_ml == pytest.approx(36 * 0.01)
    assert flat.volumes.deep_volume_ml == pytest.approx((20 + 16) * 0.01)
    assert flat.volumes.ventricle_volume_ml == pytest.approx(40 * 0.01)
    assert solid.volumes.periventricular_volume_ml == pytest.approx((36 + 16) * 0.01)
    assert (flat.volumes.rule, solid.volumes.rule) == (RegionRule(), RegionRule(10.0, "3d"))
    assert not flat.periventricular[2].any() and not (flat.periventricular & ~wmh).any()


def test_without_ventricles_there_are_no_regions() -> None:
    """No ventricle voxel: nothing is divided, and nothing invented."""
    assert divide(np.ones(SHAPE, bool), empty(), SPACING) is None
    assert not near(empty(), SPACING, RegionRule(10.0, "3d")).any()
    with pytest.raises(ValueError, match="expected ventricles of shape"):
        divide(empty(), empty()[:2], SPACING)


def test_specks_are_no_ventricles() -> None:
    """The largest component stays, and those of at least 2 % of it; what touches at a corner is one component."""
    mask = empty()
    mask[0:2, 10:30, 10:30] = True  # 800 voxels of 0.01 mL
    mask[2, 30, 30] = True  # touches the block at its corner only
    mask[3, 2:4, 2:10] = True  # 16 voxels: 2 % of 801 is 16.02
    mask[3, 37:39, 30:40] = True  # 20 voxels
    cleaned = clean_ventricles(mask, 0.01)
    assert cleaned[0:2].sum() == 800 and cleaned[2, 30, 30]
    assert not cleaned[3, :10].any()
    assert cleaned[3].sum() == 20
    assert not (cleaned & ~mask).any()


def test_a_handful_of_voxels_is_no_ventricle() -> None:
    """Where the largest component is under half a millilitre, no ventricle was found."""
    mask = empty()
    mask[1, 10:17, 10:17] = True  # 49 voxels of 0.01 mL
    assert not clean_ventricles(mask, 0.01).any()
    mask[1, 10, 17] = True
    assert mask.sum() * 0.01 == LEAST_ML
    assert clean_ventricles(mask, 0.01).sum() == 50
    assert not clean_ventricles(empty(), 0.01).any()


@pytest.mark.parametrize(("mm", "rule"), [(0.0, "2d"), (-1.0, "2d"), (float("nan"), "3d"), (10.0, "4d")])
def test_a_rule_that_means_nothing_is_refused(mm: float, rule: str) -> None:
    """A distance that is not positive and an unknown rule are refused with a clear error."""
    with pytest.raises(BadVolume, match="expected"):
        RegionRule(mm, rule)  # type: ignore[arg-type]
