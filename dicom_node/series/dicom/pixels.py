"""Decode frames to intensities, the same way for every transfer syntax."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import FileDataset
from pydicom.encaps import get_frame
from pydicom.pixels import pixel_array
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from dicom_node.node.errors import UnreadableObject
from dicom_node.series.dicom import values
from dicom_node.series.dicom.codestream import codestream_size
from dicom_node.series.dicom.frames import Frame
from dicom_node.series.dicom.jpeg_child import JpegChild
from dicom_node.series.dicom.parsing import guarded, read_object
from dicom_node.series.dicom.stored_values import StoredFrame

# One FLAIR volume in float32 stays below 1 GiB.
MAX_VOXELS = 2**28
MAX_MATRIX = 4096
_BITS_ALLOCATED = (8, 16, 32)
_BYTE = 8
_LARGEST_INTENSITY = 1e30

# One decoder per compression, instead of pydicom's "try all that are there": on corrupt streams GDCM ends the whole
# process (an exception of C++ that nothing catches), which the others do not. Where only GDCM can, a child runs it.
_DECODERS = {
    JPEG2000: "pylibjpeg",
    JPEG2000Lossless: "pylibjpeg",
    HTJ2K: "pylibjpeg",
    HTJ2KLossless: "pylibjpeg",
    HTJ2KLosslessRPCL: "pylibjpeg",
    JPEGLSLossless: "pyjpegls",
    JPEGLSNearLossless: "pyjpegls",
    JPEGBaseline8Bit: "pillow",
    JPEGExtended12Bit: "gdcm",
    JPEGLossless: "gdcm",
    JPEGLosslessSV1: "gdcm",
    RLELossless: "pydicom",
}


def check_pixel_module(header: FileDataset, voxels_wanted: int) -> None:
    """Refuse what cannot be a grey MR image, before any memory is spent on it.

    Raises:
        UnreadableObject: colour, floating point, absurd sizes or contradictory bits.
    """
    samples = values.whole(header, "SamplesPerPixel")
    photometric = values.text(header, "PhotometricInterpretation")
    if samples != 1 or photometric not in ("MONOCHROME1", "MONOCHROME2"):
        raise UnreadableObject(
            "not_grey",
            f"Expected grey pixels with one sample; the header says {samples} samples, {_known(photometric)}.",
        )
    rows, columns = values.whole(header, "Rows") or 0, values.whole(header, "Columns") or 0
    if not (0 < rows <= MAX_MATRIX and 0 < columns <= MAX_MATRIX) or rows * columns * voxels_wanted > MAX_VOXELS:
        raise UnreadableObject(
            "matrix_too_large",
            f"Expected at most {MAX_MATRIX} x {MAX_MATRIX} pixels and {MAX_VOXELS} voxels; the header says {rows} x "
            f"{columns} in {voxels_wanted} slices.",
        )
    allocated, stored = values.whole(header, "BitsAllocated"), values.whole(header, "BitsStored")
    high, sign = values.whole(header, "HighBit"), values.whole(header, "PixelRepresentation")
    if (
        allocated not in _BITS_ALLOCATED
        or stored is None
        or not 1 <= stored <= allocated
        or high is None
        or not 0 <= high < allocated
        or sign not in (0, 1)
    ):
        raise UnreadableObject(
            "bits_contradictory",
            "Expected 8, 16 or 32 bits allocated that hold the stored ones; the header says "
            f"BitsAllocated {allocated}, BitsStored {stored}, HighBit {high}, PixelRepresentation {sign}.",
        )


def decode_frames(path: Path, frames: Sequence[Frame], jpeg: JpegChild) -> list[StoredFrame]:
    """Some frames of one file as they are stored, in the order asked for.

    What they mean is decided for the whole series: `dicom_node.series.dicom.stored_values`.

    Args:
        path: the file.
        frames: frames of this file.
        jpeg: decodes what must not be decoded in this process.

    Raises:
        UnreadableObject: the pixels cannot be decoded, or do not fit the header.
    """
    instance = read_object(path)
    check_pixel_module(instance, len(frames))
    _check_length(instance)
    stored = [_stored(path, instance, frame, jpeg) for frame in frames]
    del instance.PixelData  # the frames keep the header
    return stored


def _check_length(instance: FileDataset) -> None:
    """Rows, columns and frames have to fit the pixel data (PS3.5 8.1.1), where it is not compressed.

    One byte more makes the length even. Whole rows more are another image than the header describes.

    Raises:
        UnreadableObject: names the attributes.
    """
    if instance.file_meta.TransferSyntaxUID.is_encapsulated:
        return
    data = values.raw(instance, "PixelData")
    length = len(data) if isinstance(data, bytes) else 0
    rows, columns, frames = (values.whole(instance, name) or 1 for name in ("Rows", "Columns", "NumberOfFrames"))
    allocated = values.whole(instance, "BitsAllocated") or 8
    wanted, row = rows * columns * frames * allocated // 8, columns * allocated // 8
    found = (
        f"Rows x Columns x NumberOfFrames ({rows} x {columns} x {frames}) at BitsAllocated {allocated} ask for "
        f"{wanted} bytes, and PixelData has {length}; "
    )
    if length < wanted:
        raise UnreadableObject("pixels_undecodable", f"{found}it is cut off. Send the series again.")
    if length > wanted + row:
        raise UnreadableObject(
            "pixel_length_contradicts", f"{found}the header describes another image. Send the series as acquired."
        )


def _stored(path: Path, instance: FileDataset, frame: Frame, jpeg: JpegChild) -> StoredFrame:
    index = (frame.number or 1) - 1

    def decode() -> NDArray[np.generic]:
        syntax = instance.file_meta.TransferSyntaxUID
        expected = (int(instance.Rows), int(instance.Columns))
        if syntax.is_encapsulated and syntax != RLELossless:
            _check_codestream(instance, index, expected)
        if not syntax.is_encapsulated and int(instance.BitsAllocated) > _BYTE:
            return _native(instance, index, expected)
        if _DECODERS.get(syntax) == "gdcm":
            array = jpeg.decode(path, index)
        else:
            array = np.asarray(pixel_array(instance, index=index, raw=True, decoding_plugin=_DECODERS.get(syntax, "")))
        if array.shape != expected:
            raise ValueError(f"expected a frame of {expected} pixels, got {array.shape}")
        return _as_patterns(array)

    raw = guarded(
        decode,
        "pixels_undecodable",
        "The pixel data cannot be decoded: it is cut off, corrupt, or compressed in a way that this node lacks.",
    )
    slope, intercept = frame.number_of("RescaleSlope"), frame.number_of("RescaleIntercept")
    if slope == 0:
        raise UnreadableObject("rescale_slope_zero", "The rescale slope is 0, which makes every voxel equal.")
    slope, intercept = 1.0 if slope is None else slope, intercept or 0.0
    largest = 2.0 ** (8 * raw.dtype.itemsize)
    if largest * abs(slope) + abs(intercept) > _LARGEST_INTENSITY:
        raise UnreadableObject("intensity_out_of_range", "Rescaled intensities are outside the range of any scanner.")
    return StoredFrame(raw, instance, slope, intercept)


def _native(instance: FileDataset, index: int, shape: tuple[int, int]) -> NDArray[np.generic]:
    """One frame of pixel data that is not compressed (PS3.5 8.2), with all bits; pydicom clears those not stated."""
    order = "<" if instance.file_meta.TransferSyntaxUID.is_little_endian else ">"
    dtype = np.dtype(f"{order}u{int(instance.BitsAllocated) // _BYTE}")
    count = shape[0] * shape[1]
    found = np.frombuffer(instance.PixelData, dtype, count, offset=index * count * dtype.itemsize)
    return _as_patterns(found.reshape(shape))


def _as_patterns(array: NDArray[np.generic]) -> NDArray[np.generic]:
    """The same bits, unsigned and in this machine's byte order."""
    unsigned = np.dtype(f"u{array.dtype.itemsize}")
    return array.astype(array.dtype.newbyteorder("="), copy=False).view(unsigned)


def _check_codestream(instance: FileDataset, index: int, expected: tuple[int, int]) -> None:
    """A compressed frame that claims another size than the header would let a few bytes take all memory."""
    frame = get_frame(instance.PixelData, index, number_of_frames=int(instance.get("NumberOfFrames") or 1))
    claimed = codestream_size(frame)
    if claimed != expected:
        raise ValueError(f"expected a compressed frame of {expected} pixels, got {claimed}")


def _known(photometric: str) -> str:
    known = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT", "PALETTE COLOR", "MONOCHROME1", "MONOCHROME2")
    return photometric if photometric in known else "an unknown photometric interpretation"
