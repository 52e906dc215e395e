"""What a frame's header says about contrast, body part and kind of image, gathered once for the rules."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pydicom.dataset import Dataset

from dicom_node.series.dicom import values
from dicom_node.series.dicom.frames import Frame

# Free text in which sites (the first two) and vendors (the last two) name a series.
_DESCRIPTIONS = ("SeriesDescription", "ProtocolName", "SequenceName", "PulseSequenceName")
_BOUNDARY = re.compile(r"[^a-z0-9+*]+")


@dataclass(frozen=True)
class Evidence:
    """Facts for the rules; absent numbers are None, absent text is empty.

    Attributes:
        words: lower-case words of all descriptions, split at every sign.
        phrase: the same joined by single spaces, with a space at either end, to look for several words.
        image_type: values of ImageType or FrameType, upper case.
        component: ComplexImageComponent, or M, P, R, I from ImageType.
        body_part: BodyPartExamined and the meanings of the anatomic region codes, lower case.
        inversion_ms, echo_ms, repetition_ms: None when absent or 0.
    """

    modality: str
    sop_class: str
    samples_per_pixel: int | None
    photometric: str
    words: frozenset[str]
    phrase: str
    image_type: tuple[str, ...]
    component: str
    body_part: str
    contrast: str
    scanning_sequence: frozenset[str]
    acquisition_type: str
    inversion_ms: float | None
    echo_ms: float | None
    repetition_ms: float | None
    b_value: float | None
    contrast_agent: bool


def gather(frame: Frame) -> Evidence:
    """Gather the evidence from one frame; never raises."""
    header = frame.header
    raw = " ".join(values.text(header, keyword) for keyword in _DESCRIPTIONS).lower()
    phrase = " " + _BOUNDARY.sub(" ", raw).strip() + " "
    image_type = tuple(value.upper() for value in frame.texts_of("ImageType"))
    return Evidence(
        modality=values.text(header, "Modality").upper(),
        sop_class=values.text(header, "SOPClassUID"),
        samples_per_pixel=values.whole(header, "SamplesPerPixel"),
        photometric=values.text(header, "PhotometricInterpretation").upper(),
        words=frozenset(phrase.split()),
        phrase=phrase,
        image_type=image_type,
        component=_component(frame, image_type),
        body_part=_body_part(frame),
        contrast=frame.text_of("AcquisitionContrast").upper(),
        scanning_sequence=frozenset(value.upper() for value in values.texts(header, "ScanningSequence")),
        acquisition_type=values.text(header, "MRAcquisitionType").upper(),
        inversion_ms=frame.number_of("InversionTime") or None,
        echo_ms=frame.number_of("EchoTime") or None,
        repetition_ms=frame.number_of("RepetitionTime") or None,
        b_value=frame.number_of("DiffusionBValue"),
        contrast_agent=_has_agent(header),
    )


def _component(frame: Frame, image_type: tuple[str, ...]) -> str:
    stated = frame.text_of("ComplexImageComponent").upper()
    if stated:
        return stated
    # Vendors put M, P, R or I in the third value or later (PS3.3 C.8.3.1.1.1 leaves it to them); a magnitude wins.
    letters = {"M": "MAGNITUDE", "P": "PHASE", "R": "REAL", "I": "IMAGINARY", "PHASE": "PHASE", "REAL": "REAL"}
    letters["IMAGINARY"] = "IMAGINARY"
    found = [letters[value] for value in image_type[2:] if value in letters]
    return "MAGNITUDE" if "MAGNITUDE" in found or not found else found[0]


def _body_part(frame: Frame) -> str:
    parts = [frame.text_of("BodyPartExamined")]
    places = [frame.header]
    for group in frame.groups:
        anatomy = values.first_item(group, "FrameAnatomySequence")
        if anatomy is not None:
            places.append(anatomy)
    for place in places:
        parts += [values.text(item, "CodeMeaning") for item in values.items(place, "AnatomicRegionSequence")]
    return " " + _BOUNDARY.sub(" ", " ".join(parts).lower()).strip() + " "


def _has_agent(header: Dataset) -> bool:
    return bool(values.text(header, "ContrastBolusAgent")) or bool(values.items(header, "ContrastBolusAgentSequence"))
