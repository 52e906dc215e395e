"""Pixel data: as long as rows, columns and frames say, and no value that means nothing (PS3.5 8, PS3.3 C.8.20.2)."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames
from pydicom.uid import UID

from dicom_node.results.check.checked import Checked
from dicom_node.series.dicom import values

_PICTURES = ("Rows", "Columns", "SamplesPerPixel", "BitsAllocated")


def check_pixels(checked: Checked) -> Iterator[tuple[str, str]]:
    """(object, sentence) for pixel data that does not fit its description."""
    for obj in checked.objects:
        if "PixelData" not in obj.dataset:
            if "Rows" in obj.dataset:
                yield obj.name, "has rows and columns, and no pixel data"
            continue
        for sentence in _faults(obj.dataset):
            yield obj.name, sentence


def _faults(dataset: Dataset) -> Iterator[str]:
    numbers = [values.whole(dataset, keyword) for keyword in _PICTURES]
    if None in numbers:
        return  # reported by the rule of required attributes
    frames = values.whole(dataset, "NumberOfFrames") or 1
    data = bytes(dataset.PixelData)
    if UID(values.text(dataset.file_meta, "TransferSyntaxUID")).is_encapsulated:
        found = sum(1 for _ in generate_frames(data, number_of_frames=frames))
        if found != frames:
            yield f"has {found} compressed frames, NumberOfFrames is {frames}"
        return
    bits = math.prod(number for number in numbers if number is not None) * frames
    used = math.ceil(bits / 8)
    if len(data) != used + used % 2:
        yield f"has {len(data)} bytes of pixel data, expected {used + used % 2} for its frames"
        return
    if bits % 8 and data[used - 1] >> bits % 8:
        yield "has bits set behind the last pixel"
    if data[used:].strip(b"\x00"):
        yield "has a padding byte that is not null"
    yield from _faults_of_labels(dataset, data)


def _faults_of_labels(dataset: Dataset, data: bytes) -> Iterator[str]:
    """A LABELMAP's values are its segment numbers (PS3.3 C.8.20.2.3)."""
    if values.text(dataset, "SegmentationType") != "LABELMAP":
        return
    kind = np.uint16 if values.whole(dataset, "BitsAllocated") == 16 else np.uint8
    known = {values.whole(segment, "SegmentNumber") for segment in values.items(dataset, "SegmentSequence")} | {0}
    unknown = set(np.unique(np.frombuffer(data, kind)).tolist()) - known
    if unknown:
        yield f"has pixels of segment {min(unknown)}, which is not described"
