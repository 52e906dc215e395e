"""Real DICOM of many vendors: each file and each series is read or refused by name."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from support.data import shared_data

from dicom_node.node.errors import NotAnalysable
from dicom_node.series.dicom.folder import find_series
from dicom_node.series.dicom.frames import frames_of
from dicom_node.series.dicom.jpeg_child import JpegChild
from dicom_node.series.dicom.pixels import decode_frames
from dicom_node.series.dicom.stored_values import intensities
from dicom_node.series.geometry.planning import Planning, missing_at_ends
from dicom_node.series.read.series import read_series
from dicom_node.series.rules.completeness import slice_completeness
from dicom_node.series.rules.flair import classify_series
from dicom_node.series.rules.study import planning_of_headers

pytestmark = pytest.mark.shared_data

# Folder -> the codes that its series end with ("read" for a volume): looked at one by one, and found right.
_EXPECTED: dict[str, set[str]] = {
    "canon_galan": {"diffusion"},
    "dcm_qa_enh": {"other_contrast", "short_echo"},
    "dcm_qa_frag": {"t1_weighted"},
    "dcm_qa_ts/In": {"short_echo"},
    "dicom2nifti/failing/notavolume/001": {"not_mr"},
    "dicom2nifti/failing/slicecount/001": {"not_axial"},
    "dicom2nifti/failing/sliceorientation/001": {"not_flair"},
    "dicom2nifti/ge/anatomical/001": {"short_echo"},
    "dicom2nifti/ge/anatomical/001_implicit": {"short_echo"},
    "dicom2nifti/ge/anatomical/001_single_slice": {"short_echo"},
    # Sagittal 3D FLAIR without a description: recognised by its timing, refused by its orientation.
    "dicom2nifti/generic/compressed_j2k/001": {"not_axial"},
    "dicom2nifti/generic/compressed_jpeg/001": {"not_axial"},
    "dicom2nifti/generic/compressed_jpegls/001": {"not_axial"},
    "dicom2nifti/generic/compressed_rle/001": {"not_axial"},
    "dicom2nifti/generic/rgb/001": {"not_mr_image"},
    "dicom2nifti/hitachi/anatomical/001": {"short_echo"},
    "dicom2nifti/hitachi/anatomical/001_implicit": {"short_echo"},
    # Eight slices of a 64 mT FLAIR: Acquisition Contrast says FLUID_ATTENUATED.
    "dicom2nifti/hyperfine/anatomical/001": {"read"},
    "dicom2nifti/philips_enhanced/anatomical/001": {"other_contrast"},
    "dicom2nifti/philips_enhanced/anatomical/001_implicit": {"other_contrast"},
    "dicom2nifti/siemens/anatomical/001": {"not_axial"},
    "dicom2nifti/siemens/anatomical/001_implicit": {"not_axial"},
    "dicom2nifti/siemens_multiframe/anatomical/001": {"short_echo"},
    "ge_genesis_flair_single": {"too_few_slices"},
    "nema_enhanced_mr": {"not_flair", "not_mr_image", "localizer", "map"},
    "nema_wg04": {"derived", "t1_weighted", "short_echo", "not_magnitude"},
    "siemens_xa30_enhanced": {"other_technique"},
    "toshiba_galan": {"diffusion"},
    "uih_umr770": {"diffusion", "t1_weighted"},
}


def _outcome(paths: tuple[Path, ...]) -> str:
    try:
        read_series(paths)
    except NotAnalysable as refusal:
        assert refusal.reason.endswith((".", ")"))
        return refusal.code
    return "read"


def test_every_series_is_read_or_refused_by_name() -> None:
    """Series by series, the outcome is the one that was looked at and found right."""
    root = shared_data("dicom")
    outcomes: dict[str, set[str]] = {}
    for folder in sorted({path.parent for path in root.rglob("*") if path.is_file()}):
        files = sorted(path for path in folder.iterdir() if path.is_file())
        for series in find_series(files).series:
            code = _outcome(series.paths)
            name = folder.relative_to(root).as_posix()
            outcomes.setdefault(name, set()).add(code)
            print(f"{name:55} {len(series.paths):3} files  {code}")
            slice_completeness(series.headers)
            if code not in {"read", "not_axial", "too_few_slices"}:
                assert classify_series(series.headers).code == code
    assert outcomes == _EXPECTED


def test_only_a_series_that_lacks_slices_looks_incomplete() -> None:
    """Of all series those three are said to lack slices whose folders hold a few of many, and no other is waited for in
    vain; no series is said to end before another of its study."""
    root = shared_data("dicom")
    incomplete: set[str] = set()
    studies: dict[str, list[Planning]] = {}
    count = 0
    for folder in sorted({path.parent for path in root.rglob("*") if path.is_file()}):
        for series in find_series(sorted(path for path in folder.iterdir() if path.is_file())).series:
            count += 1
            found = slice_completeness(series.headers)
            if found.has_gap or (found.expected or 0) > found.found:
                incomplete.add(folder.relative_to(root).as_posix())
            if (planning := planning_of_headers(series.headers)) is not None:
                studies.setdefault(str(series.headers[0].StudyInstanceUID), []).append(planning)
    assert count >= 44
    assert incomplete == {"canon_galan", "toshiba_galan", "uih_umr770"}
    assert any(len(plannings) > 1 for plannings in studies.values())
    for plannings in studies.values():
        assert not any(missing_at_ends(own, [other for other in plannings if other is not own]) for own in plannings)


def test_every_file_alone_is_read_or_refused() -> None:
    """Each file given to the reader alone ends in a volume or a typed refusal."""
    codes = Counter(_outcome((path,)) for path in sorted(shared_data("dicom").rglob("*")) if path.is_file())
    print(dict(codes))
    assert sum(codes.values()) >= 149


def test_real_compressed_series_decode_to_equal_pixels() -> None:
    """One real series in JPEG 2000, lossless JPEG, JPEG-LS and RLE gives the same pixels four times."""
    root = shared_data("dicom", "dicom2nifti", "generic")
    decoded = [_decode(root / f"compressed_{kind}" / "001") for kind in ("j2k", "jpeg", "jpegls", "rle")]
    assert len(decoded[0]) == 4
    for other in decoded[1:]:
        assert other.keys() == decoded[0].keys()
        assert all((other[key] == decoded[0][key]).all() for key in other)


def test_real_compressions_of_one_slice_decode() -> None:
    """The MR slice that is stored in 9 files over 7 transfer syntaxes decodes to equal pixels in all of them."""
    (series,) = find_series([shared_data("dicom", "dcm_qa_ts", "In")]).series
    images: dict[str, np.ndarray] = {}
    with JpegChild() as child:
        for path, header in zip(series.paths, series.headers, strict=True):
            image = intensities(decode_frames(path, frames_of([header]), child))[0].take(0)
            images[f"{header.file_meta.TransferSyntaxUID.keyword} {path.stem}"] = image
    reference = next(image for name, image in images.items() if name.startswith("ExplicitVRLittleEndian"))
    different = {
        name: float(np.abs(image - reference).max()) for name, image in images.items() if (image != reference).any()
    }
    print(list(images), different)
    assert len(images) == 9
    assert not any("Lossless" in name or "RLE" in name for name in different)


def _decode(folder: Path) -> dict[str, np.ndarray]:
    (series,) = find_series([folder]).series
    with JpegChild() as child:
        return {
            str(header.ImagePositionPatient): intensities(decode_frames(path, frames_of([header]), child))[0].take(0)
            for path, header in zip(series.paths, series.headers, strict=True)
        }
