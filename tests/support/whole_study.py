"""What stands beside the MR images in a study of a PACS: reports, screen shots, presentation states, a CT."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import (
    ComprehensiveSRStorage,
    CTImageStorage,
    EncapsulatedPDFStorage,
    GrayscaleSoftcopyPresentationStateStorage,
    KeyObjectSelectionDocumentStorage,
    RawDataStorage,
    SecondaryCaptureImageStorage,
    generate_uid,
)
from support.mr import write_object

# SOP class, modality, series (by number), elements. The first two would come before the FLAIR in most archives.
_OTHERS = (
    (SecondaryCaptureImageStorage, "OT", 1, "colour"),
    (ComprehensiveSRStorage, "SR", 2, ""),
    (KeyObjectSelectionDocumentStorage, "KO", 2, ""),
    (GrayscaleSoftcopyPresentationStateStorage, "PR", 3, ""),
    (EncapsulatedPDFStorage, "DOC", 4, "document"),
    (CTImageStorage, "CT", 5, "grey"),
    (RawDataStorage, "MR", 6, ""),
)
REASONS = frozenset(
    f"These are not MR images ({called}); the node analyses brain FLAIR only."
    for called in (
        "secondary capture",
        "key object selection, structured report",
        "presentation state",
        "PDF document",
        "CT images",
        "raw data",
    )
)
"""What becomes of them: one sentence for each series."""


def other_objects(flair: Sequence[Path], folder: Path) -> list[Path]:
    """Write the objects of six series into `folder`, in the study of the FLAIR; none has a place in the patient."""
    folder.mkdir(parents=True)
    source = pydicom.dcmread(flair[0], stop_before_pixels=True)
    series = [generate_uid() for _ in range(7)]
    paths = []
    for number, (sop_class, modality, of_series, content) in enumerate(_OTHERS):
        made = _in_study(source, str(sop_class), modality, series[of_series])
        _fill(made, content)
        paths.append(write_object(made, folder / f"{number}.dcm"))
    return paths


def _in_study(source: Dataset, sop_class: str, modality: str, series: str) -> Dataset:
    made = Dataset()
    for keyword in ("StudyInstanceUID", "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate"):
        setattr(made, keyword, source.get(keyword, ""))
    made.StudyTime = made.StudyID = made.AccessionNumber = made.ReferringPhysicianName = ""
    made.SOPClassUID, made.SOPInstanceUID, made.SeriesInstanceUID = sop_class, generate_uid(), series
    made.Modality, made.Manufacturer, made.SeriesNumber, made.InstanceNumber = modality, "Example", 1, 1
    made.SeriesDescription = "FLAIR"  # a name that alone must not make it one
    return made


def _fill(made: Dataset, content: str) -> None:
    if content == "document":
        made.MIMETypeOfEncapsulatedDocument, made.EncapsulatedDocument = "application/pdf", b"%PDF-1.4 "
    elif content:
        colour = content == "colour"
        made.SamplesPerPixel, made.PhotometricInterpretation = (3, "RGB") if colour else (1, "MONOCHROME2")
        made.Rows = made.Columns = 16
        made.BitsAllocated = made.BitsStored = 8
        made.HighBit, made.PixelRepresentation = 7, 0
        if colour:
            made.PlanarConfiguration = 0
        made.add_new("PixelData", "OB", bytes(16 * 16 * made.SamplesPerPixel))
