"""Write a phantom as a DICOM series with its truth beside it."""

from __future__ import annotations

from pathlib import Path

from dicom_node.phantom.phantom import Phantom


def write_phantom_series(phantom: Phantom, folder: Path) -> list[Path]:
    """Write the series as *.dcm, and truth.nii.gz and truth.json beside it.

    Returns:
        The DICOM files, in slice order (feet to head).
    """
    raise NotImplementedError
