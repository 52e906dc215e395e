"""Scores by scanner: what a mask says nothing about counts in none of the two, thin scans are made thick."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.models import tiny_model

from segmentation.ensemble import open_ensemble
from segmentation.volume import FlairVolume
from training.bundle.vendor_scores import VendorScore, in_slabs, in_words, infarct_called_wmh, small_recall
from training.data.cases import LabelledCase
from training.data.ignored import counted, with_ignored_rims
from training.dice import dice


def _case(spacing_mm: tuple[float, float, float] = (5.0, 1.0, 1.0)) -> LabelledCase:
    shape = (10, 40, 40)
    ventricles, wmh = np.zeros(shape, bool), np.zeros(shape, bool)
    ventricles[2:8, 18:22, 18:22] = True
    wmh[2:8, 10:14, 10:14] = True
    wmh[4, 22, 20] = True
    return LabelledCase("one", "one", FlairVolume(np.ones(shape, np.float32), spacing_mm), wmh, ventricles=ventricles)


def test_a_rim_that_readers_leave_out_costs_nothing() -> None:
    """A rim around the ventricles lowers the DSC, and not the DSC without ignored voxels; marked voxels there count."""
    case = with_ignored_rims(_case())
    assert case.ignore is not None
    assert not (case.ignore & case.wmh).any()
    rim = case.wmh.copy()
    rim[2:8, 16:24, 16:24] |= ~case.ventricles[2:8, 16:24, 16:24]  # type: ignore[index]
    assert dice(rim, case.wmh) < 0.5
    assert dice(counted(rim, case.ignore), counted(case.wmh, case.ignore)) == 1.0
    missed = case.wmh.copy()
    missed[4, 22, 20] = False
    assert dice(counted(missed, case.ignore), counted(case.wmh, case.ignore)) < 1.0


def test_thin_slices_become_slabs() -> None:
    """Ten slices of 1 mm are two of 5 mm with the same volume of what fills them; slices of 5 mm stay."""
    thin = in_slabs(_case((1.0, 1.0, 1.0)))
    assert thin.volume.voxels.shape == (2, 40, 40)
    assert thin.volume.spacing_mm == (5.0, 1.0, 1.0)
    assert thin.wmh[:, 12, 12].all()
    assert in_slabs(_case()).volume.voxels.shape == (10, 40, 40)


def test_small_lesions_apart() -> None:
    """Of two small lesions one is touched; the large one does not count."""
    manual = np.zeros((3, 20, 20), bool)
    manual[0, 2, 2] = manual[2, 9, 9] = True
    manual[:, 12:18, 12:18] = True
    predicted = manual.copy()
    predicted[0, 2, 2] = False
    assert small_recall(predicted, manual, 0.005) == pytest.approx(0.5)
    assert small_recall(predicted, np.zeros_like(manual), 0.005) is None


def test_the_cards_table_has_each_case_and_each_scanner() -> None:
    """A line a case with what it was scored by, the mean of each scanner, and what is called WMH of infarcts."""
    one = VendorScore("toshiba", "a", "a", 0.5, 0.7, 10.0, 12.0, 0.6, None, 0.3, 1)
    words = in_words([one, replace(one, case="b", dsc=0.7, predicted_ml=8.0)], 0.021)
    assert "| toshiba | a | 1 | 0.500 | 0.700 | 10.0 | 1.20 | 0.60 | - | 0.30 |" in words
    assert "| **toshiba** | **mean** | | **0.600** | **0.700** | | **1.00** | | | |" in words
    assert "2.1%" in words
    assert "infarcts" not in in_words([one], None)


def test_drawn_scans_are_one_line_of_the_card() -> None:
    """Of the drawn scans the card has the mean alone; they are many, and no patients."""
    drawn = VendorScore("drawn", "scan-1", "scan-1", 0.6, 0.6, 10.0, 9.0, 0.6, None, 0.3, 5)
    words = in_words([drawn, replace(drawn, dsc=0.8)], None)
    assert "scan-1" not in words
    assert "| **drawn** | **mean** | | **0.700** | **0.600** | | **0.90** | | | |" in words


@pytest.mark.slow
def test_infarcts_are_counted_in_slices_whose_brain_is_found(tmp_path: Path) -> None:
    """A bundle that sees the brain alone marks nothing where it finds no brain. A single slice is enough of one, so
    that a bright infarct that would be called WMH in a whole scan counts."""
    rng = np.random.default_rng(1)
    rows, columns = np.mgrid[:189, :157]
    inside = (rows - 94) ** 2 + (columns - 78) ** 2 < 65**2
    infarct = (rows - 80) ** 2 + (columns - 60) ** 2 < 8**2
    plane = np.where(inside, rng.normal(100, 5, inside.shape), 0)
    plane[infarct] = 220
    file = tmp_path / "slices.npz"
    np.savez(file, flair=plane[np.newaxis].astype(np.uint8), stroke_mask=infarct[np.newaxis].astype(np.uint8))
    ensemble = open_ensemble(tiny_model(tmp_path / "bundle", brain_alone=True, size=64), "openvino")
    assert infarct_called_wmh(ensemble, file, 1) > 0.9
