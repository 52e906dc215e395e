"""What users reported of other software, tried on ours: each input is read and analysed as `segment` does."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import nibabel
import numpy as np
import pytest
from support.report_inputs import (
    UNKNOWN_VRS,
    Spoil,
    SpoilFile,
    copied_spacing,
    elements,
    hot_pixel_in_each_slice,
    of_ge,
    padded,
    private_element,
    signed_12_bits,
    twelve_bits_that_are_more,
    with_vr,
    with_zeros_behind,
    without_file_meta,
    without_preamble,
    without_transfer_syntax,
    write,
    write_nifti,
)

from dicom_node.analyse.analysis import analyse_files
from dicom_node.series.read.flair_series import FlairSeries
from dicom_node.series.read.series import read_series
from segmentation.bundle import load_bundle, reference_bundle
from segmentation.ensemble import Ensemble, open_ensemble
from segmentation.errors import BadVolume
from segmentation.nifti import read_flair_nifti, write_mask_nifti
from segmentation.segment import segment_volume

# What is done to the data sets, to the files' bytes, and the flags that must be there.
Case = tuple[Spoil | None, SpoilFile | None, frozenset[str]]
_NO_FLAG: Final[frozenset[str]] = frozenset()
_PHILIPS: Final = private_element(0x2005, "Philips MR Imaging DD 001")
_GE: Final = private_element(0x0009, "GEMS_IDEN_01")
_SPINE: Final = elements(BodyPartExamined="CSPINE", SeriesDescription="AX FLAIR BRAIN", ProtocolName="AX FLAIR BRAIN")

EQUAL: Final[dict[str, Case]] = {
    "01 mra": (of_ge("STROKE BRAIN/MRA"), None, _NO_FLAG),
    "01 swi": (of_ge("BRAIN W/WO SWI FLAIR"), None, _NO_FLAG),
    "01 pituitary": (of_ge("PITUITARY"), None, _NO_FLAG),
    "02": (_SPINE, None, frozenset({"body_part_contradicts"})),
    "04 lies": (twelve_bits_that_are_more, None, frozenset({"bits_contradict_pixels"})),
    **{f"09 {vr!r}": (_PHILIPS, with_vr(0x2005, vr), _NO_FLAG) for vr in UNKNOWN_VRS},
    **{f"09 early {vr!r}": (_GE, with_vr(0x0009, vr), _NO_FLAG) for vr in (b"\0\0", b"??")},
    "18 preamble": (None, without_preamble, _NO_FLAG),
    "18 meta": (None, without_file_meta, _NO_FLAG),
    "18 syntax": (None, without_transfer_syntax, _NO_FLAG),
    "30 mpr": (copied_spacing, None, frozenset({"spacing_contradicts_positions"})),
    "30 negative": (elements(SpacingBetweenSlices="-8"), None, _NO_FLAG),
    "34": (None, with_zeros_behind, _NO_FLAG),
}
ALIKE: Final[dict[str, Case]] = {
    "03 -32768": (padded(-32768, signed=True), None, _NO_FLAG),
    "03 65535": (padded(65535, signed=False), None, _NO_FLAG),
    "03 32767": (padded(32767, signed=True), None, _NO_FLAG),
    "03 0": (padded(0, signed=False), None, _NO_FLAG),
    "04 signed": (signed_12_bits, None, _NO_FLAG),
    "29": (hot_pixel_in_each_slice, None, frozenset({"extreme_pixels"})),
}


@pytest.fixture(scope="module")
def ensemble() -> Ensemble:
    return open_ensemble(load_bundle(reference_bundle()), "openvino")


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> FlairSeries:
    """The phantom as it is."""
    return read_series(write(tmp_path_factory.mktemp("plain")))


@pytest.fixture(scope="module")
def plain_ml(ensemble: Ensemble, plain: FlairSeries) -> float:
    """Its WMH volume."""
    volume = segment_volume(plain.volume(), ensemble).measures.wmh_volume_ml
    assert volume > 10
    return volume


@pytest.mark.parametrize("name", EQUAL)
def test_the_images_are_those_of_the_plain_series(name: str, plain: FlairSeries, tmp_path: Path) -> None:
    """Whatever was spoilt, the networks are given what they are of the plain phantom; the flag says what was found."""
    spoil, spoil_file, flags = EQUAL[name]
    found = read_series(write(tmp_path, spoil, spoil_file))
    np.testing.assert_array_equal(found.voxels, plain.voxels)
    assert found.spacing_mm == pytest.approx(plain.spacing_mm)
    assert flags <= set(found.flags)


@pytest.mark.slow
@pytest.mark.parametrize("name", ALIKE)
def test_the_volume_is_that_of_the_plain_series(name: str, ensemble: Ensemble, plain_ml: float, tmp_path: Path) -> None:
    """Where pixels differ, the volume is within 5 % of the plain phantom's; the flag says what was found."""
    spoil, spoil_file, flags = ALIKE[name]
    found = analyse_files(write(tmp_path, spoil, spoil_file), ensemble)
    assert found.segmentation.measures.wmh_volume_ml == pytest.approx(plain_ml, rel=0.05)
    assert flags <= {*found.series.flags, *found.segmentation.flags}


def test_nifti_26_keeps_its_forms(tmp_path: Path) -> None:
    """The mask has both transforms and codes of its FLAIR, though they differ by (10, -5, 3) mm."""
    path = write_nifti(tmp_path / "flair.nii.gz", 1, 2, (10.0, -5.0, 3.0))
    volume, grid = read_flair_nifti(path)
    write_mask_nifti(tmp_path / "wmh.nii.gz", volume.voxels > 500, grid)
    source, mask = nibabel.load(path), nibabel.load(tmp_path / "wmh.nii.gz")
    assert (int(mask.header["qform_code"]), int(mask.header["sform_code"])) == (1, 2)
    np.testing.assert_allclose(mask.get_qform(), source.get_qform(), atol=1e-4)
    np.testing.assert_allclose(mask.get_sform(), source.get_sform(), atol=1e-4)


def test_nifti_26_without_forms_is_refused(tmp_path: Path) -> None:
    """Codes 0 and 0: left and right are unknown."""
    path = write_nifti(tmp_path / "flair.nii.gz", 0, 0, (0.0, 0.0, 0.0))
    with pytest.raises(BadVolume, match="qform_code and sform_code are 0"):
        read_flair_nifti(path)


def test_nifti_26_of_nan_is_refused(tmp_path: Path) -> None:
    """NaN in place of dark voxels: the reason says so."""
    path = write_nifti(tmp_path / "flair.nii.gz", 1, 1, (0.0, 0.0, 0.0))
    image = nibabel.load(path)
    voxels = image.get_fdata(dtype=np.float32)
    voxels[voxels < 200] = np.nan
    nibabel.save(nibabel.Nifti1Image(voxels, None, image.header), tmp_path / "nan.nii.gz")
    with pytest.raises(BadVolume, match="NaN"):
        read_flair_nifti(tmp_path / "nan.nii.gz")
