"""Small MR objects made for sending, each valid enough for a storage SCP."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

MR_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.4"


def mr_object(
    number: int = 1,
    *,
    series: str | None = None,
    matrix: int = 32,
    sop_class: str = MR_IMAGE_STORAGE,
    frames: int | None = None,
    **elements: Any,
) -> Dataset:
    """An MR image of `matrix` x `matrix` 16 bit noise."""
    dataset = Dataset()
    dataset.SOPClassUID = sop_class
    dataset.SOPInstanceUID = generate_uid()
    dataset.StudyInstanceUID = generate_uid()
    dataset.SeriesInstanceUID = series or generate_uid()
    dataset.Modality = "MR"
    dataset.PatientName = "Phantom^Receiver"
    dataset.PatientID = "PHANTOM"
    dataset.InstanceNumber = number
    reference = Dataset()
    reference.ReferencedSOPClassUID = sop_class
    reference.ReferencedSOPInstanceUID = generate_uid()
    dataset.ReferencedImageSequence = [reference]
    dataset.Rows = dataset.Columns = matrix
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    if frames is not None:
        dataset.NumberOfFrames = frames
    noise = np.random.default_rng(number).integers(0, 4096, (frames or 1, matrix, matrix), dtype="<u2")
    dataset.add_new("PixelData", "OW", noise.tobytes())
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    return dataset


def write_object(dataset: Dataset, path: Path, transfer_syntax: str = ExplicitVRLittleEndian) -> Path:
    """Write a Part 10 file; for a compressed transfer syntax the pixels are encapsulated as they stand."""
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = transfer_syntax
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    if dataset.file_meta.TransferSyntaxUID.is_encapsulated:
        dataset.PixelData = encapsulate([dataset.PixelData])
        dataset["PixelData"].VR = "OB"
        dataset["PixelData"].is_undefined_length = True
    dataset.save_as(path, enforce_file_format=True)
    return path


def mr_series(folder: Path, count: int, matrix: int = 32) -> list[Path]:
    """Files of one series, in one study."""
    folder.mkdir(parents=True, exist_ok=True)
    series, study = generate_uid(), generate_uid()
    paths = []
    for number in range(1, count + 1):
        dataset = mr_object(number, series=series, matrix=matrix, StudyInstanceUID=study)
        paths.append(write_object(dataset, folder / f"{number:04d}.dcm"))
    return paths


def summary_page(path: Path) -> Path:
    """A page of results as RGB (Secondary Capture), large enough to go compressed."""
    page = mr_object(sop_class=SecondaryCaptureImageStorage, Rows=256, Columns=256)
    page.SamplesPerPixel, page.PlanarConfiguration, page.PhotometricInterpretation = 3, 0, "RGB"
    page.BitsAllocated, page.BitsStored, page.HighBit = 8, 8, 7
    page.PixelData = np.repeat(np.arange(256 * 256) // 256, 3).astype("u1").tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_object(page, path)


def data_set_bytes(path: Path) -> bytes:
    """The data set of a Part 10 file, without preamble and file meta information."""
    raw = path.read_bytes()
    length = int.from_bytes(raw[140:144], "little")
    return raw[144 + length :]


def encoded(dataset: Dataset, transfer_syntax: str = ExplicitVRLittleEndian) -> bytes:
    """The data set as it goes over the wire."""
    buffer = io.BytesIO()
    path_like: Any = buffer
    write_object(dataset, path_like, transfer_syntax)
    raw = buffer.getvalue()
    return raw[144 + int.from_bytes(raw[140:144], "little") :]
