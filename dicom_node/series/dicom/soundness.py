"""Can a file be read at all?"""

from __future__ import annotations

from pathlib import Path

from dicom_node.node.errors import UnreadableObject
from dicom_node.series.dicom.frames import frames_of
from dicom_node.series.dicom.jpeg_child import JpegChild
from dicom_node.series.dicom.parsing import read_header
from dicom_node.series.dicom.pixels import decode_frames


def is_sound(path: Path) -> bool:
    """True when the header can be parsed and, for MR images, every frame decoded; False also when the file is gone."""
    try:
        frames = frames_of([read_header(path)])
        if frames:
            with JpegChild() as child:
                decode_frames(path, frames, child)
    except UnreadableObject:
        return False
    return True
