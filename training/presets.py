"""Named training recipes: every deviation from the paper is a field here."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from segmentation.networks.specification import NetworkSpecification
from segmentation.preprocessing.settings import PreprocessingSettings
from training.augmentation import AugmentationSettings


@dataclass(frozen=True)
class Recipe:
    """How one member is trained.

    Attributes:
        loss: a key of `training.losses.LOSSES`.
        learning_rate: Adam's first rate.
        schedule: `inverse-time` with decay rate/300 a step (paper) or `cosine` to zero.
        batch_size: slices a step (paper: 8).
        epochs: passes over `steps_per_epoch` batches (paper: 50 over every slice).
        steps_per_epoch: None: every slice once an epoch; else this many batches of slices drawn by weight.
        empty_slice_weight: with drawn batches, the weight of a slice without lesions beside 1 for one with.
        crop: side of the random crops that are trained on (cheaper steps); None: whole slices.
        phantom_share: share of the drawn slices that comes from phantoms, if any, after `real_only_epochs`.
        scalp_factors: each case is also shown with all outside the brain dimmed by these, as fat saturation does.
        compute: Keras dtype policy.
    """

    name: str
    network: NetworkSpecification = field(default_factory=NetworkSpecification)
    preprocessing: PreprocessingSettings = field(default_factory=PreprocessingSettings)
    augmentation: AugmentationSettings | None = None
    loss: Literal["dice", "dice+bce"] = "dice"
    learning_rate: float = 1e-3
    schedule: Literal["inverse-time", "cosine"] = "inverse-time"
    batch_size: int = 8
    epochs: int = 50
    steps_per_epoch: int | None = None
    empty_slice_weight: float = 1.0
    crop: int | None = None
    phantom_share: float = 0.0
    real_only_epochs: int = 0
    scalp_factors: tuple[float, ...] = (1.0,)
    compute: str = "float32"


PAPER_2024 = Recipe("paper-2024")

# The first shipped bundle: the paper's network at half width, trained on two CPU cores in about an hour.
# Dice alone stayed above 0.97 for ten epochs on these scans; cross-entropy, augmentation and a cosine end mend that.
FIRST_REFERENCE = replace(
    PAPER_2024,
    name="first-reference",
    network=NetworkSpecification(width=0.5),
    augmentation=AugmentationSettings(),
    loss="dice+bce",
    learning_rate=2e-3,
    schedule="cosine",
    epochs=27,
    steps_per_epoch=50,
    empty_slice_weight=0.4,
    crop=160,
    phantom_share=0.4,
    real_only_epochs=17,
    scalp_factors=(1.0, 0.6, 0.35, 0.15),
    compute="mixed_bfloat16",
)

PRESETS = {recipe.name: recipe for recipe in (PAPER_2024, FIRST_REFERENCE)}
