"""The inputs that users of other software reported as trouble, made from the phantom: `(name) -> files on disk`."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Final

import nibabel
import numpy as np
from pydicom.dataset import Dataset
from support.phantom_series import phantom_series, pixels, save_series

Spoil = Callable[[list[Dataset]], None]
"""Changes the data sets of a series."""
SpoilFile = Callable[[bytes], bytes]
"""Changes the bytes of a file."""


def elements(**values: object) -> Spoil:
    """Elements of every data set, by keyword."""

    def spoil(series: list[Dataset]) -> None:
        for dataset in series:
            for keyword, value in values.items():
                setattr(dataset, keyword, value)

    return spoil


def of_ge(protocol: str) -> Spoil:
    """A series of GE, whose ProtocolName is that of the whole examination (dcm2niix 473)."""
    return elements(
        Manufacturer="GE MEDICAL SYSTEMS", ManufacturerModelName="SIGNA Premier", SeriesDescription="Ax T2 FLAIR",
        ProtocolName=protocol, ScanningSequence=["SE", "IR"], SequenceVariant="SK", ScanOptions=["FAST_GEMS"],
    )  # fmt: skip


def padded(value: int, *, signed: bool) -> Spoil:
    """Corners of a resampled slice that hold PixelPaddingValue (vtk-dicom 173, dcm2niix 262)."""

    def spoil(series: list[Dataset]) -> None:
        for dataset in series:
            stored = pixels(dataset)
            rows, columns = np.indices(stored.shape)
            stored[(rows - 31.5) ** 2 + (columns - 31.5) ** 2 > 31.0**2] = value
            _store(dataset, stored, signed=signed)
            dataset.add_new(0x00280120, "SS" if signed else "US", value)
            dataset.ImageType = ["DERIVED", "SECONDARY", "REFORMATTED", "AVERAGE"]

    return spoil


def signed_12_bits(series: list[Dataset]) -> None:
    """Twelve signed bits in sixteen, the upper ones zero, as some scanners wrote them (dcm2niix 343)."""
    for dataset in series:
        stored = pixels(dataset) // 8 - 100
        _store(dataset, stored & 0xFFF, signed=False)
        dataset.PixelRepresentation, dataset.BitsStored, dataset.HighBit = 1, 12, 11
        dataset.RescaleSlope, dataset.RescaleIntercept = "1", "100"


def twelve_bits_that_are_more(series: list[Dataset]) -> None:
    """The header says 12 bits, and the scanner wrote more (dcm2niix 251)."""
    elements(BitsStored=12, HighBit=11)(series)


def hot_pixel_in_each_slice(series: list[Dataset]) -> None:
    """A white pixel in the air, as a faulty compressor left it (dcm4chee-arc 2281)."""
    for dataset in series:
        stored = pixels(dataset)
        stored[3, 3] = 65535
        _store(dataset, stored, signed=False)


def copied_spacing(series: list[Dataset]) -> None:
    """A reformat repeats thickness and spacing of its source (BRAINSTools 334)."""
    elements(SliceThickness="1", SpacingBetweenSlices="1", ImageType=["DERIVED", "SECONDARY", "MPR", "CSA MPR"])(series)


def private_element(group: int, creator: str) -> Spoil:
    """A private element, for `with_vr` to spoil."""

    def spoil(series: list[Dataset]) -> None:
        for dataset in series:
            dataset.private_block(group, creator, create=True).add_new(0x10, "LO", "ABCDEFGH")

    return spoil


def with_vr(group: int, vr: bytes) -> SpoilFile:
    """The private element's VR is one that no edition has (fo-dicom 47, 378, 598)."""

    def spoil(raw: bytes) -> bytes:
        at = raw.index(struct.pack("<HH", group, 0x1010) + b"LO")
        return raw[: at + 4] + vr + raw[at + 6 :]

    return spoil


def without_preamble(raw: bytes) -> bytes:
    """Neither the 128 bytes nor DICM (pydicom 2231)."""
    return raw[132:]


def without_file_meta(raw: bytes) -> bytes:
    """The data set alone (hazen 433, dicom2nifti 134)."""
    return raw[144 + struct.unpack("<L", raw[140:144])[0] :]


def without_transfer_syntax(raw: bytes) -> bytes:
    """File meta information that names no transfer syntax (dcm2niix 15)."""
    length = struct.unpack("<L", raw[140:144])[0]
    meta = raw[144 : 144 + length]
    at = meta.index(b"\x02\x00\x10\x00UI")
    meta = meta[:at] + meta[at + 8 + struct.unpack("<H", meta[at + 6 : at + 8])[0] :]
    return raw[:140] + struct.pack("<L", len(meta)) + meta + raw[144 + length :]


def with_zeros_behind(raw: bytes) -> bytes:
    """Zeros behind the pixel data, as copies in blocks leave them."""
    return raw + bytes(64)


def write(folder: Path, spoil: Spoil | None = None, spoil_file: SpoilFile | None = None) -> list[Path]:
    """The phantom, spoilt, in a folder."""
    series = phantom_series()
    if spoil is not None:
        spoil(series)
    files = save_series(series, folder)
    for file in files if spoil_file is not None else ():
        file.write_bytes(spoil_file(file.read_bytes()))
    return files


def write_nifti(path: Path, qform_code: int, sform_code: int, moved_mm: tuple[float, float, float]) -> Path:
    """The phantom as NIfTI, its sform moved against its qform (LST-AI 44, SHiVAi 26)."""
    series = phantom_series()
    first, second = (np.array(dataset.ImagePositionPatient, float) for dataset in series[:2])
    lps = np.eye(4)
    row, column = (np.array(part, float) for part in np.split(np.array(series[0].ImageOrientationPatient), 2))
    lps[:3, 0] = row * float(series[0].PixelSpacing[1])
    lps[:3, 1] = column * float(series[0].PixelSpacing[0])
    lps[:3, 2], lps[:3, 3] = second - first, first
    ras = np.diag([-1, -1, 1, 1]) @ lps
    moved = ras.copy()
    moved[:3, 3] += moved_mm
    voxels = np.stack([pixels(dataset) for dataset in series]).astype(np.float32).transpose(2, 1, 0)
    image = nibabel.Nifti1Image(voxels, None)
    image.header.set_zooms(np.linalg.norm(ras[:3, :3], axis=0))
    image.set_qform(ras if qform_code else None, qform_code)
    image.set_sform(moved if sform_code else None, sform_code)
    nibabel.save(image, path)
    return path


def _store(one: Dataset, stored: np.ndarray, *, signed: bool) -> None:
    one.PixelRepresentation, one.BitsStored, one.HighBit = int(signed), 16, 15
    one.PixelData = stored.astype(np.int16 if signed else np.uint16).tobytes()
    for keyword in ("SmallestImagePixelValue", "LargestImagePixelValue"):
        one.pop(keyword, None)


UNKNOWN_VRS: Final = (b"RE", b"\0\0", b"  ", b"??", b"--")
