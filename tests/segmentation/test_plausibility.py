"""Every rule of the table holds where it should, and not beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest

from segmentation import plausibility
from segmentation.evidence import Evidence, gather
from segmentation.interval import VolumeInterval
from segmentation.measures import Measures, measure
from segmentation.plausibility import RULES, assess_plausibility
from segmentation.volume import FlairVolume


def _evidence(volume_ml: float = 10.0, index: float = 0.2, **changes: Any) -> Evidence:
    """A plausible case but for the changes."""
    own = {name: changes.pop(name) for name in ("review_recommended", "volume_interval_ml") if name in changes}
    measures = Measures(volume_ml, 5, index, False, VolumeInterval(0.8 * volume_ml, 1.3 * volume_ml))
    return Evidence(**{"measures": replace(measures, **own), "brain_ml": 1300.0, **changes})


# Rule -> what makes it hold, and the same just beside the limit.
_CASES: Mapping[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "no_brain_found": ({"brain_ml": 0.0}, {"brain_ml": 100.0}),
    "implausible_brain": ({"brain_ml": 2501.0}, {"brain_ml": 2500.0}),
    "implausible_volume": ({"volume_ml": 200.5, "brain_ml": 1500.0}, {"volume_ml": 200.0, "brain_ml": 1500.0}),
    "implausible_share": ({"volume_ml": 150.0, "brain_ml": 700.0}, {"volume_ml": 140.0, "brain_ml": 700.0}),
    "mostly_outside_brain": ({"outside_ml": 10.1}, {"outside_ml": 10.0}),
    "at_the_skull": ({"rim_share": 0.51}, {"rim_share": 0.5}),
    "almost_all_uncertain": ({"index": 0.9}, {"index": 0.89}),
    "interval_covers_brain": (
        {"volume_interval_ml": VolumeInterval(5.0, 331.0)},
        {"volume_interval_ml": VolumeInterval(5.0, 330.0)},
    ),
    "uncertain": ({"review_recommended": True}, {"review_recommended": False}),
    "large_share": ({"volume_ml": 81.0, "brain_ml": 1000.0}, {"volume_ml": 80.0, "brain_ml": 1000.0}),
    "partly_outside_brain": ({"outside_ml": 1.2}, {"outside_ml": 1.1}),
    "near_the_skull": ({"rim_share": 0.21}, {"rim_share": 0.2}),
    "wide_interval": (
        {"volume_interval_ml": VolumeInterval(5.0, 30.1)},
        {"volume_interval_ml": VolumeInterval(5.0, 30.0)},
    ),
    "small_brain": ({"brain_ml": 499.0}, {"brain_ml": 500.0}),
    "bright_mass": ({"mass_radius_mm": 9.0}, {"mass_radius_mm": 8.9}),
    "cortical_wedge": ({"wedge_cm2": 1.5}, {"wedge_cm2": 0.0}),
    "skull_gap": ({"skull_gap_mm": 30.0}, {"skull_gap_mm": 29.0}),
    "one_sided": ({"side": 0.81}, {"side": 0.8}),
    "dominating_lesion": ({"largest_ml": 7.6, "largest_side": 0.95}, {"largest_ml": 7.5, "largest_side": 0.95}),
    "lost_slices": ({"lost_slices": 1}, {"lost_slices": 0}),
    "lost_lines": ({"lost_lines": 1}, {"lost_lines": 0}),
    "unlike_flair": ({"dark": 0.8}, {"dark": 0.7}),
    "extreme_pixels": ({"scaled_by_extremes": True}, {"scaled_by_extremes": False}),
}


def _codes(evidence: Evidence) -> set[str]:
    return {reason.code for reason in assess_plausibility(evidence).reasons}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
def test_each_rule_holds_at_its_limit_and_not_beside_it(rule: plausibility.Rule) -> None:
    """Beyond the limit the reason is given with the reliability of the table; at the limit it is not."""
    beyond, beside = _CASES[rule.code]
    found = assess_plausibility(_evidence(**beyond))
    assert {reason.code: reason.reliability for reason in found.reasons}[rule.code] == rule.reliability
    assert rule.code not in _codes(_evidence(**beside))


def test_a_plausible_case_is_ok() -> None:
    """Nothing odd: no reason, no headline, and the result is ok."""
    found = assess_plausibility(_evidence())
    assert (found.reliability, found.reasons, found.headline) == ("ok", (), None)


def test_the_strictest_reason_decides() -> None:
    """A result that one rule sends to review and another finds unreliable is not reliable, and says so first."""
    found = assess_plausibility(_evidence(volume_ml=824.0, mass_radius_mm=20.0))
    assert found.reliability == "not_reliable"
    assert found.headline == "implausible volume"
    assert {"implausible_volume", "bright_mass"} <= {reason.code for reason in found.reasons}


def test_one_thing_is_said_once() -> None:
    """Where half of the WMH lies at the skull, the milder rule about the skull is silent."""
    assert _codes(_evidence(rim_share=0.9)) == {"at_the_skull"}


def test_sentences_hold_no_more_than_ascii_and_end() -> None:
    """Every sentence fits any character set of DICOM, is one sentence or more, and carries no unfilled number."""
    for rule in RULES:
        sentence = rule.sentence(_evidence(**_CASES[rule.code][0]))
        assert sentence.isascii() and sentence.endswith(".") and "{" not in sentence and "nan" not in sentence


def test_the_documented_table_is_the_table() -> None:
    """The table in the module's own words names each rule with what it gives, in the order of the code."""
    rows = [line.split("|") for line in (plausibility.__doc__ or "").splitlines() if line.startswith("| ")][1:]
    assert [(row[1].strip(), row[3].strip()) for row in rows] == [(rule.code, rule.reliability) for rule in RULES]
    assert set(_CASES) == {rule.code for rule in RULES}
    assert {field.name for field in fields(Evidence)} >= {"mass_radius_mm", "rim_share"}


def _disc(centre: tuple[float, float], radius: float, shape: tuple[int, int] = (120, 120)) -> np.ndarray:
    rows, columns = np.indices(shape)
    return np.hypot(rows - centre[0], columns - centre[1]) <= radius


def _drawn(lesion: np.ndarray, bright: float = 1400.0) -> tuple[FlairVolume, np.ndarray, np.ndarray]:
    """Six slices of an oval brain, 2 mm pixels, with one lesion in two of them."""
    rows, columns = np.indices((120, 120))
    oval = ((rows - 60) / 44.0) ** 2 + ((columns - 60) / 34.0) ** 2 <= 1.0
    brain = np.repeat(oval[None], 6, axis=0)
    mask = np.zeros_like(brain)
    mask[2:4] = lesion
    noise = np.random.default_rng(0).normal(0.0, 3.0, brain.shape)  # a scan without noise has lost its pixels
    voxels = np.where(brain, 1000.0, 0.0)
    voxels[:, 44:76, 54:66] = 200.0
    voxels[mask] = bright
    return FlairVolume((voxels + noise).astype(np.float32), (6.0, 2.0, 2.0)), brain, mask


def _gathered(lesion: np.ndarray) -> Evidence:
    volume, brain, mask = _drawn(lesion)
    probability = mask.astype(np.float32)
    return gather(volume, brain, mask, 0.0, measure(mask, probability, volume.voxel_volume_ml))


def test_a_mass_is_measured_by_the_disc_that_it_fills() -> None:
    """A bright disc of 20 mm radius is measured as such within 3 mm, and lies on one side."""
    found = _gathered(_disc((60, 80), 10))
    assert found.mass_radius_mm == pytest.approx(20.0, abs=3.0)
    assert found.side == found.largest_side == 1.0
    assert {"bright_mass", "one_sided"} <= _codes(found)


def test_small_lesions_on_both_sides_are_plausible() -> None:
    """Two discs of 5 mm radius, left and right, are neither a mass nor one-sided."""
    found = _gathered(_disc((60, 80), 2.5) | _disc((60, 40), 2.5))
    assert found.side == pytest.approx(0.0, abs=0.05)
    assert found.mass_radius_mm < 8.0
    assert found.wedge_cm2 == 0.0
    assert _codes(found) == set()


def test_wmh_along_the_edge_counts_as_at_the_skull() -> None:
    """A mask in the outermost 4 mm of the brain is at its rim with every voxel."""
    rows, columns = np.indices((120, 120))
    reach = ((rows - 60) / 44.0) ** 2 + ((columns - 60) / 34.0) ** 2
    found = _gathered((reach <= 1.0) & (reach > 0.92))
    assert found.rim_share > 0.95
    assert "at_the_skull" in _codes(found)


def test_the_midline_turns_with_the_head() -> None:
    """A head turned by 30 degrees has its sides turned too: what lies along its midline is on both sides."""
    rows, columns = np.indices((160, 160))
    y, x = (rows - 80.0) * 2, (columns - 80.0) * 2
    turned = np.deg2rad(30)
    along, across = y * np.cos(turned) + x * np.sin(turned), -y * np.sin(turned) + x * np.cos(turned)
    brain = np.repeat(((along / 88) ** 2 + (across / 68) ** 2 <= 1.0)[None], 6, axis=0)
    mask = np.zeros_like(brain)
    mask[2:4] = (np.abs(across) < 6) & (along > 20) & (along < 60)
    volume = FlairVolume(np.where(brain, 1000.0, 0.0).astype(np.float32), (6.0, 2.0, 2.0))
    measures = measure(mask, mask.astype(np.float32), volume.voxel_volume_ml)
    assert gather(volume, brain, mask, 0.0, measures).side < 0.15


def test_a_blank_volume_has_no_evidence_but_no_brain() -> None:
    """Without a brain nothing is divided by zero, and the result is not reliable."""
    blank = FlairVolume(np.zeros((3, 20, 20), np.float32), (5.0, 5.0, 5.0))
    empty = np.zeros((3, 20, 20), bool)
    found = gather(blank, empty, empty, 0.0, measure(empty, empty.astype(np.float32), 0.125))
    assert found.share_of_brain is None
    assert assess_plausibility(found).reliability == "not_reliable"
