"""What the label maps' numbers mean, and how bright each tissue may be on FLAIR."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray


class Tissue(IntEnum):
    """Tissues that FLAIR distinguishes, and some that it does not but that get a brightness of their own."""

    AIR = 0
    WHITE_MATTER = 1
    CORTEX = 2
    DEEP_GREY = 3
    LIMBIC = 4
    CEREBELLAR_WHITE = 5
    CEREBELLAR_CORTEX = 6
    BRAINSTEM = 7
    VENTRICLE = 8
    CSF = 9
    CHOROID_PLEXUS = 10
    VESSEL = 11
    EYE = 12
    SOFT_TISSUE = 13
    SKULL = 14
    MARROW = 15
    SINUS = 16
    MUCOSA = 17


# FreeSurfer's numbers; 500 and more are SynthSeg's extra-cerebral classes, named here by where they lie. 25 and 57 are
# white matter lesions of the person scanned; 136, 137, 163 and 164 lie inside the lateral ventricles (plexus).
_LABELS: Final[dict[Tissue, tuple[int, ...]]] = {
    Tissue.WHITE_MATTER: (2, 41, 25, 57, 77),
    Tissue.CORTEX: (3, 42),
    Tissue.DEEP_GREY: (10, 49, 11, 50, 12, 51, 13, 52, 26, 58, 28, 60),
    Tissue.LIMBIC: (17, 53, 18, 54),
    Tissue.CEREBELLAR_WHITE: (7, 46),
    Tissue.CEREBELLAR_CORTEX: (8, 47),
    Tissue.BRAINSTEM: (16, 85),
    Tissue.VENTRICLE: (4, 43, 5, 44, 14, 15, 72),
    Tissue.CSF: (24,),
    Tissue.CHOROID_PLEXUS: (136, 137, 163, 164, 31, 63),
    Tissue.VESSEL: (30, 62),
    Tissue.EYE: (506,),
    Tissue.SOFT_TISSUE: (507, 508, 502, 530),
    Tissue.SKULL: (511, 515),
    Tissue.MARROW: (516,),
    Tissue.SINUS: (514,),
    Tissue.MUCOSA: (509, 512),
}
LESION_LABELS: Final = (25, 57)

INSIDE_BRAIN: Final = (
    Tissue.WHITE_MATTER,
    Tissue.CORTEX,
    Tissue.DEEP_GREY,
    Tissue.LIMBIC,
    Tissue.CEREBELLAR_WHITE,
    Tissue.CEREBELLAR_CORTEX,
    Tissue.BRAINSTEM,
    Tissue.VENTRICLE,
    Tissue.CHOROID_PLEXUS,
    Tissue.VESSEL,
)


@dataclass(frozen=True)
class Brightness:
    """Range of a tissue's mean, white matter being 1, and of its texture's SD in the same unit."""

    low: float
    high: float
    texture: float = 0.03


# FLAIR nulls CSF and shows grey matter a little brighter than white; outside the brain everything depends on fat
# saturation and coils. The real scans at hand lie inside these ranges, which are made wider on purpose.
FLAIR_BRIGHTNESS: Final[dict[Tissue, Brightness]] = {
    Tissue.AIR: Brightness(0.0, 0.0, 0.0),
    Tissue.WHITE_MATTER: Brightness(1.0, 1.0, 0.03),
    Tissue.CORTEX: Brightness(1.0, 1.45, 0.07),
    Tissue.DEEP_GREY: Brightness(0.95, 1.3, 0.04),
    Tissue.LIMBIC: Brightness(1.05, 1.5, 0.06),
    Tissue.CEREBELLAR_WHITE: Brightness(0.85, 1.1, 0.03),
    Tissue.CEREBELLAR_CORTEX: Brightness(0.95, 1.35, 0.05),
    Tissue.BRAINSTEM: Brightness(0.85, 1.2, 0.05),
    Tissue.VENTRICLE: Brightness(0.05, 0.45, 0.03),
    Tissue.CSF: Brightness(0.05, 0.55, 0.08),
    Tissue.CHOROID_PLEXUS: Brightness(0.5, 1.7, 0.15),
    Tissue.VESSEL: Brightness(0.2, 0.9, 0.05),
    Tissue.EYE: Brightness(0.05, 0.5, 0.03),
    Tissue.SOFT_TISSUE: Brightness(0.15, 2.4, 0.25),
    Tissue.SKULL: Brightness(0.02, 0.5, 0.06),
    Tissue.MARROW: Brightness(0.1, 2.2, 0.2),
    Tissue.SINUS: Brightness(0.1, 1.3, 0.15),
    Tissue.MUCOSA: Brightness(0.1, 1.8, 0.25),
}


def tissue_map(labels: NDArray[np.integer]) -> NDArray[np.uint8]:
    """Label numbers as `Tissue` values, same shape; a number that is not listed counts as soft tissue."""
    table = np.full(int(labels.max()) + 1, Tissue.SOFT_TISSUE, np.uint8)
    table[0] = Tissue.AIR
    for tissue, numbers in _LABELS.items():
        for number in numbers:
            if number < len(table):
                table[number] = tissue
    tissues: NDArray[np.uint8] = table[labels]
    return tissues
