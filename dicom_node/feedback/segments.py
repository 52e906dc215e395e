"""Which segments of a corrected segmentation are the WMH, as tools name them.

| segments of the object                                        | taken as WMH                                         |
|---------------------------------------------------------------|------------------------------------------------------|
| some with the type DCM 110702 (White Matter T2 Hyperintensity)| all of them together                                 |
| else some whose label or type says WMH (words below)          | all of them together                                 |
| else a single one of a type that says nothing (Tissue, ...)   | that one, unless its label names something else      |
| anything else                                                 | refused: the content of an outline is not guessed    |

OHIF and MONAI Label write "Tissue" for everything without another type, and 3D Slicer does so by default: a
single outline on a FLAIR that was sent to this node is then what its sender means by WMH. Labels are free text that may
hold anything, so notes and reasons name segments by number only.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from dicom_node.cases.seg_mask import VENTRICLES, Segment, SegmentationObject
from dicom_node.node.errors import UnreadableObject

_WMH_CODE: Final = "110702"
# Types that say that something was outlined, and not what: SCT 85756007 Tissue, 49755003 Morphologically abnormal
# structure, 91723000 Anatomical structure, 123037004 Body structure, 52988006 Lesion; and their SNOMED RT codes, which
# dcmjs writes; DCM 130487/8 Foreground/Background are not among them.
_GENERIC: Final = frozenset(
    {
        "", "85756007", "T-D0050", "49755003", "M-01000", "M-01100", "91723000", "T-D000A", "123037004", "52988006",
        "272379006", "113343008",
    }
)  # fmt: skip
# "White matter" alone is the tissue, which a brain segmentation outlines beside the grey matter.
_WMH_WORDS: Final = (
    "wmh", "hyperintens", "leukoaraiosis", "leucoaraiosis", "leukoencephalopathy", "leucoencephalopathy",
    "white matter lesion", "white matter disease",
)  # fmt: skip
_LESION: Final = "lesion"
_GENERIC_WORDS: Final = ("tissue", "segment", "label", "mask", "roi", "annotation", "foreground")
_OTHER_LESIONS: Final = (
    "tumor", "tumour", "glioma", "neoplas", "metasta", "oedema", "edema", "infarct", "stroke", "haemorrh", "hemorrh",
    "bleed", "aneurysm", "cyst", "microbleed",
)  # fmt: skip
_OTHER_THINGS: Final = (
    *_OTHER_LESIONS, "ventric", "brain", "skull", "thalam", "hippoc", "cortex", "white matter", "grey matter",
    "gray matter", "csf", "background", "vessel",
)  # fmt: skip
_CODE: Final = re.compile(r"[A-Za-z0-9.-]{1,16}")


@dataclass(frozen=True)
class ChosenSegments:
    """Numbers of the segments that are meant.

    Attributes:
        wmh: WMH; one or more.
        ventricles: the ventricles; empty where none were outlined.
        notes: what a reader should know about the choice.
    """

    wmh: tuple[int, ...]
    ventricles: tuple[int, ...]
    notes: tuple[str, ...]


def choose_segments(seg: SegmentationObject) -> ChosenSegments:
    """By the table above.

    Raises: UnreadableObject: the WMH segment cannot be determined.
    """
    ventricles = tuple(segment.number for segment in seg.segments if VENTRICLES.fits(segment) and not _is_wmh(segment))
    if by_code := [segment for segment in seg.segments if segment.type_code == _WMH_CODE]:
        return ChosenSegments(_numbers(by_code), ventricles, _notes(by_code, seg, "by the code DCM 110702"))
    if by_word := [segment for segment in seg.segments if _names_wmh(segment)]:
        return ChosenSegments(_numbers(by_word), ventricles, _notes(by_word, seg, "by its label or type"))
    if len(seg.segments) == 1 and _says_nothing(seg.segments[0]):
        note = "The object does not say what is outlined; its only segment counts as WMH."
        return ChosenSegments((seg.segments[0].number,), (), (note, *_made_automatically(seg.segments)))
    raise UnreadableObject("no_wmh_segment", _refusal(seg.segments))


def _is_wmh(segment: Segment) -> bool:
    return segment.type_code == _WMH_CODE or _names_wmh(segment)


def _names_wmh(segment: Segment) -> bool:
    """A lesion on a FLAIR is one, unless it is named as another kind of lesion."""
    if any(word in segment.words for word in _WMH_WORDS):
        return True
    return _LESION in segment.words and not any(word in segment.words for word in _OTHER_LESIONS)


def _says_nothing(segment: Segment) -> bool:
    """Neither its type nor its label names a thing."""
    if any(word in segment.words for word in _OTHER_THINGS):
        return False
    return segment.type_code in _GENERIC or any(word in segment.words for word in _GENERIC_WORDS)


def _numbers(segments: list[Segment]) -> tuple[int, ...]:
    return tuple(segment.number for segment in segments)


def _notes(chosen: list[Segment], seg: SegmentationObject, how: str) -> tuple[str, ...]:
    notes = _made_automatically(chosen)
    if len(chosen) > 1:
        listed = ", ".join(str(segment.number) for segment in chosen)
        return (f"Segments {listed} of {len(seg.segments)} count together as WMH, {how}.", *notes)
    if len(seg.segments) > 1:
        return (f"Segment {chosen[0].number} of {len(seg.segments)} counts as WMH, {how}.", *notes)
    return notes


def _made_automatically(chosen: list[Segment] | tuple[Segment, ...]) -> tuple[str, ...]:
    """An edited result of ours often keeps AUTOMATIC, so that this is no reason to refuse; but it may be another
    program's result, which no person has checked."""
    if any(segment.algorithm_type == "AUTOMATIC" for segment in chosen):
        return ("The object says that the outline was made automatically; check that a person has corrected it.",)
    return ()


def _refusal(segments: tuple[Segment, ...]) -> str:
    if not segments:
        return "The segmentation lists no segment; expected one of white matter hyperintensities."
    types = sorted({segment.type_code for segment in segments if _CODE.fullmatch(segment.type_code)})
    coded = f" (type codes {', '.join(types)})" if types else ""
    which = "The only segment does not say" if len(segments) == 1 else f"None of the {len(segments)} segments says"
    return (
        f"{which} that it shows white matter hyperintensities{coded}; expected the "
        'type DCM 110702 or a label such as "WMH". Name the segment, or export it alone, and send it again.'
    )
