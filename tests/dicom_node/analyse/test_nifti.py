"""What `segment` refuses of NIfTI before any network is asked."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import nibabel
import numpy as np
import pytest

from dicom_node.analyse.nifti import segment_nifti
from dicom_node.node.errors import UnsupportedGeometry
from segmentation.ensemble import Ensemble


def test_slices_far_apart_are_refused_as_in_dicom(tmp_path: Path) -> None:
    """Every fifth slice of a scan, 34 mm apart: lesions between them are unseen, so there is no volume to give."""
    image = nibabel.Nifti1Image(np.random.default_rng(1).normal(100, 9, (40, 40, 4)), np.diag([4.0, 4.0, 34.0, 1.0]))
    image.set_qform(image.affine, 1)
    nibabel.save(image, tmp_path / "flair.nii.gz")
    with pytest.raises(UnsupportedGeometry, match=r"34\.0 mm apart; at most 15 mm"):
        segment_nifti(tmp_path / "flair.nii.gz", cast("Ensemble", None), tmp_path, lambda *_: None)
