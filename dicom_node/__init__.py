"""DICOM node: receive, select, read, write SEG and SR, deliver; command line and wiring.

Public: the names in `__all__`. Every other name may change without notice.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dicom_node.analyse.many.result import ScanResult
    from dicom_node.analyse.many.segment_many import segment_many
    from dicom_node.analyse.segment_series import SeriesResult, segment_series
    from dicom_node.node.errors import NotAnalysable, WmhNodeError

__all__ = ["NotAnalysable", "ScanResult", "SeriesResult", "WmhNodeError", "segment_many", "segment_series"]

# Loaded on first use: the receiver is in this package too, and loads neither pydicom nor NumPy.
_HOMES = {
    "NotAnalysable": "dicom_node.node.errors",
    "ScanResult": "dicom_node.analyse.many.result",
    "SeriesResult": "dicom_node.analyse.segment_series",
    "WmhNodeError": "dicom_node.node.errors",
    "segment_many": "dicom_node.analyse.many.segment_many",
    "segment_series": "dicom_node.analyse.segment_series",
}


def __getattr__(name: str) -> Any:
    """Import a public name from the module that defines it."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
