"""Part the frames of a series into volumes: echoes, phases, repetitions and orientations that one series may mix."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from dicom_node.series.dicom.frames import Frame
from dicom_node.series.geometry.planes import SAME_POSITION_MM, Plane, plane_of

# What distinguishes two frames at one position. AcquisitionNumber alone never splits a volume: two-dimensional FLAIR is
# often acquired in two packages of interleaved slices with a number each. So these count only where positions collide.
_NUMBERS = (
    "EchoTime",
    "EchoNumbers",
    "InversionTime",
    "DiffusionBValue",
    "TemporalPositionIdentifier",
    "AcquisitionNumber",
)
_TEXTS = ("ImageType", "AcquisitionContrast", "ComplexImageComponent", "StackID")


MAX_FRAMES = 4096
MAX_ORIENTATIONS = 32


@dataclass(frozen=True)
class CandidateVolume:
    """Parallel slices of one kind, sorted along the normal from feet to head; duplicates still inside.

    Attributes:
        planes: at least one.
    """

    planes: tuple[Plane, ...]

    @property
    def offsets_mm(self) -> tuple[float, ...]:
        """Positions along the normal that points to the head."""
        normal = upward_normal(self.planes[0])
        return tuple(float(normal @ plane.position) for plane in self.planes)

    @property
    def steps_mm(self) -> tuple[float, ...]:
        """Distances between neighbouring distinct positions."""
        offsets = self.offsets_mm
        gaps = (b - a for a, b in pairwise(offsets))
        return tuple(gap for gap in gaps if gap > SAME_POSITION_MM)

    @property
    def slice_count(self) -> int:
        """Number of distinct positions."""
        return len(self.steps_mm) + 1

    @property
    def has_duplicates(self) -> bool:
        """Two frames lie at one position."""
        return self.slice_count < len(self.planes)


def upward_normal(plane: Plane) -> np.ndarray:
    """The normal of a plane, turned towards the head (for sagittal and coronal ones: left, back)."""
    normal = plane.normal
    strongest = int(np.argmax(np.abs(normal)))
    axis = 2 if abs(normal[2]) >= 0.5 else strongest
    return np.asarray(-normal if normal[axis] < 0 else normal)


def part_into_volumes(frames: Sequence[Frame]) -> tuple[CandidateVolume, ...]:
    """Part frames into candidate volumes, the largest first.

    Left out: frames without a usable plane, those beyond MAX_FRAMES, and orientations beyond the first MAX_ORIENTATIONS
    (radial projections). Both bound the time that a series can cost; no FLAIR comes near them.
    """
    frames = frames[:MAX_FRAMES]
    planes = [plane for frame in frames if (plane := plane_of(frame)) is not None]
    volumes = [volume for group in _parallel_groups(planes) for volume in _separated(group)]
    return tuple(sorted(volumes, key=lambda volume: -volume.slice_count))


def _parallel_groups(planes: Sequence[Plane]) -> list[list[Plane]]:
    groups: list[list[Plane]] = []
    for plane in planes:
        home = next((group for group in groups if group[0].parallel_to(plane)), None)
        if home is not None:
            home.append(plane)
        elif len(groups) < MAX_ORIENTATIONS:
            groups.append([plane])
    return groups


def _sorted(planes: Sequence[Plane]) -> list[Plane]:
    normal = upward_normal(planes[0])
    return sorted(planes, key=lambda plane: float(normal @ plane.position))


def _separated(group: Sequence[Plane]) -> list[CandidateVolume]:
    """Split a parallel group by whatever differs between frames at one position."""
    ordered = _sorted(group)
    differing = _differing_keys(_by_position(ordered))
    if not differing:
        return [CandidateVolume(tuple(ordered))]
    parts: dict[tuple[Hashable, ...], list[Plane]] = {}
    for plane in ordered:
        identity = _identity(plane.frame)
        parts.setdefault(tuple(identity[key] for key in differing), []).append(plane)
    return [CandidateVolume(tuple(part)) for part in parts.values()]


def _by_position(ordered: Sequence[Plane]) -> list[list[Plane]]:
    normal = upward_normal(ordered[0])
    places: list[list[Plane]] = []
    last = -np.inf
    for plane in ordered:
        offset = float(normal @ plane.position)
        if offset - last <= SAME_POSITION_MM:
            places[-1].append(plane)
        else:
            places.append([plane])
        last = offset
    return places


def _differing_keys(places: Sequence[Sequence[Plane]]) -> list[str]:
    differing: set[str] = set()
    for place in places:
        if len(place) > 1:
            first, *rest = (_identity(plane.frame) for plane in place)
            differing.update(key for other in rest for key in first if first[key] != other[key])
    return sorted(differing)


def _identity(frame: Frame) -> dict[str, Hashable]:
    found: dict[str, Hashable] = {}
    for keyword in _NUMBERS:
        value = frame.number_of(keyword)
        found[keyword] = None if value is None else round(value, 3)
    for keyword in _TEXTS:
        found[keyword] = frame.text_of(keyword)
    return found
