"""How many slices or images vendors say that a series has, in elements of their own."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pydicom.dataset import Dataset

from dicom_node.series.dicom import values
from dicom_node.series.dicom.frames import Frame

_MOST: Final = 100_000
_CREATORS: Final = range(0x10, 0x100)  # elements that reserve a block of their group (PS3.5 7.8.1)
_WHOLE_NUMBERS: Final = {2: "<h", 4: "<i"}  # bytes of SS and SL where a system in between wrote UN (PS3.5 6.2.2)


@dataclass(frozen=True)
class _Count:
    """Where a count lies.

    Attributes:
        creator: of the private block that `element` belongs to (PS3.5 7.8.1); "" of a standard element.
        element: its last two digits in a private block, the whole of a standard one.
    """

    creator: str
    group: int
    element: int


# Sources: the vendors' DICOM conformance statements, and pydicom's private dictionary, which collects them.
_COUNTS: Final = (
    _Count("Philips Imaging DD 001", 0x2001, 0x18),  # NumberOfSlicesMR: slices of a stack, or of all stacks
    _Count("GEMS_SERS_01", 0x0025, 0x07),  # images in the series, of all echoes
    _Count("GEMS_RELA_01", 0x0021, 0x4F),  # locations in the acquisition
    _Count("", 0x0054, 0x0081),  # NumberOfSlices (PS3.3 C.8.9.1): of PET, and UIH writes it in MR
)
_REFORMATS: Final = frozenset({"MPR", "CSA MPR", "REFORMATTED", "RESAMPLED", "MEAN_IP"})
_COPIED: Final = frozenset({"DERIVED", "SECONDARY"})  # a reformat keeps what its source announced


def images_in_acquisition(frame: Frame) -> int | None:
    """ImagesInAcquisition (PS3.3 C.7.6.1) of a single-frame instance, where it counts images like this one; else None.

    A reformat states the number of its source's images: slices cut from a 3D scan are another number of images.
    """
    types = {value.upper() for value in frame.texts_of("ImageType")}
    if frame.number is not None or types >= {"DERIVED", "SECONDARY"} or types & _REFORMATS:
        return None
    announced = values.whole(frame.header, "ImagesInAcquisition")
    return announced if announced is not None and 0 < announced < _MOST else None


def slices_announced(frames: Sequence[Frame], slice_count: int) -> int:
    """The largest count by vendors that nothing in the series explains; 0 where there is none.

    Explained: no more than the slices; the number of all images, as of several echoes; or a derived image's. What a
    multi-frame instance holds counts by itself.

    Args:
        frames: all of the series, so that counts over echoes and stacks are seen.
        slice_count: slices of the volume that is analysed.
    """
    single = [frame for frame in frames if frame.number is None and not _COPIED & _image_type(frame)]
    if not single:
        return 0
    found = [_stated(single, count) for count in _COUNTS]
    return max((count for count in found if count > slice_count and count != len(frames)), default=0)


def are_slices_missing(frames: Sequence[Frame], slice_count: int) -> bool:
    """Whether vendors' counts show that slices are missing, as far as one may say so to a reader.

    A count that is a multiple of the slices is more likely one of echoes or stacks that lie in other series.
    """
    announced = slices_announced(frames, slice_count)
    return announced > 0 and (slice_count == 0 or announced % slice_count != 0)


def _image_type(frame: Frame) -> frozenset[str]:
    return frozenset(value.upper() for value in frame.texts_of("ImageType")[:2])


def _stated(frames: Sequence[Frame], count: _Count) -> int:
    """What most images say, of several the larger one; 0 where none does."""
    found = Counter(value for frame in frames if (value := _value(frame.header, count)) > 0)
    return max(found, key=lambda value: (found[value], value), default=0)


def _value(header: Dataset, count: _Count) -> int:
    if not count.creator:
        return _whole(values.raw_at(header, count.group, count.element))
    tags = list(header.keys())  # a data set itself gives elements, and converts each
    for block in sorted(tag.element for tag in tags if tag.group == count.group and tag.element in _CREATORS):
        creator = values.raw_at(header, count.group, block)
        name = creator.decode("ascii", "replace") if isinstance(creator, bytes) else str(creator)
        if name.strip(" \0") == count.creator:
            return _whole(values.raw_at(header, count.group, (block << 8) | count.element))
    return 0


def _whole(value: object) -> int:
    """A plausible count, whatever kind of element it was written as; else 0."""
    if isinstance(value, bytes) and len(value) in _WHOLE_NUMBERS:
        value = struct.unpack(_WHOLE_NUMBERS[len(value)], value)[0]
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return 0
    return int(number) if 0 < number < _MOST and number == int(number) else 0
