"""Named training recipes: every deviation from the paper is a field here."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final, Literal

from segmentation.networks.specification import NetworkSpecification
from segmentation.preprocessing.settings import PreprocessingSettings
from training.data.augmentation import AugmentationSettings

AVERAGED_FILE: Final = "averaged.weights.h5"
PRETRAINING: Final = "pretraining"
"""What `start_from` names in place of a preset: one network for all members (`training.fit.pretraining`)."""


@dataclass(frozen=True)
class Recipe:
    """How one member is trained.

    Attributes:
        loss: a key of `training.fit.losses.LOSSES`.
        learning_rate: Adam's first rate.
        schedule: `inverse-time` with decay rate/300 a step (paper) or `cosine` to zero.
        batch_size: slices a step (paper: 8).
        epochs: passes over `steps_per_epoch` batches (paper: 50 over every slice).
        steps_per_epoch: None: every slice once an epoch; else this many batches of slices drawn by weight.
        empty_slice_weight: with drawn batches, the weight of a slice without lesions beside 1 for one with.
        crop: side of the random crops that are trained on (cheaper steps); None: whole slices.
        target: which mask is learnt.
        synthetic_share: share of the slices that comes from synthetic scans and phantoms, if any are given, after
            `real_only_epochs`.
        scalp_factors: each case is also shown with all outside the brain dimmed by these, as fat saturation does.
        brain_margins_mm: by the scale `brain-alone`, each case is shown with its brain mask grown by these, as a
            network's is a little wrong; in place of `scalp_factors`.
        ignored_rim_mm: what is not marked so near to the ventricles counts in no loss (`training.data.ignored`), where
            a case brings no ignore.nii.gz of its own; 0: it counts.
        ignored_rim_sd: of that only what is so bright, in SD of the brain above its median; of drawn scans, what is
            marked there and less bright counts in no loss either. None: brightness plays no part.
        compute: Keras dtype policy.
        start_from: preset whose weights for the same member this one goes on from; None: from random weights;
            `PRETRAINING`: from the one pretrained network that `--start` gives.
        start_share: share of those weights in what the stage ends with, see `training.fit.averaging`.
        is_mirrored: for ventricles: the network is asked about mirror images too, see `segmentation.mirroring`.
        is_calibrated: a temperature from held-out patients is folded into the members, see `training.fit.calibration`.
        shifts_logits: and a shift, so that the amount that is marked is right.
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
    target: Literal["wmh", "ventricles"] = "wmh"
    synthetic_share: float = 0.0
    real_only_epochs: int = 0
    scalp_factors: tuple[float, ...] = (1.0,)
    brain_margins_mm: tuple[float, ...] = (0.0,)
    ignored_rim_mm: float = 0.0
    ignored_rim_sd: float | None = None
    compute: str = "float32"
    start_from: str | None = None
    start_share: float = 0.0
    is_mirrored: bool = False
    is_calibrated: bool = False
    shifts_logits: bool = False

    @property
    def result_file(self) -> str:
        """Name of the file in a member's folder with the weights that a finished fit ends with."""
        return AVERAGED_FILE if self.start_share else f"epoch-{self.epochs:03d}.weights.h5"


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
    synthetic_share=0.4,
    real_only_epochs=17,
    scalp_factors=(1.0, 0.6, 0.35, 0.15),
    compute="mixed_bfloat16",
)

# Goes on from `first-reference` with synthetic scans of every contrast, which other scanners need
# (docs/adr/0007: augmentation of one scanner's images does nothing for another's contrast).
SECOND_REFERENCE = replace(
    FIRST_REFERENCE,
    name="second-reference",
    start_from="first-reference",
    start_share=0.4,
    is_calibrated=True,
    learning_rate=1.5e-3,
    epochs=24,
    synthetic_share=0.5,
    real_only_epochs=0,
)

# The shipped bundle: real and synthetic scans are learnt together once more, gently, and slices are made thicker
# too.
REFERENCE = replace(
    SECOND_REFERENCE,
    name="reference",
    start_from="second-reference",
    start_share=0.25,
    augmentation=AugmentationSettings(thickness_share=0.35),
    learning_rate=8e-4,
    epochs=16,
    synthetic_share=0.4,
)

# The next bundle: all members begin from one network that was pretrained on drawn scans alone, and see the brain alone.
# Caps and rims that MS3SEG's masks leave out count neither way; the drawn scans mark them (docs/researcher).
REFERENCE_BRAIN = replace(
    REFERENCE,
    name="reference-brain",
    preprocessing=PreprocessingSettings(scale="brain-alone"),
    start_from=PRETRAINING,
    start_share=0.0,
    augmentation=AugmentationSettings(
        gamma=0.2, contrast=0.15, brightness=0.15, noise=0.08, bias_field=0.12, thickness_share=0.3
    ),
    scalp_factors=(1.0,),
    brain_margins_mm=(-1.5, 0.0, 1.5),
    ignored_rim_mm=5.0,
    epochs=20,
    synthetic_share=0.5,
)

# Members of the first stage mark every lining of the ventricles: no loss had said what is none. Here only what is as
# bright as lesions are counts neither way (a quarter of the manual WMH is darker); drawn rims must be that bright, too.
SECOND_REFERENCE_BRAIN = replace(
    REFERENCE_BRAIN,
    name="second-reference-brain",
    start_from="reference-brain",
    ignored_rim_sd=1.3,
    shifts_logits=True,
    epochs=36,
    synthetic_share=0.35,
)

# Slices of stroke patients are given beside the drawn scans (`training.bundle.pseudo_labels`): many scanners, vascular
# WMH, infarcts that are none. Real scans have most of the say at the end.
THIRD_REFERENCE_BRAIN = replace(
    SECOND_REFERENCE_BRAIN,
    name="third-reference-brain",
    start_from="second-reference-brain",
    learning_rate=8e-4,
    epochs=16,
    synthetic_share=0.3,
)

# Slices of stroke patients were a twenty-fifth of what the third stage saw: infarcts were still called WMH. Here they
# are two fifths.
FOURTH_REFERENCE_BRAIN = replace(
    THIRD_REFERENCE_BRAIN,
    name="fourth-reference-brain",
    start_from="third-reference-brain",
    learning_rate=6e-4,
    epochs=5,
    synthetic_share=0.6,
)

# 250 steps brought the infarcts called WMH from 8.8 % to 5.3 %: more of the same, with more slices of stroke patients.
FIFTH_REFERENCE_BRAIN = replace(
    FOURTH_REFERENCE_BRAIN,
    name="fifth-reference-brain",
    start_from="fourth-reference-brain",
    learning_rate=8e-4,
    epochs=16,
)

# The paper's ventricle network is a UNet; a quarter of its width is enough for a structure so large. So few filters
# fill no bfloat16 tile: float32 is faster (0.23 s a step against 0.31 s or more).
FIRST_VENTRICLES = replace(
    SECOND_REFERENCE,
    name="first-ventricles",
    target="ventricles",
    start_from=None,
    start_share=0.0,
    is_calibrated=False,
    network=NetworkSpecification(squeeze_excitation=False, width=0.25),
    learning_rate=2e-3,
    epochs=14,
    empty_slice_weight=0.5,
    compute="float32",
)

# Label maps count every horn and the fourth ventricle in, the readers of the real masks do not, who have the last word.
SECOND_VENTRICLES = replace(
    FIRST_VENTRICLES,
    name="second-ventricles",
    start_from="first-ventricles",
    epochs=40,
    synthetic_share=0.1,
)

# What was still taken for ventricle is the cistern behind the third one, and sulci near the vertex: more is seen of
# slices without ventricles.
VENTRICLES = replace(
    SECOND_VENTRICLES,
    name="ventricles",
    start_from="second-ventricles",
    is_mirrored=True,
    learning_rate=1.5e-3,
    epochs=20,
    empty_slice_weight=1.5,
    synthetic_share=0.15,
)

# The paper's recipe at a quarter of the cost, to compare the reference preset with on a CPU: half width, bfloat16.
PAPER_2024_HALF = replace(
    PAPER_2024, name="paper-2024-half", network=NetworkSpecification(width=0.5), compute="mixed_bfloat16"
)

# The paper's recipe whole, but for bfloat16, so that a CPU with AMX gets through it.
PAPER_2024_BF16 = replace(PAPER_2024, name="paper-2024-bf16", compute="mixed_bfloat16")

# The half-width one without squeeze and excitation: what that block buys, with all else alike.
PAPER_2024_HALF_UNET = replace(
    PAPER_2024_HALF, name="paper-2024-half-unet", network=NetworkSpecification(squeeze_excitation=False, width=0.5)
)

PRESETS = {
    recipe.name: recipe
    for recipe in (
        PAPER_2024,
        PAPER_2024_BF16,
        PAPER_2024_HALF,
        PAPER_2024_HALF_UNET,
        FIRST_REFERENCE,
        SECOND_REFERENCE,
        REFERENCE,
        REFERENCE_BRAIN,
        SECOND_REFERENCE_BRAIN,
        THIRD_REFERENCE_BRAIN,
        FOURTH_REFERENCE_BRAIN,
        FIFTH_REFERENCE_BRAIN,
        FIRST_VENTRICLES,
        SECOND_VENTRICLES,
        VENTRICLES,
    )
}
