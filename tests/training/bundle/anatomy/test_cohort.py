"""A cohort of several folders: clinical 2D as it is, thin scans as tilted slabs, each with the network's brain."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from support.models import tiny_bundle

from segmentation.networks.unet import build_network
from segmentation.volume import FlairVolume
from training.bundle.add_anatomy import add_anatomy
from training.bundle.anatomy.cohort import SLABS, main, tilted, variants, write_labelled
from training.bundle.anatomy.fit import SPECIFICATION, WEIGHTS_NAME
from training.bundle.anatomy.score import SCORES_NAME
from training.data.cases import LabelledCase, load_cases
from training.errors import BadCohort


def _case(name: str, slices: int, slice_mm: float) -> LabelledCase:
    voxels = np.random.default_rng(2).normal(300, 20, (slices, 48, 40)).astype(np.float32)
    wmh = np.zeros(voxels.shape, bool)
    wmh[slices // 2 - 4 : slices // 2 + 4, 20:28, 16:24] = True
    return LabelledCase(name, "p", FlairVolume(voxels, (slice_mm, 1.0, 1.0)), wmh)


def test_a_nodded_head_keeps_its_lesion() -> None:
    """Turned about the middle, there and back: as much WMH at the same place, within what interpolation costs."""
    case = _case("a", 48, 1.0)
    turned = tilted(case, 15)
    assert turned.wmh.sum() == pytest.approx(case.wmh.sum(), rel=0.1)
    assert (turned.wmh != case.wmh).any()
    back = tilted(turned, -15)
    overlap = 2 * (back.wmh & case.wmh).sum() / (back.wmh.sum() + case.wmh.sum())
    assert overlap > 0.9


def test_thin_scans_come_as_slabs() -> None:
    """A 3D scan gives one case for each thickness, all of one patient; a clinical 2D scan stays as it is."""
    found = list(variants(_case("a", 48, 1.0)))
    assert [case.name for case in found] == ["a-3mm", "a-5mm", "a-6mm"]
    assert [case.volume.spacing_mm[0] for case in found] == [slab for slab, _ in SLABS]
    assert {case.patient for case in found} == {"p"}
    thick = _case("b", 12, 5.0)
    assert list(variants(thick)) == [thick]


def test_the_cohort_can_be_trained_on(tmp_path: Path) -> None:
    """Every case is read back with its lesion, brain and ventricles, and is listed under its patient."""
    folder = tmp_path / "data" / "a"
    write_labelled(_case("a", 24, 2.0), folder)
    run = tmp_path / "run"
    run.mkdir()
    build_network(SPECIFICATION, seed=4).save_weights(run / WEIGHTS_NAME)
    (run / SCORES_NAME).write_text("[]")
    bundle = tiny_bundle(tmp_path / "model")
    with pytest.raises(BadCohort, match="an anatomy network"):
        main([folder.parent], tmp_path / "none", bundle=bundle)
    add_anatomy(bundle, run, "2.0.0")
    main([folder.parent], tmp_path / "cohort", bundle=bundle)
    cases = load_cases(tmp_path / "cohort")
    assert [case.name for case in cases] == ["a-3mm", "a-5mm", "a-6mm"]
    assert {case.patient for case in cases} == {"a"}
    assert all(case.wmh.any() and case.brain is not None and case.ventricles is not None for case in cases)
    with (tmp_path / "cohort" / "patients.csv").open() as file:
        assert len(list(csv.reader(file))) == 4
    with pytest.raises(BadCohort, match="a new folder"):
        main([folder.parent], tmp_path / "cohort", bundle=bundle)
