"""What was measured of a bundle, written into it."""

from __future__ import annotations

from pathlib import Path

from support.models import tiny_bundle

from segmentation.bundle import CARD_NAME, load_bundle
from segmentation.ensemble import open_ensemble
from segmentation.manifest import PredictiveContract
from training.bundle.restate import DOUBT_HEADING, restate, restate_scanners

PREDICTIVE = PredictiveContract(nominal=0.8, factor=2.0, coverage=0.9, patients=11)


def test_limits_and_words_change_and_the_weights_stay(tmp_path: Path) -> None:
    """Version, limit, interval and card are the new ones, every other file is the same; a second time replaces them."""
    folder = tiny_bundle(tmp_path / "model")
    before = load_bundle(folder)
    restate(folder, "0.0.2", "Doubt as measured.", review_above=0.5, predictive=None)
    after = restate(folder, "0.0.3", "Measured again.", review_above=0.6, predictive=PREDICTIVE, images={"a" * 64: ""})
    weights = {name: entry for name, entry in after.manifest.files.items() if name != CARD_NAME}
    assert weights == {name: entry for name, entry in before.manifest.files.items() if name != CARD_NAME}
    assert (after.identity.version, after.manifest.review_above) == ("0.0.3", 0.6)
    assert after.identity.digest != before.identity.digest
    assert after.manifest.training.images == {"a" * 64: ""}
    restate_scanners(folder, "0.0.4", "By scanner.")
    assert load_bundle(folder).manifest.review_above == 0.6
    card = (folder / CARD_NAME).read_text()
    assert "By scanner." in card
    assert card.count(DOUBT_HEADING) == 1
    assert "Measured again." in card and "as measured" not in card
    ensemble = open_ensemble(after, "tensorflow")
    assert ensemble.review_above == 0.6
    assert ensemble.predictive is not None and ensemble.predictive.factor == 2.0
