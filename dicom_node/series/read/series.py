"""Read a FLAIR series from DICOM files."""

from __future__ import annotations

import re
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydicom.config import RAISE
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileDataset
from pydicom.multival import MultiValue

from dicom_node.node.errors import IncompleteSeries, NotAnalysable, NotFlair, UnreadableObject, UnsupportedGeometry
from dicom_node.node.free_memory import give_back_free_memory
from dicom_node.series.dicom import values
from dicom_node.series.dicom.announced import are_slices_missing
from dicom_node.series.dicom.digest import instances_digest
from dicom_node.series.dicom.frames import Frame, frames_of
from dicom_node.series.dicom.jpeg_child import JpegChild
from dicom_node.series.dicom.parsing import PARSER_ERRORS, data_set_sha256, file_sha256, read_header
from dicom_node.series.dicom.pixels import MAX_VOXELS, decode_frames
from dicom_node.series.dicom.stored_values import StoredFrame, intensities
from dicom_node.series.geometry.acquisition import lacks_images
from dicom_node.series.geometry.planes import Plane
from dicom_node.series.geometry.stacking import Stack, stack
from dicom_node.series.geometry.volumes import CandidateVolume
from dicom_node.series.read.dark_air import is_air_bright
from dicom_node.series.read.flair_series import FEWER_ANNOUNCED, FlairSeries, SourceFrame
from dicom_node.series.read.lost_pixels import PIXELS_LOST, are_pixels_lost
from dicom_node.series.read.patients import require_one_patient
from dicom_node.series.read.row_length import require_row_length
from dicom_node.series.read.stored_volume import StoredVolume
from dicom_node.series.rules.flair import choose_volume
from dicom_node.series.rules.verdict import Verdict
from segmentation.undeclared_padding import with_dark_filler
from segmentation.volume import Stored

__all__ = ["FlairSeries", "SourceFrame", "read_series"]

# Formats that writers of results check (PS3.5 6.2); old archives hold dates such as 2024.01.01 and ages such as 50.
_STRICT_VRS = frozenset({"AS", "CS", "DA", "DS", "DT", "IS", "TM", "UI"})
_SLICES_A_TRIM: Final = 32
_UID = re.compile(r"[0-9.]{1,64}")

# Verdicts that are about damage or geometry rather than contrast keep their own kind of error.
_VERDICT_ERRORS: dict[str, type[NotAnalysable]] = {
    "no_geometry": UnsupportedGeometry,
    "frame_count_mismatch": UnreadableObject,
    "frames_in_single_frame": UnreadableObject,
    "empty": IncompleteSeries,
}


@dataclass(frozen=True)
class _Files:
    """The files of one series, each once, with headers in the same order."""

    paths: tuple[Path, ...]
    headers: tuple[FileDataset, ...]
    digest: str
    files_digest: str
    series_instance_uid: str
    study_instance_uid: str
    had_copies: bool


def read_series(paths: Sequence[Path]) -> FlairSeries:
    """Read the files of one series into one regular volume.

    Args:
        paths: the files of one series, in any order; a file that holds exactly the bytes of another counts once.

    Raises:
        NotFlair: the series is readable, but is not a brain FLAIR.
        IncompleteSeries: slices are missing, or too few.
        UnreadableObject: a file is no DICOM, or its pixels cannot be decoded; or the files are of several patients.
        UnsupportedGeometry: the slices do not stack into one regular axial volume.
    """
    files = _open(paths)
    choice = choose_volume(files.headers)
    if not choice.verdict.accepted or choice.volume is None:
        raise _refusal(choice.verdict)
    frames = frames_of(files.headers)
    stacked = stack(choice.volume, len(frames) - len(choice.volume.planes))
    frame_of_reference, reference_flags = _frame_of_reference(files, choice.volume)
    kept, stored, pixel_flags = _pixels(files, stacked)
    sources = list(dict.fromkeys(plane.frame.source for plane in kept))
    headers = tuple(_with_reference(clean_header(files.headers[source]), frame_of_reference) for source in sources)
    copies = ("duplicate_slices_dropped",) if files.had_copies else ()
    is_short = are_slices_missing(frames, choice.volume.slice_count) or lacks_images(frames, choice.volume)
    short = (FEWER_ANNOUNCED,) if is_short else ()
    flags = (*choice.verdict.flags, *stacked.flags, *short, *reference_flags, *copies, *pixel_flags)
    return FlairSeries(
        stored=stored,
        affine=stacked.affine,
        spacing_mm=stacked.spacing_mm,
        frames=tuple(_source_frame(plane.frame) for plane in kept),
        headers=headers,
        series_instance_uid=files.series_instance_uid,
        study_instance_uid=files.study_instance_uid,
        frame_of_reference_uid=frame_of_reference,
        instances_digest=files.digest,
        files_digest=files.files_digest,
        flags=tuple(dict.fromkeys(flags)),
    )


def _open(paths: Sequence[Path]) -> _Files:
    if not paths:
        raise IncompleteSeries("empty", "No file was given; expected the files of one series.")
    unique: dict[tuple[str, str], tuple[Path, FileDataset]] = {}
    for path in paths:
        header = read_header(path)
        uid = values.text(header, "SOPInstanceUID")
        if not _UID.fullmatch(uid):
            raise UnreadableObject(
                "no_uid", "A file has no valid SOPInstanceUID; every DICOM instance has one (PS3.3 C.12.1)."
            )
        unique.setdefault((uid, data_set_sha256(path)), (path, header))
    # What the files are, not what they are called, decides which of two slices at one place is kept: a series has other
    # file names in our storage than in a folder.
    ordered = [unique[key] for key in sorted(unique)]
    headers = tuple(header for _, header in ordered)
    require_one_patient(headers)  # before all that may be answered under one of them
    series = _common_uid(headers, "SeriesInstanceUID", "several_series")
    study = _common_uid(headers, "StudyInstanceUID", "several_studies")
    return _Files(
        paths=tuple(path for path, _ in ordered),
        headers=headers,
        digest=instances_digest(unique),
        files_digest=instances_digest((uid, file_sha256(path)) for (uid, _), (path, _) in unique.items()),
        series_instance_uid=series,
        study_instance_uid=study,
        had_copies=len(unique) < len(paths),
    )


def _common_uid(headers: Sequence[Dataset], keyword: str, code: str) -> str:
    found = {values.text(header, keyword) for header in headers}
    if len(found) != 1:
        raise UnreadableObject(code, f"Expected one {keyword} in all files; {len(found)} different ones were found.")
    if not _UID.fullmatch(next(iter(found))):
        raise UnreadableObject("no_uid", f"The files have no valid {keyword}; expected digits and dots (PS3.5 9.1).")
    return found.pop()


def _refusal(verdict: Verdict) -> NotAnalysable:
    return _VERDICT_ERRORS.get(verdict.code, NotFlair)(verdict.code, verdict.reason)


def _frame_of_reference(files: _Files, volume: CandidateVolume) -> tuple[str, tuple[str, ...]]:
    found = {values.text(plane.frame.header, "FrameOfReferenceUID") for plane in volume.planes}
    if len(found) > 1:
        raise UnsupportedGeometry(
            "several_frames_of_reference",
            "The slices do not share one frame of reference (the patient was moved out between them); one is expected.",
        )
    uid = found.pop()
    if uid:
        return uid, ()
    # Type 1 in PS3.3 C.7.4.1, and yet missing in old conversions: results need one, so it is derived from the series.
    made = uuid.uuid5(uuid.NAMESPACE_OID, f"frame of reference of {files.series_instance_uid}")
    return f"2.25.{made.int}", ("no_frame_of_reference",)


def _pixels(files: _Files, stacked: Stack) -> tuple[list[Plane], Stored, tuple[str, ...]]:
    """Decode all frames of the stack, file by file; at each place one frame is kept.

    Raises:
        UnsupportedGeometry: two frames at one place differ.
    """
    first = stacked.places[0][0]
    shape = (len(stacked.places), first.rows, first.columns)
    if first.rows * first.columns * sum(map(len, stacked.places)) > MAX_VOXELS:
        raise UnreadableObject("matrix_too_large", f"Expected at most {MAX_VOXELS} voxels; the headers say {shape}.")
    taken, value_flags = _decode(files, stacked)
    kept = [place[0] for place in stacked.places]
    planes: Iterable[NDArray[np.float32]] = (_one_of(place, taken) for place in stacked.places)
    flags = ["duplicate_slices_dropped"] if any(len(place) > 1 for place in stacked.places) else []
    low_is_bright = np.array([_has_low_bright(plane.frame) for plane in kept])
    if low_is_bright.any():
        planes = np.stack(list(planes))
        flags += _turn_grey(planes, low_is_bright)
    volume = StoredVolume(shape)
    for index, plane in enumerate(planes):
        volume.put(index, plane)
        if index % _SLICES_A_TRIM == 0:
            give_back_free_memory()  # of the frames that were taken: together they are as large as the volume
    _require_own_uids(kept)
    stored = volume.whole()
    if (darkened := with_dark_filler(stored)) is not None:
        stored = darkened
        flags.append("undeclared_padding")
    return kept, stored, (*value_flags, *flags, *_look(stored))


def _one_of(place: Sequence[Plane], taken: Callable[[Frame], NDArray[np.float32]]) -> NDArray[np.float32]:
    """The image at one place.

    Raises:
        UnsupportedGeometry: two frames there differ.
    """
    chosen = taken(place[0].frame)
    if any(not np.array_equal(chosen, taken(other.frame), equal_nan=True) for other in place[1:]):
        raise UnsupportedGeometry(
            "conflicting_duplicates",
            "Different images are at the same position, and nothing shows which one belongs to the volume; send one "
            "acquisition per series.",
        )
    return chosen


def _require_own_uids(kept: Sequence[Plane]) -> None:
    """Results refer to images by their UIDs: where two slices share one, a viewer shows a mask on the wrong slice."""
    most = Counter((values.text(plane.frame.header, "SOPInstanceUID"), plane.frame.number) for plane in kept)
    if (count := max(most.values())) > 1:
        raise UnreadableObject(
            "uid_of_several_images",
            f"{count} different images have one SOPInstanceUID, as some de-identification makes them; each has its own "
            "(PS3.3 C.12.1), by which results refer to it. Send the series as the scanner made it.",
        )


def _has_low_bright(frame: Frame) -> bool:
    return values.text(frame.header, "PhotometricInterpretation") == "MONOCHROME1"


def _turn_grey(voxels: NDArray[np.float32], low_is_bright: NDArray[np.bool_]) -> tuple[str, ...]:
    """Turn the slices in which low values are bright (PS3.3 C.7.6.3.1.2), in place, so that air is dark everywhere.

    Where all slices say so and air is dark as they are, the pixels are the better evidence.
    """
    if not low_is_bright.any():
        return ()
    if low_is_bright.all() and not is_air_bright(voxels) and is_air_bright(-voxels):
        return ("monochrome_contradicts_pixels",)
    voxels[low_is_bright] = np.nanmax(voxels[low_is_bright]) - voxels[low_is_bright]
    return ("monochrome1_inverted",)


def _decode(files: _Files, stacked: Stack) -> tuple[Callable[[Frame], NDArray[np.float32]], tuple[str, ...]]:
    """What gives the intensities of a frame of the stack, once, NaN where there is padding; and what to note."""
    wanted: dict[int, list[Frame]] = {}
    for place in stacked.places:
        for plane in place:
            wanted.setdefault(plane.frame.source, []).append(plane.frame)
    stored: dict[tuple[int, int | None], StoredFrame] = {}
    with JpegChild() as child:
        for source, frames in wanted.items():
            found = decode_frames(files.paths[source], frames, child)
            stored.update(zip(map(_key, frames), found, strict=True))
    places = {key: place for place, key in enumerate(stored)}
    decoded = list(stored.values())
    del stored
    images, flags = intensities(decoded)
    decoded.clear()  # the images alone hold the frames, and let them go
    return lambda frame: images.take(places[_key(frame)]), flags


def _key(frame: Frame) -> tuple[int, int | None]:
    return frame.source, frame.number


def _look(voxels: Stored) -> tuple[str, ...]:
    flat = voxels.reshape(len(voxels), -1)
    blank = flat.max(axis=1) == flat.min(axis=1)
    if blank.all():
        raise UnreadableObject("blank", "Every slice is blank; images of a head are expected.")
    require_row_length(voxels)
    flags = []
    if blank.any():
        flags.append("blank_slices")
    if are_pixels_lost(voxels):
        flags.append(PIXELS_LOST)
    return tuple(flags)


def _source_frame(frame: Frame) -> SourceFrame:
    return SourceFrame(
        sop_instance_uid=values.text(frame.header, "SOPInstanceUID"),
        sop_class_uid=values.text(frame.header, "SOPClassUID"),
        frame_number=frame.number,
    )


def clean_header(header: FileDataset) -> FileDataset:
    """Make a header safe to copy from, in place: drop what cannot be converted, empty what breaks its own VR.

    Names and identifiers keep what they hold, valid or not: results must go to the same patient. So do UIDs that are
    digits and dots, though a component may begin with a zero: results refer to the images by them.
    """
    for tag in list(header.keys()):
        try:
            element = header[tag]  # converts the raw element
        except PARSER_ERRORS:
            del header[tag]
            continue
        if element.VR in _STRICT_VRS and not _valid(element):
            element.value = None
    return header


def _with_reference(header: FileDataset, frame_of_reference: str) -> FileDataset:
    """The reference UID is filled in where it was missing."""
    header.FrameOfReferenceUID = frame_of_reference
    return header


def _valid(element: DataElement) -> bool:
    if element.VR == "UI":
        uids = element.value if isinstance(element.value, MultiValue) else [element.value]
        return element.is_empty or all(_UID.fullmatch(str(uid)) for uid in uids)
    try:
        DataElement(element.tag, element.VR, element.value, validation_mode=RAISE)
    except PARSER_ERRORS:
        return False
    return True
