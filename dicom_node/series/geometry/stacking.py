"""Do the slices of a candidate volume make one regular stack?"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from dicom_node.node.errors import IncompleteSeries, UnsupportedGeometry
from dicom_node.series.dicom.frames import missing_parts
from dicom_node.series.geometry.planes import SAME_POSITION_MM, Plane
from dicom_node.series.geometry.volumes import CandidateVolume, upward_normal

MIN_SLICES = 5
DIVIDED = ("slice_per_series", "too_few_slices")
"""Codes of series with fewer: slices that are divided among series give the one or the other."""
# The slice axis must lie within 45 degrees of the body's axis: the networks know axial slices only. A sagittal or
# coronal (often 3D) FLAIR must be reformatted to axial by the scanner, or left out.
MIN_AXIAL_COSINE = float(np.cos(np.deg2rad(45.0)))
# Directions more than this from the body's axes are noted as oblique.
OBLIQUE_DEGREES = 2.0
# A gap of a tenth is in every clinical 2D scan and changes nothing; from a third of a slice on lesions may lie in it.
GAP_SHARE = 1 / 3 + 1e-6
# Positions are written with few digits, and some scanners round them to 0.1 mm: a step may differ from the median by
# 5 % or 0.2 mm, whichever is more.
STEP_TOLERANCE = 0.05
STEP_TOLERANCE_MM = 0.2
# Interleaved slices are acquired in so many packages at most; a package may get lost.
_MOST_PACKAGES = 3.5
# A long step over the short one before it, where two acquisitions are mixed: two or three are slices lost in turn.
_IN_TURN = 3.5
# Slice centres may lie this far beside the line through all of them (in plane).
SIDE_TOLERANCE_MM = 0.5
# The stack's line may lean from the normal by this much (a sheared volume).
MAX_SHEAR_DEGREES = 2.0
# Beyond this distance of slices a lesion falls between two slices, and the volume is unknown.
MAX_STEP_MM = 15.0
# A brain is about 130 mm tall.
WHOLE_BRAIN_MM = 90.0


class Regularity(Enum):
    """How the steps between slices look."""

    REGULAR = "regular"
    MISSING = "missing"
    IRREGULAR = "irregular"


@dataclass(frozen=True, eq=False)  # arrays do not compare to one truth value
class Stack:
    """Distinct slices from feet to head with one affine.

    Attributes:
        places: per slice the planes that lie there (more than one: duplicates, to be distinguished by their pixels).
        affine: float64 (4, 4), (column index, row index, slice index, 1) to mm, LPS.
        spacing_mm: (slice, row, column); slice: centre distance projected on the normal.
        flags: what to note.
    """

    places: tuple[tuple[Plane, ...], ...]
    affine: NDArray[np.float64]
    spacing_mm: tuple[float, float, float]
    flags: tuple[str, ...]


def regularity(volume: CandidateVolume) -> tuple[Regularity, float]:
    """How regular the steps are, and the typical step in mm (0 for a single slice)."""
    steps = np.array(volume.steps_mm)
    if steps.size == 0:
        return Regularity.REGULAR, 0.0
    median = float(np.median(steps))
    if _near(steps, median).all():
        stated = _stated_otherwise(volume, steps, median)
        if stated is None or _is_known_to_be_whole(volume, median / stated):
            return Regularity.REGULAR, median
        return Regularity.MISSING, stated
    smallest = float(steps.min())
    base = float(np.median(steps[_near(steps, smallest)]))
    multiples = np.maximum(np.rint(steps / base), 1.0)
    if (np.abs(steps - multiples * base) <= _tolerance(base) * multiples).all():
        return Regularity.MISSING, base
    return Regularity.IRREGULAR, median


def stack(volume: CandidateVolume, others: int = 0) -> Stack:
    """Check the geometry of a volume and stack it.

    Raises:
        IncompleteSeries: too few slices, or interior slices missing.
        UnsupportedGeometry: not axial, upside down, irregular, sheared or too far apart.
    """
    first = volume.planes[0]
    normal = upward_normal(first)
    _check_axial(first, normal)
    if volume.slice_count < MIN_SLICES:
        raise IncompleteSeries("too_few_slices", _how_few(volume))
    kind, step = regularity(volume)
    if _is_mixed(volume, kind):
        raise UnsupportedGeometry(
            "irregular_spacing",
            f"The slices are in turn {min(volume.steps_mm):.2f} and {max(volume.steps_mm):.2f} mm apart, as when two "
            "acquisitions that are moved a little lie in one series; send one acquisition per series.",
        )
    if kind is Regularity.MISSING:
        left_out = f" {_counted(others)} left out: of another orientation, size or kind." if others else ""
        raise IncompleteSeries("slices_missing", _what_is_missing(volume, step) + left_out)
    if kind is Regularity.IRREGULAR:
        low, high = min(volume.steps_mm), max(volume.steps_mm)
        raise UnsupportedGeometry(
            "irregular_spacing",
            f"The slices are {low:.2f} to {high:.2f} mm apart; equal distances are expected (within 5 % or 0.2 mm).",
        )
    require_close_slices(step)
    places = _places(volume)
    affine, spacing = _affine(places, normal)
    return Stack(places=places, affine=affine, spacing_mm=spacing, flags=_flags(volume, spacing, normal))


def require_close_slices(step: float) -> None:
    """Refuse slices between which a lesion may lie unseen.

    Args:
        step: distance of slice centres, mm.

    Raises:
        UnsupportedGeometry: they are too far apart.
    """
    if step > MAX_STEP_MM:
        raise UnsupportedGeometry(
            "slices_too_far_apart", f"The slices are {step:.1f} mm apart; at most {MAX_STEP_MM:g} mm is expected."
        )


def _is_mixed(volume: CandidateVolume, kind: Regularity) -> bool:
    """Steps that are short and long in turn: two stacks in each other, not one with holes at every other place."""
    if kind is Regularity.REGULAR or len(volume.steps_mm) < MIN_SLICES:
        return False
    steps = np.array(volume.steps_mm)
    first, second = np.median(steps[::2]), np.median(steps[1::2])
    in_turn = _near(steps[::2], float(first)).all() and _near(steps[1::2], float(second)).all()
    return bool(in_turn and max(first, second) > _IN_TURN * min(first, second))


def _counted(others: int) -> str:
    return "1 more image was" if others == 1 else f"{others} more images were"


def _how_few(volume: CandidateVolume) -> str:
    slices = "1 slice" if volume.slice_count == 1 else f"{volume.slice_count} slices"
    images = len(volume.planes)
    found = f"The series has {slices}"
    if images >= MIN_SLICES:
        places = "one place" if volume.slice_count == 1 else f"{volume.slice_count} places"
        found = f"The {images} images of the series lie at {places} (ImagePositionPatient), which makes {slices}"
    return f"{found}; a brain needs at least {MIN_SLICES}."


def _what_is_missing(volume: CandidateVolume, step: float) -> str:
    lost = round(sum(volume.steps_mm) / step) - len(volume.steps_mm)
    missing = "1 slice is missing" if lost == 1 else f"{lost} slices are missing"
    found = float(np.median(volume.steps_mm))
    if _near(np.array(volume.steps_mm), found).all():
        return (
            f"SpacingBetweenSlices is {step:.2f} mm, and the positions of {volume.slice_count} slices lie {found:.2f} "
            f"mm apart: {missing} inside the stack, or the header is wrong. Send the whole series again."
        )
    return (
        f"{missing} inside the stack ({volume.slice_count} slices arrived, {step:.2f} mm apart); send the whole series "
        "again."
    )


def _check_axial(plane: Plane, normal: NDArray[np.float64]) -> None:
    if abs(normal[2]) < MIN_AXIAL_COSINE:
        name = "sagittal" if int(np.argmax(np.abs(normal))) == 0 else "coronal"
        raise UnsupportedGeometry(
            "not_axial",
            f"The slices are {name}; axial slices (within 45 degrees) are expected. Send an axial series, or axial "
            "reformats marked as such by the scanner.",
        )
    if plane.along_column[1] < MIN_AXIAL_COSINE or abs(plane.along_row[0]) < MIN_AXIAL_COSINE:
        raise UnsupportedGeometry(
            "rotated_in_plane",
            "The images are rotated by 90 or 180 degrees in their plane; rows from the patient's one side to the "
            "other, with the "
            "front on top, are expected.",
        )


def _places(volume: CandidateVolume) -> tuple[tuple[Plane, ...], ...]:
    places: list[list[Plane]] = []
    last = -np.inf
    for plane, offset in zip(volume.planes, volume.offsets_mm, strict=True):
        if places and offset - last <= SAME_POSITION_MM:
            places[-1].append(plane)
        else:
            places.append([plane])
        last = offset
    return tuple(map(tuple, places))


def _affine(
    places: tuple[tuple[Plane, ...], ...], normal: NDArray[np.float64]
) -> tuple[NDArray[np.float64], tuple[float, float, float]]:
    """Least-squares line through the slice positions; refuses shear and slices beside the line."""
    first = places[0][0]
    positions = np.array([place[0].position for place in places])
    index = np.arange(len(places), dtype=np.float64)
    centred = index - index.mean()
    step = (centred[:, None] * positions).sum(axis=0) / (centred**2).sum()
    origin = positions.mean(axis=0) - index.mean() * step
    beside = positions - (origin + index[:, None] * step)
    beside -= (beside @ normal)[:, None] * normal
    worst = float(np.linalg.norm(beside, axis=1).max())
    if worst > SIDE_TOLERANCE_MM:
        raise UnsupportedGeometry(
            "slices_shifted",
            f"Slices are shifted sideways by up to {worst:.1f} mm; at most {SIDE_TOLERANCE_MM:g} mm is expected.",
        )
    along = float(step @ normal)
    lean = float(np.rad2deg(np.arccos(np.clip(along / np.linalg.norm(step), -1.0, 1.0))))
    if lean > MAX_SHEAR_DEGREES:
        raise UnsupportedGeometry(
            "sheared",
            f"The stack leans by {lean:.1f} degrees from its slices' normal; at most {MAX_SHEAR_DEGREES:g} is "
            "expected.",
        )
    affine = np.eye(4)
    row_mm, column_mm = first.pixel_spacing_mm
    affine[:3, 0] = first.along_row * column_mm
    affine[:3, 1] = first.along_column * row_mm
    affine[:3, 2] = step
    affine[:3, 3] = origin
    return affine, (along, row_mm, column_mm)


def _flags(
    volume: CandidateVolume, spacing: tuple[float, float, float], normal: NDArray[np.float64]
) -> tuple[str, ...]:
    first = volume.planes[0]
    flags = []
    straight = min(abs(float(normal[2])), abs(float(first.along_row[0])))
    if np.rad2deg(np.arccos(np.clip(straight, -1.0, 1.0))) > OBLIQUE_DEGREES:
        flags.append("oblique")
    if first.along_row[0] < 0:
        flags.append("mirrored_left_right")
    thickness = first.frame.number_of("SliceThickness")
    if thickness is not None and thickness > 0 and spacing[0] - thickness > GAP_SHARE * thickness:
        flags.append("slice_gap")
    if spacing[0] * volume.slice_count < WHOLE_BRAIN_MM:
        flags.append("short_coverage")
    if _stated_otherwise(volume, np.array(volume.steps_mm), spacing[0]) is not None:
        flags.append("spacing_contradicts_positions")
    if missing_parts([plane.frame for plane in volume.planes]):
        flags.append("fewer_images_than_announced")
    if has_missing_numbers(volume):
        flags.append("instance_numbers_missing")
    return tuple(flags)


def has_missing_numbers(volume: CandidateVolume) -> bool:
    """The numbers of regular slices have a hole, or begin behind 1: an end slice may be lost.

    InstanceNumber of single-frame instances, InStackPositionNumber of frames (PS3.3 C.7.6.16.2.2). Numbers that run on
    over echoes or packages look so too: then as many are missing as there are, or more.
    """
    numbers = [
        plane.frame.number_of("InstanceNumber" if plane.frame.number is None else "InStackPositionNumber")
        for plane in volume.planes
    ]
    known = {int(number) for number in numbers if number is not None}
    if not known or len(known) != volume.slice_count or min(known) < 0:
        return False
    first = min(1, *known)  # some count from 0
    missing = max(known) - first + 1 - len(known)
    return 0 < missing <= max(1, len(known) // 4)


def _stated_otherwise(volume: CandidateVolume, steps: NDArray[np.float64], median: float) -> float | None:
    """SpacingBetweenSlices where regular steps are a multiple of it, as when every other slice is lost; else None.

    Some scanners write the gap alone there, so that it only counts when it is at least about a slice thick.
    """
    stated = _stated_spacing(volume)
    if stated is None or round(median / stated) < 2 or not _near(steps, round(median / stated) * stated).all():
        return None
    return stated


def _is_known_to_be_whole(volume: CandidateVolume, ratio: float) -> bool:
    """Nothing is lost between regular slices, so that SpacingBetweenSlices is wrong: reformats copy their source's.

    Shown by all frames of one instance, by the announced number of images, by InstanceNumbers without a hole, or by a
    ratio that no loss explains: interleaved slices get lost by packages, and of those there are few.
    """
    frames = [plane.frame for plane in volume.planes]
    if all(frame.number is not None for frame in frames):
        return len({frame.source for frame in frames}) == 1
    if frames[0].number_of("ImagesInAcquisition") == volume.slice_count or ratio > _MOST_PACKAGES:
        return True
    numbers = {frame.number_of("InstanceNumber") for frame in frames}
    known = [number for number in numbers if number is not None]
    return len(known) == len(frames) and max(known) - min(known) == len(frames) - 1


def _stated_spacing(volume: CandidateVolume) -> float | None:
    frame = volume.planes[0].frame
    stated, thickness = frame.number_of("SpacingBetweenSlices"), frame.number_of("SliceThickness")
    if stated is None or thickness is None:
        return None
    stated = abs(stated)
    return stated if stated > 0.1 and stated >= 0.9 * thickness else None


def _tolerance(step: float) -> float:
    return max(STEP_TOLERANCE * step, STEP_TOLERANCE_MM)


def _near(steps: NDArray[np.float64], step: float) -> NDArray[np.bool_]:
    return np.abs(steps - step) <= _tolerance(step)
