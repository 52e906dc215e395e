"""What the anatomy network learns from: drawn scans know every part, real ones what was drawn in them."""

from __future__ import annotations

import numpy as np
import pytest
from support.small_head import small_label_maps

from segmentation.anatomy import PARTS
from segmentation.volume import FlairVolume
from training.bundle.anatomy.fit import masked_loss, vary
from training.bundle.anatomy.slices import UNKNOWN, AnatomySlices, of_drawn, of_real
from training.data.cases import LabelledCase
from training.synthesis.stream import main, scan_files

SIZE = 64


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> AnatomySlices:
    """One drawn scan."""
    folder = tmp_path_factory.mktemp("anatomy")
    main(small_label_maps(folder / "label-maps"), folder / "scans", count=1)
    return of_drawn(scan_files(folder / "scans")[0], SIZE)


def test_drawn_scans_know_every_part(drawn: AnatomySlices) -> None:
    """No label is unknown; brain, left and cortex occur, and the left lies in the brain."""
    assert drawn.labels.shape == (*drawn.images.shape, len(PARTS))
    assert drawn.labels.min() == 0
    assert all(drawn.labels[..., PARTS.index(name)].any() for name in ("brain", "left", "cortex"))


def test_mirroring_exchanges_the_sides(drawn: AnatomySlices) -> None:
    """In a mirrored slice the left half is the half on the same side of the image, not the mirror image of it."""
    index = int(np.argmax(drawn.labels[..., 0].sum(axis=(1, 2))))
    image, label = drawn.images[index].astype(np.float32), drawn.labels[index]
    side = PARTS.index("left")
    middles = set()
    for seed in range(8):
        _, varied = vary(image, label, False, np.random.default_rng(seed))
        assert not (varied[..., side] & ~varied[..., 0]).any()
        brain, left = (np.argwhere(varied[..., part])[:, 1].mean() for part in (0, side))
        middles.add(bool(left > brain))
    assert middles == {True} or middles == {False}


def _real() -> LabelledCase:
    voxels = np.random.default_rng(0).uniform(300, 500, (4, 60, 60)).astype(np.float32)
    brain = np.zeros(voxels.shape, bool)
    brain[1:, 10:50, 10:50] = True
    brain[0, 30:33, 30:33] = True  # little brain: the mask is not trusted there
    ventricles = np.zeros_like(brain)
    ventricles[2, 25:30, 25:30] = True
    return LabelledCase(
        name="one",
        patient="one",
        volume=FlairVolume(voxels, (5.0, 1.0, 1.0)),
        wmh=np.zeros_like(brain),
        brain=brain,
        ventricles=ventricles,
    )


def test_real_scans_leave_open_what_was_not_drawn() -> None:
    """Brain is known in slices that are mostly brain, elsewhere only far from it; ventricles everywhere."""
    labels = of_real(_real(), SIZE).labels
    assert set(np.unique(labels[0, ..., 0])) == {UNKNOWN, 0}
    assert labels[0, SIZE // 2, SIZE // 2, 0] == UNKNOWN
    assert labels[0, 2, 2, 0] == 0
    assert set(np.unique(labels[1, ..., 0])) == {0, 1}
    assert set(np.unique(labels[..., 1])) == {0, 1}
    assert (labels[..., 2:] == UNKNOWN).all()


def test_what_is_not_known_costs_nothing() -> None:
    """The loss is the same whatever is predicted where the truth is unknown, and falls where it is known."""
    truth = np.full((1, 8, 8, len(PARTS)), UNKNOWN, np.float32)
    truth[..., 0] = 0
    truth[0, 2:5, 2:5, 0] = 1
    guess = np.full(truth.shape, 0.5, np.float32)
    other, better = guess.copy(), guess.copy()
    other[..., 1:] = 0.9
    better[..., 0] = np.clip(truth[..., 0], 0.1, 0.9)
    assert float(masked_loss(truth, other)) == pytest.approx(float(masked_loss(truth, guess)), rel=1e-4)
    assert float(masked_loss(truth, better)) < float(masked_loss(truth, guess))
