"""The uncertainty index belongs to the scan and not to its matrix; its limit belongs to the model."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage
from support.models import tiny_bundle

from segmentation.bundle import load_bundle
from segmentation.ensemble import Ensemble, open_ensemble
from segmentation.golden_head import draw_head
from segmentation.measures import REVIEW_ABOVE, Doubt, measure
from segmentation.segment import segment_volume
from segmentation.volume import FlairVolume

SIZE = 64


@pytest.fixture(scope="module")
def ensemble(tmp_path_factory: pytest.TempPathFactory) -> Ensemble:
    """A tiny bundle that marks bright pixels, for images of 64 pixels."""
    return open_ensemble(load_bundle(tiny_bundle(tmp_path_factory.mktemp("tiny"), size=SIZE)), "openvino")


def _with_lesion(head: FlairVolume) -> FlairVolume:
    """The head with a bright lesion that fades at its edge, in two slices."""
    rows, columns = np.ogrid[:SIZE, :SIZE]
    blob = np.exp(-((rows - 40) ** 2 + (columns - 24) ** 2) / 30.0).astype(np.float32)
    voxels = np.minimum(head.voxels, 140)
    voxels[1:3] += 300 * blob
    return FlairVolume(voxels, head.spacing_mm)


@pytest.mark.parametrize("times", [1.5, 2.0])
def test_a_finer_matrix_has_the_same_index(ensemble: Ensemble, times: float) -> None:
    """The same scan interpolated to 1.5 and 2 times the matrix (256, 384, 512 in a hospital) keeps its index."""
    head = _with_lesion(draw_head(SIZE))
    finer = ndimage.zoom(head.voxels, (1, times, times), order=1, mode="grid-constant", grid_mode=True)
    spacing = (head.spacing_mm[0], head.spacing_mm[1] / times, head.spacing_mm[2] / times)
    plain = segment_volume(head, ensemble).measures.uncertainty_index
    other = segment_volume(FlairVolume(finer.astype(np.float32), spacing), ensemble).measures.uncertainty_index
    assert plain is not None
    assert other == pytest.approx(plain, abs=0.05)


def test_the_limit_is_the_models() -> None:
    """With its own limit a model sends a result to review that the paper's limit does not."""
    probability = np.full((1, 10, 10), 0.95, np.float32)
    probability[0, :3] = 0.6
    mask = probability >= 0.5
    plain = measure(mask, probability, 0.01)
    strict = measure(mask, probability, 0.01, doubt=Doubt(plain.uncertainty_index, 0.2))
    assert (plain.review_recommended, plain.review_above) == (False, REVIEW_ABOVE)
    assert (strict.review_recommended, strict.review_above) == (True, 0.2)


def test_nothing_predicted_has_no_index() -> None:
    """An index from elsewhere does not make doubt where the native mask is empty."""
    empty = np.zeros((1, 4, 4), np.float32)
    assert measure(empty > 0.5, empty, 0.01, doubt=Doubt(0.9)).uncertainty_index is None
