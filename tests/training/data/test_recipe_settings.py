"""Recipes from the command line: every field typed, checked, and compared."""

from __future__ import annotations

from dataclasses import replace

import pytest

from segmentation.networks.specification import NetworkSpecification
from training.data.augmentation import AugmentationSettings
from training.data.presets import PAPER_2024, PRESETS
from training.data.recipe_settings import as_document, differences, for_target, preset, recipe_of, stages, with_settings
from training.errors import BadRecipe


def test_fields_of_every_type() -> None:
    """Numbers, words, lists, optional fields and nested ones arrive typed."""
    recipe = with_settings(
        PAPER_2024,
        [
            "epochs=3",
            "learning_rate=2e-3",
            "network.width=0.5",
            "network.squeeze_excitation=false",
            "network.size=64",
            "scalp_factors=1,0.5",
            "augmentation.noise=0.2",
            "crop=32",
            "steps_per_epoch=none",
            "compute=mixed_bfloat16",
        ],
    )
    assert recipe == replace(
        PAPER_2024,
        epochs=3,
        learning_rate=2e-3,
        network=NetworkSpecification(squeeze_excitation=False, width=0.5, size=64),
        preprocessing=replace(PAPER_2024.preprocessing, size=64),
        scalp_factors=(1.0, 0.5),
        augmentation=AugmentationSettings(noise=0.2),
        crop=32,
        compute="mixed_bfloat16",
    )
    assert with_settings(recipe, ["augmentation=none"]).augmentation is None
    assert with_settings(recipe, ["augmentation=default"]).augmentation == AugmentationSettings()


def test_every_field_of_every_preset_can_be_set() -> None:
    """Each leaf of a preset, set to what it is, changes nothing."""
    for recipe in PRESETS.values():
        for field, value in _leaves(as_document(recipe)):
            if field == "name" or isinstance(value, dict):
                continue
            text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
            assert with_settings(recipe, [f"{field}={text}"]) == recipe, field


def _leaves(document: dict, prefix: str = "") -> list[tuple[str, object]]:
    found = []
    for key, value in document.items():
        found += _leaves(value, f"{prefix}{key}.") if isinstance(value, dict) else [(prefix + key, value)]
    return found


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("epochs", "expected field=value"),
        ("epoch=3", r"--set epoch: no such field; expected one of .*epochs"),
        ("network.widht=1", r"network.widht: no such field; expected one of squeeze_excitation"),
        ("epochs.most=1", "epochs has no parts"),
        ("network=small", r"network: expected one of its parts, as in network.squeeze_excitation="),
        ("epochs=many", r"epochs: .*got 'many'"),
        ("epochs=0", "epochs: expected 1 or more, got 0"),
        ("batch_size=0", "batch_size"),
        ("loss=focal", r"loss: .*'dice'.*got 'focal'"),
        ("learning_rate=nan", "learning_rate: expected a number above 0"),
        ("network.width=9", "network.width: expected a width"),
        ("network.variant=resnet", "network.variant"),
        ("crop=250", "crop: expected none, or a multiple of 8 from 16 to the size 256"),
        ("compute=int8", "compute: expected float32 or mixed_bfloat16"),
        ("synthetic_share=1", "synthetic_share"),
        ("scalp_factors=", "scalp_factors"),
        ("name=mine", "the name belongs to the preset"),
    ],
)
def test_what_cannot_be_set_is_reported(setting: str, words: str) -> None:
    """The error names the field, what it takes and what came."""
    with pytest.raises(BadRecipe, match=words):
        with_settings(PAPER_2024, [setting])


def test_contradicting_sizes() -> None:
    """The two sizes of one image may be set together, but alike."""
    with pytest.raises(BadRecipe, match=r"network.size: expected preprocessing.size 64, got 32"):
        with_settings(PAPER_2024, ["network.size=32", "preprocessing.size=64"])


def test_presets_and_stages() -> None:
    """An unknown preset is named; a recipe comes after those that it starts from, with its own network."""
    with pytest.raises(BadRecipe, match=r"expected a preset .*paper-2024.*got 'paper'"):
        preset("paper")
    for recipe in PRESETS.values():
        assert stages(recipe)[-1] == recipe
    later = replace(PAPER_2024, name="later", start_from="first-reference", network=NetworkSpecification(width=0.25))
    first, last = stages(later)
    assert (first.name, last) == ("first-reference", later)
    assert first.network == later.network
    with pytest.raises(BadRecipe, match="starts from itself"):
        stages(replace(PAPER_2024, start_from="paper-2024"))
    with pytest.raises(BadRecipe, match="expected a preset"):
        stages(replace(PAPER_2024, start_from="nothing"))


def test_the_ventricle_network_is_a_unet() -> None:
    """Paper: UNet for the ventricles, whatever the preset's network is."""
    recipe = for_target(PAPER_2024, "ventricles")
    assert (recipe.target, recipe.network.name) == ("ventricles", "UNet")
    assert for_target(PAPER_2024, "wmh") == PAPER_2024


def test_a_recipe_survives_its_document() -> None:
    """run.json gives the same recipe back, and differences are reported leaf by leaf."""
    for recipe in PRESETS.values():
        assert recipe_of(as_document(recipe)) == recipe
    other = with_settings(PAPER_2024, ["network.width=0.5", "epochs=2"])
    assert differences(as_document(PAPER_2024), as_document(other)) == ["epochs: 50 -> 2", "network.width: 1.0 -> 0.5"]
    with pytest.raises(BadRecipe, match="of this version"):
        recipe_of({"epochs": 3})
