"""Arrays turned and scaled to how a radiologist looks at slices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from segmentation.percentiles import percentile
from segmentation.volume import Stored, as_float

# Where the picture's right and lower edge point in the patient (LPS axis, sign), by the axis that the slices are
# stacked along: axial with the patient's right on the picture's left and the front on top; coronal alike with the head
# on top; sagittal with the front on the left.
_EDGES: Final = {2: ((0, 1), (1, 1)), 1: ((0, 1), (2, -1)), 0: ((1, 1), (2, -1))}
_LETTERS: Final = (("L", "R"), ("P", "A"), ("S", "I"))  # LPS axes, (+, -)

# Display window. The 70th percentile of the head is grey matter, with bright and with suppressed fat, and white is a
# multiple of it: by a high percentile fat would decide, and lesions would be grey in grey.
_BRAIN_PERCENTILE: Final = 70.0
_WHITE_BY_BRAIN: Final = 1.75
_BLACK_PERCENTILE: Final = 1.0
_AIR_FRACTION: Final = 0.1  # of the 99th percentile: what is darker is air


@dataclass(frozen=True)
class DisplayTurn:
    """How a (slice, row, column) array is turned for display.

    Attributes:
        swap: rows and columns are exchanged first.
        flip_rows, flip_columns: then these are reversed.
        left, right: letters of the patient's sides at the picture's edges.
    """

    swap: bool
    flip_rows: bool
    flip_columns: bool
    left: str
    right: str

    def apply(self, data: NDArray[Any]) -> NDArray[Any]:
        """Turn an array (slice, row, column)."""
        turned = data.transpose(0, 2, 1) if self.swap else data
        return turned[:, :: -1 if self.flip_rows else 1, :: -1 if self.flip_columns else 1]

    def spacing(self, spacing_mm: tuple[float, float, float]) -> tuple[float, float]:
        """(row, column) spacing in mm after turning, from (slice, row, column)."""
        _, row, column = spacing_mm
        return (column, row) if self.swap else (row, column)


def display_turn(affine_lps: NDArray[np.float64]) -> DisplayTurn:
    """The turn after which slices look as radiologists expect them; oblique slices go by their nearest plane.

    Args:
        affine_lps: 4x4, (column, row, slice) indices to mm, LPS.
    """
    axes = affine_lps[:3, :3] / np.linalg.norm(affine_lps[:3, :3], axis=0)
    stacking = int(np.argmax(np.abs(np.cross(axes[:, 0], axes[:, 1]))))
    (right_axis, right_sign), (down_axis, down_sign) = _EDGES[stacking]
    swap = abs(axes[right_axis, 1]) > abs(axes[right_axis, 0])
    columns, rows = (axes[:, 1], axes[:, 0]) if swap else (axes[:, 0], axes[:, 1])
    plus, minus = _LETTERS[right_axis]
    return DisplayTurn(
        swap=bool(swap),
        flip_rows=bool(rows[down_axis] * down_sign < 0),
        flip_columns=bool(columns[right_axis] * right_sign < 0),
        left=minus if right_sign > 0 else plus,
        right=plus if right_sign > 0 else minus,
    )


def head_mask(voxels: Stored) -> NDArray[np.bool_]:
    """Voxels that are not air."""
    mask: NDArray[np.bool_] = np.greater(voxels, _AIR_FRACTION * np.float32(percentile(voxels, 99.0)))
    return mask


def grey_window(voxels: Stored, head: NDArray[np.bool_]) -> tuple[float, float]:
    """(black, white) intensities between which lesions of the white matter show well."""
    inside = as_float(voxels[head] if head.any() else voxels.ravel())
    lowest, brain = np.percentile(inside, (_BLACK_PERCENTILE, _BRAIN_PERCENTILE))
    black = 0.25 * lowest if lowest > 0 else lowest
    return float(black), float(black + _WHITE_BY_BRAIN * (brain - black))


def to_grey(voxels: Stored, head: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Intensities as 0..255, in a window that shows lesions of the white matter well."""
    black, white = grey_window(voxels, head)
    scaled = (as_float(voxels) - black) / max(white - black, float(np.finfo(np.float32).eps))
    grey: NDArray[np.uint8] = np.rint(255.0 * np.clip(scaled, 0.0, 1.0)).astype(np.uint8)
    return grey
