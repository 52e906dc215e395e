"""Noise is no head, and every real FLAIR is one."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest
from support.data import shared_data

from dicom_node.demo.phantom.phantom import PhantomSpec, make_phantom
from dicom_node.node.errors import NotFlair
from dicom_node.series.read.head import neighbour_likeness, require_head
from dicom_node.series.read.series import read_series


@pytest.mark.parametrize(
    "spec",
    [PhantomSpec(slices=8, matrix=64), PhantomSpec(slices=12, matrix=128, oblique_degrees=20), PhantomSpec(noise=0.3)],
    ids=str,
)
@pytest.mark.slow
def test_a_phantom_is_a_head(spec: PhantomSpec) -> None:
    """Small, oblique, and with ten times its usual noise."""
    require_head(make_phantom(spec).flair, spec.spacing_mm)


@pytest.mark.parametrize("offset", [0.0, 1000.0, -500.0])
def test_noise_is_no_head(offset: float) -> None:
    """As a receiver without signal gives it, whatever is added to its values."""
    random = np.random.default_rng(5)
    parts = random.normal(size=(2, 20, 128, 128))
    noise = np.hypot(parts[0], parts[1]).astype(np.float32) * 50 + np.float32(offset)
    with pytest.raises(NotFlair, match="no head") as caught:
        require_head(noise, (5.0, 1.8, 1.8))
    assert caught.value.code == "no_head_visible"


@pytest.mark.shared_data
def test_a_real_scan_of_noise_is_refused() -> None:
    """A series at 64 mT whose headers are those of a FLAIR, and whose images show nothing."""
    folder = shared_data("dicom", "dicom2nifti", "hyperfine", "anatomical", "001")
    series = read_series(sorted(folder.iterdir()))
    with pytest.raises(NotFlair):
        require_head(series.voxels, series.spacing_mm)


@pytest.mark.shared_data
def test_every_real_flair_is_a_head() -> None:
    """With room to spare: the limit is half of what the least alike has."""
    files = [*shared_data("flair-wmh").glob("*/flair.nii.gz"), *shared_data("flair-unlabelled").rglob("*.nii.gz")]
    assert files
    assert {file.parent.name + file.name: likeness for file in files if (likeness := _likeness(file)) < 0.65} == {}


def _likeness(file: Path) -> float:
    image = nibabel.as_closest_canonical(nibabel.load(file))
    voxels = np.asarray(image.dataobj, np.float32).transpose(2, 1, 0)
    return neighbour_likeness(voxels, tuple(image.header.get_zooms()[::-1]))
