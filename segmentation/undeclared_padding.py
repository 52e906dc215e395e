"""Padding that no header declares: one value, far from all others, that fills a part of the images.

Programs that reslice, deface or export write a number of their own where nothing was scanned: -32768, -1024, 65535. A
scan's own values lie close to each other; a value that many voxels have and that is as far from the next one as half of
the scan's range is none of them.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

# One hot pixel a slice is 0.002 %; a text burnt in, or the corners of a resliced image, more.
_LEAST_SHARE: Final = 0.002
_LEAST_GAP: Final = 0.5  # of the range of all other values but the most extreme 0.1 %
_TRIMMED_PERCENT: Final = 0.1


def undeclared_padding(values: NDArray[Any]) -> tuple[float, ...]:
    """The values that are no signal: none, the lowest, the highest, or both.

    Args:
        values: intensities of a whole volume, finite, of any shape.
    """
    flat = values.ravel()
    found: list[float] = []
    for _ in range(2):
        if not flat.size:
            break
        lowest, highest = flat.min(), flat.max()
        alone = [end for end in (lowest, highest) if _is_alone(flat, end)]
        if not alone:
            break
        found.append(float(alone[0]))
        flat = flat[flat != alone[0]]
    return tuple(found)


def _is_alone(flat: NDArray[Any], end: Any) -> bool:
    """Many voxels have this value, and the next one is far away."""
    same = flat == end
    if not _LEAST_SHARE <= float(same.mean()) < 1.0:
        return False
    rest = flat[~same].astype(np.float64)
    low, high = np.percentile(rest, (_TRIMMED_PERCENT, 100 - _TRIMMED_PERCENT))
    gap = float(rest.min()) - float(end) if end < rest.min() else float(end) - float(rest.max())
    return gap > _LEAST_GAP * float(high - low) > 0
