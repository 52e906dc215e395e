"""Real FLAIR scans (NIfTI, shared data) made into DICOM series with exact geometry."""

from __future__ import annotations

from pathlib import Path


def series_from_nifti(flair_path: Path, folder: Path, *, enhanced: bool = False) -> list[Path]:
    """Write a NIfTI FLAIR as an MR series; returns the files in slice order."""
    raise NotImplementedError
