"""The review limit and the volume interval of a bundle, from scans that the scoring members never saw."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from support.models import tiny_bundle

from segmentation.bundle import load_bundle
from segmentation.ensemble import open_ensemble
from segmentation.segment import segment_volume
from segmentation.volume import FlairVolume
from training.bundle.doubt import DoubtedScan, _measured, _Task, document_of, in_words, limit_of, ratio_of
from training.errors import BadCohort


def scan(case: str, group: str = "drawn", **changes: object) -> DoubtedScan:
    """A scan that the whole ensemble never saw."""
    values: dict = {
        "group": group, "case": case, "patient": case, "members": 5, "is_whole": True, "index": 0.3,
        "member_index": 0.2, "predicted_ml": 10.0, "manual_ml": 12.0, "dsc": 0.8,
    }  # fmt: skip
    return DoubtedScan(**{**values, **changes})


SCANS = [
    scan("a"), scan("b", index=0.7, dsc=0.3), scan("c", index=0.4, dsc=0.7), scan("d", index=None, dsc=0.0),
    scan("u", "unlabelled", manual_ml=None, dsc=None, index=0.9),
    *(scan(f"m{number}", "scanner", is_whole=False, members=1, index=0.1, dsc=0.7) for number in range(6)),
]  # fmt: skip


def test_the_limit_is_for_the_index_that_is_served() -> None:
    """Scans without a mask or an index decide nothing; a member's index counts as much larger as the ensemble's is."""
    limit = limit_of(SCANS)
    assert (limit.scans, limit.poor) == (9, 1)
    assert 0.4 < limit.limit < 0.7
    assert ratio_of(SCANS) == pytest.approx(2.75)
    poor_member = scan("p", "scanner", is_whole=False, members=1, index=0.2, dsc=0.1)
    assert limit_of([*SCANS, poor_member]).limit == pytest.approx(0.55, abs=1e-6)
    with pytest.raises(BadCohort):
        limit_of(SCANS[:1])


def test_the_card_says_what_was_measured(tmp_path: Path) -> None:
    """Each group with its members and how many are sent; the interval with its coverage and width."""
    bundle = load_bundle(tiny_bundle(tmp_path / "model"))
    document = document_of(SCANS, limit_of(SCANS), bundle)
    assert json.loads(json.dumps(document)) == document
    assert document["by_group"]["unlabelled"]["sent"] == 1
    words = in_words(document)
    assert "| scanner | members that never saw the patient | 6 | 0 | 0 of 0 |" in words
    assert "1 of the scans, 1 of them with WMH in the mask" in words
    assert "divided and multiplied by **1.19**" in words


def test_a_scan_is_scored_as_it_is_served(tmp_path: Path) -> None:
    """The index is the one of `segment_volume`; what was measured once is not computed again."""
    bundle = load_bundle(tiny_bundle(tmp_path / "model", size=64))
    rng = np.random.default_rng(1)
    volume = FlairVolume(rng.gamma(9.0, 12.0, (3, 64, 64)).astype(np.float32), (5.0, 1.0, 1.0))
    mask = volume.voxels > np.percentile(volume.voxels, 99)
    bundle_patients = bundle.manifest.training.model_copy(update={"patients": ()})
    known = type(bundle)(
        bundle.identity, bundle.manifest.model_copy(update={"training": bundle_patients}), bundle.graph, bundle.weights
    )
    task = _Task("drawn", "one", "one", lambda: (volume, mask))
    (found,) = _measured(iter([task]), known, tmp_path / "cache")
    served = segment_volume(volume, open_ensemble(bundle, "auto"))
    assert found.index == served.measures.uncertainty_index
    assert found.predicted_ml == served.measures.wmh_volume_ml
    assert found.is_whole

    def not_again() -> tuple[FlairVolume, None]:
        raise AssertionError("read again")

    assert _measured(iter([_Task("drawn", "one", "one", not_again)]), known, tmp_path / "cache") == [found]
