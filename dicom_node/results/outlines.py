"""What is drawn over a slice: outlines of masks and a shade where the model is unsure, and in which colours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from dicom_node.results.display import DisplayTurn
from dicom_node.results.seg import DISPLAY_RGB
from segmentation.segment import Segmentation
from segmentation.uncertainty import UNCERTAIN_BELOW_BITS, confidence_bits

Colour = tuple[int, int, int]

# Orange and blue stay apart for people who cannot tell red from green; orange is the SEG's own colour.
PERIVENTRICULAR_RGB: Final[Colour] = DISPLAY_RGB
DEEP_RGB: Final[Colour] = (70, 190, 255)
VENTRICLE_RGB: Final[Colour] = (150, 210, 150)
# The shade is a tint: it takes from the green of the grey image and leaves red and blue, so that anatomy shows through.
UNSURE_RGB: Final[Colour] = (255, 110, 235)

# The outline runs just outside of the lesion, so that a small one is not hidden by its own outline: the pixels that the
# second, but not the first, reaches from the lesion (at twice the panel's size).
_NEAR: Final = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 3))
_FAR: Final = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (9, 9))
_THIN: Final = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))


@dataclass(frozen=True, eq=False)  # arrays do not compare to one truth value
class Outlined:
    """What is outlined, all bool of one shape (slice, row, column).

    Attributes:
        wmh: white matter hyperintensities.
        periventricular: the part of them near the ventricles; None where they are not divided.
        ventricles: None where they are not known.
        unsure: voxels, in the WMH and beside it, of which the model is unsure; None where that is not known.
    """

    wmh: NDArray[np.bool_]
    periventricular: NDArray[np.bool_] | None = None
    ventricles: NDArray[np.bool_] | None = None
    unsure: NDArray[np.bool_] | None = None

    @classmethod
    def of(cls, segmentation: Segmentation) -> Outlined:
        """What there is to draw of a segmentation."""
        return cls(
            segmentation.mask,
            segmentation.periventricular,
            segmentation.ventricles,
            confidence_bits(segmentation.probability) < UNCERTAIN_BELOW_BITS,
        )

    def at(self, places: Any) -> Outlined:
        """Some of the slices."""
        return Outlined(*(None if mask is None else mask[places] for mask in self._masks))  # type: ignore[arg-type]

    def turned(self, turn: DisplayTurn, rows: slice, columns: slice) -> Outlined:
        """Turned for display and cropped."""
        return Outlined(
            *(None if mask is None else turn.apply(mask)[:, rows, columns] for mask in self._masks)  # type: ignore[arg-type]
        )

    @property
    def _masks(self) -> tuple[NDArray[np.bool_] | None, ...]:
        return self.wmh, self.periventricular, self.ventricles, self.unsure


def draw_outlines(canvas: NDArray[np.uint8], outlined: Outlined, place: int) -> None:
    """Draw one slice's shade and outlines into an RGB canvas (row, column, 3), a multiple of the slice in size."""
    size = (canvas.shape[1], canvas.shape[0])
    if outlined.unsure is not None:
        shaded = _enlarged(outlined.unsure[place], size) > 0
        canvas[shaded] = (canvas[shaded] * (np.array(UNSURE_RGB) / 255.0)).astype(np.uint8)
    if outlined.ventricles is not None:
        ventricle = _enlarged(outlined.ventricles[place], size)
        canvas[cv2.dilate(ventricle, _THIN) > ventricle] = VENTRICLE_RGB
    wmh = _enlarged(outlined.wmh[place], size)
    outline = cv2.dilate(wmh, _FAR) > cv2.dilate(wmh, _NEAR)
    canvas[outline] = PERIVENTRICULAR_RGB
    if outlined.periventricular is not None:
        inner = outlined.periventricular[place]
        near, far = (_distance(_enlarged(part, size)) for part in (inner, outlined.wmh[place] & ~inner))
        canvas[outline & (far < near)] = DEEP_RGB


def _enlarged(mask: NDArray[np.bool_], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Linear interpolation rounds the voxels' corners and moves no edge: 0.5 is where voxels meet."""
    grown = cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_LINEAR)
    return np.asarray(grown >= 0.5, np.uint8)


def _distance(mask: NDArray[np.uint8]) -> NDArray[np.float32]:
    """To the mask, in pixels; infinite where it is empty."""
    if not mask.any():
        return np.full(mask.shape, np.inf, np.float32)
    return np.asarray(cv2.distanceTransform(1 - mask, cv2.DIST_L2, 3), np.float32)
