"""Arrays in, arrays out: preprocessing, SE-UNet ensemble, uncertainty, measures, model bundle.

Public: the names in `__all__`. Every other name may change without notice.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from segmentation.bundle import ModelBundle, load_bundle, reference_bundle
    from segmentation.change import Changes, compare_scans
    from segmentation.ensemble import Ensemble, open_ensemble
    from segmentation.errors import SegmentationError
    from segmentation.segment import Segmentation, segment_volume
    from segmentation.volume import FlairVolume

__all__ = [
    "Changes", "Ensemble", "FlairVolume", "ModelBundle", "Segmentation", "SegmentationError", "compare_scans",
    "load_bundle", "open_ensemble", "reference_bundle", "segment_volume",
]  # fmt: skip

# Loaded on first use: a process that needs one module of the package does not pay for SciPy.
_HOMES = {
    "Changes": "segmentation.change",
    "Ensemble": "segmentation.ensemble",
    "FlairVolume": "segmentation.volume",
    "ModelBundle": "segmentation.bundle",
    "Segmentation": "segmentation.segment",
    "SegmentationError": "segmentation.errors",
    "compare_scans": "segmentation.change",
    "load_bundle": "segmentation.bundle",
    "open_ensemble": "segmentation.ensemble",
    "reference_bundle": "segmentation.bundle",
    "segment_volume": "segmentation.segment",
}


def __getattr__(name: str) -> Any:
    """Import a public name from the module that defines it."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
