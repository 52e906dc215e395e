"""Labels by agreement: what all say, never an infarct, and nothing where opinions differ."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.models import tiny_bundle

from segmentation.networks.unet import build_network
from training.bundle.add_anatomy import add_anatomy
from training.bundle.anatomy.fit import SPECIFICATION, WEIGHTS_NAME
from training.bundle.anatomy.score import SCORES_NAME
from training.bundle.pseudo_labels import Agreement, labels_of, main
from training.data.cases import load_cases
from training.errors import BadCohort


def test_only_what_all_say_gets_a_label() -> None:
    """Sure and bright is WMH, surely none is none; a dissenter, a doubt or a dark pixel leaves it open."""
    said = np.full((3, 1, 5), 0.9, np.float32)
    said[0, 0, 1] = 0.1
    said[:, 0, 2] = 0.4
    said[:, 0, 3] = 0.05
    bright = np.array([[3.0, 3.0, 3.0, 3.0, 0.2]], np.float32)
    wmh, ignored = labels_of(said, bright, np.zeros((1, 5), bool), Agreement())
    assert wmh.tolist() == [[True, False, False, False, False]]
    assert ignored.tolist() == [[False, True, True, False, True]]


def test_an_infarct_is_no_wmh_and_its_edge_is_left_open() -> None:
    """All members call it WMH: the infarct is labelled as none, three pixels around it say nothing."""
    infarct = np.zeros((1, 12), bool)
    infarct[0, 4:6] = True
    sure = np.ones((2, 1, 12), np.float32)
    wmh, ignored = labels_of(sure, np.full((1, 12), 5.0, np.float32), infarct, Agreement())
    assert np.flatnonzero(wmh[0]).tolist() == [0, 9, 10, 11]
    assert np.flatnonzero(ignored[0]).tolist() == [1, 2, 3, 6, 7, 8]


def test_the_slices_become_cases_to_train_on(tmp_path: Path) -> None:
    """Every slice from the first one on is a case of one slice; a second call makes only what is missing."""
    run, slices, out = tmp_path / "run", tmp_path / "slices.npz", tmp_path / "cases"
    run.mkdir()
    build_network(SPECIFICATION, seed=4).save_weights(run / WEIGHTS_NAME)
    (run / SCORES_NAME).write_text("[]")
    flair = np.random.default_rng(2).integers(60, 200, (7, 60, 50)).astype(np.uint8)
    masks = np.zeros_like(flair)
    masks[:, 30:40, 20:30] = 1
    np.savez(slices, flair=flair, stroke_mask=masks)
    bundle = tiny_bundle(tmp_path / "model")
    with pytest.raises(BadCohort, match="an anatomy network"):
        main(slices, bundle, out, first=1, count=6)
    add_anatomy(bundle, run, "2.0.0")
    main(slices, bundle, out, first=1, count=6)
    cases = load_cases(out)
    assert [case.name for case in cases] == [f"stroke-{number:04d}" for number in range(1, 7)]
    assert all(case.ignore is not None and not (case.wmh & case.ignore).any() for case in cases)
    assert not any(case.wmh[0, 30:40, 20:30].any() for case in cases)
    written = {path: path.stat().st_mtime_ns for path in out.rglob("*.gz")}
    main(slices, bundle, out, first=0, count=7)
    assert all(path.stat().st_mtime_ns == when for path, when in written.items())
    assert len(load_cases(out)) == 7
    with pytest.raises(BadCohort, match="ends before"):
        main(slices, bundle, out, first=7, count=1)
