"""What a frame's header says about contrast, body part and kind of image, gathered once for the rules."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pydicom.dataset import Dataset

from dicom_node.series.dicom import values
from dicom_node.series.dicom.frames import Frame

# Free text in which a site names a series, and vendors its pulse sequence. ProtocolName is none of a series' own: GE
# writes the name of the whole examination there (dcm2niix issue 473), so that it only stands in for a missing name.
_NAME = "SeriesDescription"
_EXAMINATION = "ProtocolName"
_SEQUENCES = ("SequenceName", "PulseSequenceName")
_BOUNDARY = re.compile(r"[^a-z0-9+*]+")


@dataclass(frozen=True)
class SeriesFacts:
    """Facts for the rules; absent numbers are None, absent text is empty.

    Attributes:
        words: lower-case words of the series' own name and of its pulse sequence, split at every sign.
        phrase: the same joined by single spaces, with a space at either end, to look for several words.
        examination: the examination's name in the same form; " " when there is none, or when it is in `phrase`.
        is_named_by_examination: the series has no own name, and `phrase` holds the examination's.
        image_type: values of ImageType or FrameType, upper case.
        component: ComplexImageComponent, or M, P, R, I from ImageType.
        body_part: BodyPartExamined, lower case; often the examination's and not the series'.
        anatomy: the meanings of the anatomic region codes of the image or frame, lower case.
        inversion_ms, echo_ms, repetition_ms: None when absent or 0.
    """

    modality: str
    sop_class: str
    samples_per_pixel: int | None
    photometric: str
    words: frozenset[str]
    phrase: str
    examination: str
    is_named_by_examination: bool
    image_type: tuple[str, ...]
    component: str
    body_part: str
    anatomy: str
    contrast: str
    scanning_sequence: frozenset[str]
    acquisition_type: str
    inversion_ms: float | None
    echo_ms: float | None
    repetition_ms: float | None
    b_value: float | None
    contrast_agent: bool


def gather(frame: Frame) -> SeriesFacts:
    """Gather the facts of one frame; never raises."""
    header = frame.header
    name, examination = values.text(header, _NAME), values.text(header, _EXAMINATION)
    phrase = _phrase(name or examination, *(values.text(header, keyword) for keyword in _SEQUENCES))
    image_type = tuple(value.upper() for value in frame.texts_of("ImageType"))
    return SeriesFacts(
        modality=values.text(header, "Modality").upper(),
        sop_class=values.text(header, "SOPClassUID"),
        samples_per_pixel=values.whole(header, "SamplesPerPixel"),
        photometric=values.text(header, "PhotometricInterpretation").upper(),
        words=frozenset(phrase.split()),
        phrase=phrase,
        examination=_phrase(examination if name else ""),
        is_named_by_examination=not name,
        image_type=image_type,
        component=_component(frame, image_type),
        body_part=_phrase(frame.text_of("BodyPartExamined")),
        anatomy=_anatomy(frame),
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


def _phrase(*texts: str) -> str:
    return " " + _BOUNDARY.sub(" ", " ".join(texts).lower()).strip() + " "


def _anatomy(frame: Frame) -> str:
    places = [frame.header]
    for group in frame.groups:
        anatomy = values.first_item(group, "FrameAnatomySequence")
        if anatomy is not None:
            places.append(anatomy)
    regions = (item for place in places for item in values.items(place, "AnatomicRegionSequence"))
    return _phrase(*(values.text(item, "CodeMeaning") for item in regions))


def _has_agent(header: Dataset) -> bool:
    return bool(values.text(header, "ContrastBolusAgent")) or bool(values.items(header, "ContrastBolusAgentSequence"))
