"""The segmentation object, read back by other software than wrote it."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from support.data import shared_data
from support.dicom_series import scan_from_nifti, write_scan
from support.result_cases import CASES, MODEL, Case, result_set_of, segmentation_from, segmentation_of, series_of

from dicom_node.results.result_set import part10_bytes
from dicom_node.series.read.series import FlairSeries, read_series
from segmentation.segment import Segmentation

pytestmark = pytest.mark.slow

AXIAL = CASES[0]


def read_back(dataset: Dataset) -> Dataset:
    """The object as a receiver gets it: from bytes."""
    return pydicom.dcmread(BytesIO(part10_bytes(dataset)))


def made(case: Case, folder: Path) -> tuple[FlairSeries, Segmentation, Dataset]:
    """Series, segmentation and SEG of a case."""
    series = series_of(case, folder)
    segmentation = segmentation_of(series, empty=case.empty)
    return series, segmentation, read_back(result_set_of(series, segmentation).seg)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_frame_holds_its_slice_of_the_mask(case: Case, tmp_path: Path) -> None:
    """pydicom decodes one frame per slice, identical to the mask, at the position of the slice that it refers to."""
    series, segmentation, seg = made(case, tmp_path)
    frames = seg.pixel_array.reshape(segmentation.mask.shape)
    assert seg.NumberOfFrames == len(series.frames)
    positions = {
        (frame.sop_instance_uid, frame.frame_number): series.affine[:3, 3] + index * series.affine[:3, 2]
        for index, frame in enumerate(series.frames)
    }
    index_of = {(frame.sop_instance_uid, frame.frame_number): i for i, frame in enumerate(series.frames)}
    seen = set()
    for groups, pixels in zip(seg.PerFrameFunctionalGroupsSequence, frames, strict=True):
        (origin,) = groups.DerivationImageSequence[0].SourceImageSequence
        key = (origin.ReferencedSOPInstanceUID, origin.get("ReferencedFrameNumber"))
        np.testing.assert_array_equal(pixels, segmentation.mask[index_of[key]])
        position = groups.PlanePositionSequence[0].ImagePositionPatient
        np.testing.assert_allclose(position, positions[key], atol=1e-6)
        seen.add(key)
    assert len(seen) == len(series.frames)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_highdicom_reads_the_same_mask_in_the_same_place(case: Case, tmp_path: Path) -> None:
    """highdicom's volume has the mask's voxels and, voxel by voxel, the series' place in the patient."""
    series, segmentation, seg = made(case, tmp_path)
    array, affine = volume_of(seg)
    ours = series.affine[:, [2, 1, 0, 3]]
    np.testing.assert_array_equal(array, segmentation.mask)
    compared = slice(1 if case.one_slice else 0, None)  # one slice has no next one
    np.testing.assert_allclose(affine[:3, compared], ours[:3, compared], atol=1e-6)


def test_frames_refer_to_frames_of_enhanced_instances(tmp_path: Path) -> None:
    """A frame made from an Enhanced MR names the 1-based source frame; one made from a classic MR names none."""
    for case in (AXIAL, CASES[3]):
        series, _, seg = made(case, tmp_path / case.name)
        origins = [g.DerivationImageSequence[0].SourceImageSequence[0] for g in seg.PerFrameFunctionalGroupsSequence]
        assert [o.ReferencedSOPClassUID for o in origins] == [f.sop_class_uid for f in series.frames]
        assert all(("ReferencedFrameNumber" in o) == case.enhanced for o in origins)
        assert all(o.PurposeOfReferenceCodeSequence[0].CodeValue == "121322" for o in origins)
        assert {o.SpatialLocationsPreserved for o in origins} == {"YES"}


def test_the_segment_says_what_it_is(tmp_path: Path) -> None:
    """Category, type, region, algorithm, colour and tracking of the one segment are the documented ones."""
    _, _, seg = made(AXIAL, tmp_path)
    (segment,) = seg.SegmentSequence
    assert code(segment.SegmentedPropertyCategoryCodeSequence) == ("49755003", "SCT")
    assert code(segment.SegmentedPropertyTypeCodeSequence) == ("110702", "DCM")
    assert code(segment.AnatomicRegionSequence) == ("68523003", "SCT")
    (algorithm,) = segment.SegmentationAlgorithmIdentificationSequence
    assert code(algorithm.AlgorithmFamilyCodeSequence) == ("123110", "DCM")
    assert (algorithm.AlgorithmName, algorithm.AlgorithmVersion) == (MODEL.name, MODEL.version)
    assert "precision=bf16" in algorithm.AlgorithmParameters
    assert "threshold=0.5" in algorithm.AlgorithmParameters
    assert segment.SegmentAlgorithmType == "AUTOMATIC"
    assert segment.SegmentAlgorithmName == MODEL.name
    assert len(segment.RecommendedDisplayCIELabValue) == 3
    assert segment.TrackingUID.startswith("2.25.")
    assert seg.SegmentationType == "BINARY"
    assert "RESEARCH USE ONLY" in seg.ContentDescription
    assert "RESEARCH USE ONLY" in seg.SeriesDescription
    assert seg.SeriesNumber == 1901


def test_the_source_series_is_referred_to_whole(tmp_path: Path) -> None:
    """Referenced Series and Source Image list every instance that gave a slice, each once."""
    series, _, seg = made(AXIAL, tmp_path)
    expected = sorted(str(header.SOPInstanceUID) for header in series.headers)
    (referenced,) = seg.ReferencedSeriesSequence
    assert referenced.SeriesInstanceUID == series.series_instance_uid
    assert sorted(i.ReferencedSOPInstanceUID for i in referenced.ReferencedInstanceSequence) == expected
    assert sorted(i.ReferencedSOPInstanceUID for i in seg.SourceImageSequence) == expected


def test_pixels_are_padded_with_null(tmp_path: Path) -> None:
    """An odd number of pixel bytes is padded with 00H (PS3.5 8.1.1), not with a bit that a reader may take for WMH."""
    series = series_of(CASES[7], tmp_path)
    full = np.ones(series.voxels.shape, np.float32)
    seg = result_set_of(series, segmentation_from(series, full)).seg
    used = -(-full.size // 8)
    assert used % 2 == 1
    assert seg.PixelData[used:] == b"\x00"
    assert np.unpackbits(np.frombuffer(seg.PixelData, np.uint8)).sum() == full.size


@pytest.mark.shared_data
@pytest.mark.parametrize("enhanced", [False, True], ids=["classic", "enhanced"])
@pytest.mark.parametrize("patient", ["openms_patient01_study1", "openms_patient03_study1"])
def test_real_scans_keep_their_mask_and_place(patient: str, enhanced: bool, tmp_path: Path) -> None:
    """Real scans of non-square and anisotropic grids come back with the identical mask and geometry."""
    path = shared_data("flair-unlabelled", f"{patient}.nii.gz")
    series = read_series(write_scan(scan_from_nifti(path), tmp_path, enhanced=enhanced))
    bright = series.voxels > np.percentile(series.voxels, 99)
    segmentation = segmentation_from(series, np.where(bright, 0.9, 0.1).astype(np.float32))
    array, affine = volume_of(read_back(result_set_of(series, segmentation).seg))
    np.testing.assert_array_equal(array, segmentation.mask)
    np.testing.assert_allclose(affine, series.affine[:, [2, 1, 0, 3]], atol=1e-3)


def test_lossy_sources_give_results_that_say_so(tmp_path: Path) -> None:
    """A SEG of lossily compressed images carries ratio and method on (PS3.3 C.7.6.1.1.5); of others it says 00."""
    series = series_of(AXIAL, tmp_path)
    assert result_set_of(series, segmentation_of(series)).seg.LossyImageCompression == "00"
    header = series.headers[2]
    header.LossyImageCompression = "01"
    header.LossyImageCompressionRatio, header.LossyImageCompressionMethod = [10.5, 2], ["ISO_10918_1", "ISO_15444_1"]
    seg = read_back(result_set_of(series, segmentation_of(series)).seg)
    assert seg.LossyImageCompression == "01"
    assert list(seg.LossyImageCompressionRatio) == [10.5, 2]


def test_a_part_of_an_enhanced_instance_keeps_its_frames(tmp_path: Path) -> None:
    """Where only every second frame of an instance was analysed, each result frame names the right one of them."""
    whole = series_of(CASES[3], tmp_path)
    affine = whole.affine.copy()
    affine[:3, 2] *= 2
    depth, row, column = whole.spacing_mm
    part = replace(
        whole, stored=whole.stored[::2], frames=whole.frames[::2], affine=affine, spacing_mm=(2 * depth, row, column)
    )
    segmentation = segmentation_of(part)
    seg = read_back(result_set_of(part, segmentation).seg)
    slice_of = {frame.frame_number: index for index, frame in enumerate(part.frames)}
    origins = [
        int(groups.DerivationImageSequence[0].SourceImageSequence[0].ReferencedFrameNumber)
        for groups in seg.PerFrameFunctionalGroupsSequence
    ]
    assert sorted(origins) == sorted(slice_of)
    for origin, pixels in zip(origins, seg.pixel_array, strict=True):
        np.testing.assert_array_equal(pixels, segmentation.mask[slice_of[origin]])


def volume_of(seg: Dataset) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """highdicom's reading: array (slice, row, column), slices from feet to head, and its affine to mm, LPS."""
    volume = highdicom.seg.Segmentation.from_dataset(seg).get_volume(combine_segments=True)
    if volume.affine[2, 0] < 0:
        volume = volume.flip_spatial(0)
    return volume.array, volume.affine


def code(sequence: object) -> tuple[str, str]:
    """(value, scheme) of a code sequence's first item."""
    item = sequence[0]  # type: ignore[index]
    return item.CodeValue, item.CodingSchemeDesignator
