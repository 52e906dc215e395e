"""Limits of intensities, from training images into the bundle and out of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.models import tiny_bundle

from dicom_node.demo.phantom.phantom import PhantomSpec, make_phantom
from segmentation.bundle import CARD_NAME, load_bundle
from segmentation.ensemble import open_ensemble
from segmentation.evidence import GENERAL_LIMITS, Evidence
from segmentation.interval import VolumeInterval
from segmentation.manifest import IntensityContract
from segmentation.measures import Measures
from segmentation.plausibility import assess_plausibility
from segmentation.volume import FlairVolume
from training.bundle.intensity_limits import MARGIN, in_words, intensity_limits
from training.bundle.restate import INTENSITIES_HEADING, restate_intensities
from training.errors import BadCohort


def _head(seed: int, fluid: float = 1.0) -> FlairVolume:
    phantom = make_phantom(PhantomSpec(seed=seed, slices=10, matrix=64))
    return FlairVolume((phantom.flair**fluid).astype(np.float32), phantom.spec.spacing_mm)


def test_a_limit_is_the_highest_of_the_images_and_a_margin() -> None:
    """Of two equal heads as of one; a head with a narrower range changes nothing."""
    both = intensity_limits([_head(1), _head(1)])
    assert (both.images, both.bright > 1.0 + MARGIN * 0.1, both.dark > 0) == (2, True, True)
    assert intensity_limits([_head(1), _head(1), _head(1)]).model_copy(update={"images": 2}) == both
    with pytest.raises(BadCohort, match="at least two"):
        intensity_limits([_head(1)])


def test_a_bundle_states_them_and_its_results_are_held_to_them(tmp_path: Path) -> None:
    """Written into manifest and card, they are what the ensemble judges by; the weights stay."""
    folder = tiny_bundle(tmp_path, members=1)
    before = load_bundle(folder)
    assert open_ensemble(before, "openvino").intensity_limits == GENERAL_LIMITS
    limits = IntensityContract(dark=0.5, spread=0.4, bright=2.0, images=11)
    after = restate_intensities(folder, "0.0.9", in_words(limits), limits)
    assert after.manifest.intensities == limits
    assert INTENSITIES_HEADING in (folder / CARD_NAME).read_text()
    assert {name: after.manifest.files[name] for name in after.manifest.files if name != CARD_NAME} == {
        name: before.manifest.files[name] for name in before.manifest.files if name != CARD_NAME
    }
    held = open_ensemble(after, "openvino").intensity_limits
    assert (held.dark, held.spread, held.bright, held.of_training) == (0.5, 0.4, 2.0, True)


def test_the_reason_says_by_what_it_judges() -> None:
    """Beyond the training's limits the training is named; by the general ones it is said that the model states none."""
    evidence = Evidence(Measures(10.0, 5, 0.2, False, VolumeInterval(8.0, 13.0)), 1300.0, dark=0.6)
    own = replace(GENERAL_LIMITS, dark=0.5, of_training=True)
    assert assess_plausibility(evidence).reasons == ()
    (reason,) = assess_plausibility(replace(evidence, limits=own)).reasons
    assert (reason.code, "trained on" in reason.sentence) == ("unlike_flair", True)
    (reason,) = assess_plausibility(replace(evidence, dark=0.8)).reasons
    assert "does not state" in reason.sentence
