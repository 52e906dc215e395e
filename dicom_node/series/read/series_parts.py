"""A `FlairSeries` as plain bytes between two processes, and back: nothing in them is run.

Parts: one of JSON (what has no DICOM form, with the voxels' shape and the headers' lengths), one with all headers
(data sets in Explicit VR Little Endian, PS3.5 A.2, one behind the other), one with the intensities as they are kept (C
order).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from io import BytesIO
from typing import Any

import numpy as np
from pydicom import config
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_dataset

from dicom_node.series.read.flair_series import FlairSeries, SourceFrame
from segmentation.volume import WHOLE_NUMBERS

_TEXTS = ("series_instance_uid", "study_instance_uid", "frame_of_reference_uid", "instances_digest", "files_digest")


def to_parts(series: FlairSeries) -> list[bytes | memoryview]:
    """The three parts of a series.

    Raises:
        the `PARSER_ERRORS` of `dicom_node.series.dicom.parsing`: a header that pydicom has read cannot be written.
    """
    headers = [header_bytes(header) for header in series.headers]
    voxels = np.ascontiguousarray(series.stored)
    facts: dict[str, Any] = {name: getattr(series, name) for name in _TEXTS}
    facts |= {
        "shape": series.shape,
        "voxel_type": voxels.dtype.name,
        "affine": series.affine.tolist(),
        "spacing_mm": series.spacing_mm,
        "flags": series.flags,
        "frames": [asdict(frame) for frame in series.frames],
        "header_lengths": [len(header) for header in headers],
    }
    return [json.dumps(facts).encode(), b"".join(headers), voxels.data.cast("B")]


def from_parts(parts: Sequence[bytearray]) -> FlairSeries:
    """The series of three parts; its voxels can be written to.

    Raises:
        ValueError, KeyError, TypeError and the like: these are no such parts.
    """
    described, headers, voxels = parts
    facts = json.loads(described)
    if (kind := np.dtype(facts["voxel_type"])) not in (np.float32, *WHOLE_NUMBERS):
        raise ValueError(f"expected voxels of float32 or of whole numbers of 16 bits, got {kind}")
    return FlairSeries(
        stored=np.frombuffer(voxels, kind).reshape(facts["shape"]),
        affine=np.array(facts["affine"], np.float64),
        spacing_mm=tuple(facts["spacing_mm"]),
        frames=tuple(SourceFrame(**frame) for frame in facts["frames"]),
        headers=tuple(_parsed(headers, facts["header_lengths"])),
        flags=tuple(facts["flags"]),
        **{name: facts[name] for name in _TEXTS},
    )


def header_bytes(header: Dataset) -> bytes:
    """A header as a data set in Explicit VR Little Endian, without file meta information.

    Raises:
        the `PARSER_ERRORS` of `dicom_node.series.dicom.parsing`: it cannot be written.
    """
    stream = DicomBytesIO()
    stream.is_little_endian, stream.is_implicit_VR = True, False
    # A scanner's own values go as they came, sound or not: `dicom_node.series.dicom.values` looks at them.
    with config.disable_value_validation():
        write_dataset(stream, header)
    content: bytes = stream.getvalue()
    return content


def header_from(content: bytes | bytearray) -> Dataset:
    """What `header_bytes` wrote."""
    return read_dataset(BytesIO(content), False, True)


def _parsed(content: bytearray, lengths: Sequence[int]) -> Iterator[Dataset]:
    start = 0
    for length in lengths:
        yield header_from(content[start : start + length])
        start += length
