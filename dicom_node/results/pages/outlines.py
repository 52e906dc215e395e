"""What is drawn over a slice: outlines of masks and a shade where the model is unsure, and in which colours."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from dicom_node.results.common.colours import DEEP_RGB, PERIVENTRICULAR_RGB, VENTRICLES_RGB, Colour
from dicom_node.results.pages.display import DisplayTurn
from segmentation.interval import bounds_of
from segmentation.segment import Segmentation

# The shade is a tint of the grey image, so that anatomy shows through: violet, which is no outline's colour, and a blue
# to eyes that cannot distinguish red from green.
UNSURE_RGB: Final[Colour] = (185, 90, 255)

# The outline runs just outside of the lesion, so that a small one is not hidden by its own outline: the pixels that the
# second, but not the first, of these reaches from the lesion, in a canvas up to so wide; in a wider one it is wider.
_NEAR: Final = 1
_FAR: Final = 4
_THIN: Final = 2
_WIDEST: Final = 500


class Planes(Protocol):
    """A mask, bool, of which one slice after another can be had: an array or a `BoxedMask`."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(slice, row, column)."""

    def __getitem__(self, index: int, /) -> Any:
        """One slice."""

    def __len__(self) -> int:
        """Slices."""


@dataclass(frozen=True, eq=False)
class _Unsure:
    """Where the model is unsure, slice by slice."""

    segmentation: Segmentation

    @property
    def shape(self) -> tuple[int, ...]:
        return self.segmentation.kept_mask.shape

    def __getitem__(self, index: int, /) -> NDArray[np.bool_]:
        bounds = bounds_of(self.segmentation.kept_mask[index], self.segmentation.probability_map.inside(index))
        return bounds.possible & ~bounds.sure

    def __len__(self) -> int:
        return len(self.segmentation.kept_mask)


@dataclass(frozen=True, eq=False)  # arrays do not compare to one truth value
class Outlined:
    """What is outlined, all of one shape (slice, row, column).

    Attributes:
        wmh: white matter hyperintensities.
        periventricular: the part of them near the ventricles; None where they are not divided.
        ventricles: None where they are not known.
        unsure: voxels, in the WMH and beside it, of which the model is unsure: they lie between the ends of the volume
            interval; None where that is not known.
    """

    wmh: Planes
    periventricular: Planes | None = None
    ventricles: Planes | None = None
    unsure: Planes | None = None

    @classmethod
    def of(cls, segmentation: Segmentation) -> Outlined:
        """What there is to draw of a segmentation."""
        return cls(
            segmentation.kept_mask,
            segmentation.kept_periventricular,
            segmentation.kept_ventricles,
            _Unsure(segmentation),
        )

    def at(self, places: Sequence[int]) -> Outlined:
        """Some of the slices, as arrays."""
        return self._each(lambda mask: np.stack([mask[place] for place in places]))

    def turned(self, turn: DisplayTurn) -> Outlined:
        """Turned for display; of arrays, as `at` gives them."""
        return self._each(turn.apply)

    def cropped(self, rows: slice, columns: slice) -> Outlined:
        """Some rows and columns; of arrays, as `at` gives them."""
        return self._each(lambda mask: mask[:, rows, columns])

    def _each(self, change: Callable[[Any], NDArray[np.bool_]]) -> Outlined:
        masks = (self.wmh, self.periventricular, self.ventricles, self.unsure)
        return Outlined(*(None if mask is None else change(mask) for mask in masks))  # type: ignore[arg-type]


def draw_outlines(canvas: NDArray[np.uint8], outlined: Outlined, place: int) -> None:
    """Draw one slice's shade and outlines into an RGB canvas (row, column, 3), a multiple of the slice in size."""
    size = (canvas.shape[1], canvas.shape[0])
    if outlined.unsure is not None:
        shaded = _enlarged(outlined.unsure[place], size) > 0
        canvas[shaded] = (canvas[shaded] * (np.array(UNSURE_RGB) / 255.0)).astype(np.uint8)
    by = max(1, round(size[0] / _WIDEST))
    if outlined.ventricles is not None:
        ventricle = _enlarged(outlined.ventricles[place], size)
        canvas[_grown(ventricle, _THIN * by) > ventricle] = VENTRICLES_RGB
    wmh = _enlarged(outlined.wmh[place], size)
    outline = _grown(wmh, _FAR * by) > _grown(wmh, _NEAR * by)
    canvas[outline] = PERIVENTRICULAR_RGB
    if outlined.periventricular is not None:
        inner = outlined.periventricular[place]
        near, far = (_distance(_enlarged(part, size)) for part in (inner, outlined.wmh[place] & ~inner))
        canvas[outline & (far < near)] = DEEP_RGB


def draw_masks(canvas: NDArray[np.uint8], masks: Sequence[tuple[NDArray[np.bool_], Colour]]) -> None:
    """Outline masks (row, column) of one slice in their colours, the last on top, as `draw_outlines` does."""
    size = (canvas.shape[1], canvas.shape[0])
    by = max(1, round(size[0] / _WIDEST))
    for mask, colour in masks:
        enlarged = _enlarged(mask, size)
        canvas[_grown(enlarged, _FAR * by) > _grown(enlarged, _NEAR * by)] = colour


def _enlarged(mask: NDArray[np.bool_], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Linear interpolation rounds the voxels' corners and moves no edge: 0.5 is where voxels meet."""
    grown = cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_LINEAR)
    return np.asarray(grown >= 0.5, np.uint8)


def _grown(mask: NDArray[np.uint8], pixels: int) -> NDArray[np.uint8]:
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * pixels + 1, 2 * pixels + 1))
    return np.asarray(cv2.dilate(mask, disc), np.uint8)


def _distance(mask: NDArray[np.uint8]) -> NDArray[np.float32]:
    """To the mask, in pixels; infinite where it is empty."""
    if not mask.any():
        return np.full(mask.shape, np.inf, np.float32)
    return np.asarray(cv2.distanceTransform(1 - mask, cv2.DIST_L2, 3), np.float32)
