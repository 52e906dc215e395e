from __future__ import annotations

import numpy as np
import pytest

from segmentation.measures import LEAST_LESION_ML, REVIEW_ABOVE, count_lesions, measure


def mask_of(*voxels: tuple[int, int, int]) -> np.ndarray:
    mask = np.zeros((4, 6, 6), bool)
    for voxel in voxels:
        mask[voxel] = True
    return mask


@pytest.mark.parametrize(
    ("voxels", "count"),
    [
        ([], 0),
        ([(0, 0, 0)], 1),
        ([(0, 0, 0), (0, 0, 1)], 1),
        ([(0, 0, 0), (0, 1, 1)], 1),
        ([(0, 0, 0), (1, 1, 1)], 1),
        ([(0, 0, 0), (0, 0, 2)], 2),
        ([(0, 0, 0), (2, 0, 0)], 2),
        ([(0, 0, 0), (1, 1, 1), (3, 5, 5)], 2),
    ],
)
def test_lesions_touch_by_face_edge_or_corner(voxels: list[tuple[int, int, int]], count: int) -> None:
    """Voxels that share a face, an edge or a corner are one lesion, across slices too."""
    assert count_lesions(mask_of(*voxels), 1.0) == count


def test_volume_is_voxels_times_voxel_volume() -> None:
    """Volume is reported in mL of native voxels."""
    mask = mask_of((0, 0, 0), (0, 0, 1), (3, 3, 3))
    assert measure(mask, mask.astype(np.float32), 0.0125).wmh_volume_ml == pytest.approx(0.0375)


def test_an_empty_mask_is_reported_without_an_index() -> None:
    """No lesion: volume 0, no lesions, index undefined, and no review asked for on its account."""
    measures = measure(mask_of(), np.zeros((4, 6, 6), np.float32), 1.0)
    assert (measures.wmh_volume_ml, measures.lesion_count) == (0.0, 0)
    assert measures.uncertainty_index is None
    assert measures.review_recommended is False


@pytest.mark.parametrize(("unsure", "review"), [(6, False), (7, False), (8, True)])
def test_review_is_recommended_above_the_papers_cut(unsure: int, review: bool) -> None:
    """An index of exactly 0.35 is not reviewed, the next one is."""
    probability = np.zeros((4, 6, 6), np.float32)
    probability.ravel()[:20] = 0.99
    probability.ravel()[:unsure] = 0.6
    measures = measure(probability >= 0.5, probability, 1.0)
    assert measures.uncertainty_index == pytest.approx(unsure / 20)
    assert measures.review_recommended is review
    assert REVIEW_ABOVE == 0.35


def test_specks_are_no_lesions() -> None:
    """A component under the least size is not counted, one of exactly that size is; the volume holds both."""
    mask = mask_of((0, 0, 0), (0, 0, 1), (3, 3, 3))
    assert count_lesions(mask, LEAST_LESION_ML / 2) == 1
    measures = measure(mask, mask.astype(np.float32), LEAST_LESION_ML / 2)
    assert measures.lesion_count == 1
    assert measures.wmh_volume_ml == pytest.approx(1.5 * LEAST_LESION_ML)
