"""Which of several FLAIR series of one study is analysed: the better one, by a stated order.

| first | then | why |
|---|---|---|
| can be analysed: axial, at least five slices, none missing inside | cannot | nothing else gives a result |
| acquired | DERIVED | a copy has lost or gained something |
| acquired slices | reformatted (MPR) | the model was trained on acquired slices |
| 2D | 3D | the model was trained on 2D acquisitions |
| without contrast agent | with | enhancement looks like hyperintensity |
| more slices | fewer | more of the brain |
| higher SeriesNumber | lower | a series is repeated because the first one was poor |
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from pydicom.dataset import Dataset

from dicom_node.series.dicom import values
from dicom_node.series.geometry.stacking import MIN_SLICES, Regularity, regularity
from dicom_node.series.geometry.volumes import CandidateVolume, upward_normal
from dicom_node.series.rules.flair import MIN_AXIAL_COSINE, choose_volume

_PLANES: Final = ("sagittal", "coronal", "axial")
_LONGEST_NAME: Final = 64


@dataclass(frozen=True)
class FlairCandidate:
    """A series that the rules accept as a brain FLAIR, as far as it is compared with others of its study.

    Attributes:
        order: the least comes first; see the table of this module.
        can_be_analysed: its geometry is one that is analysed.
        slices: in its volume.
        name: which one it is, without free text: plane, slices, series number.
        description: SeriesDescription, printable; for the terminal of whoever owns the files, not for logs.
    """

    order: tuple[int, ...]
    can_be_analysed: bool
    slices: int
    name: str
    description: str


def candidate_of(headers: Sequence[Dataset]) -> FlairCandidate | None:
    """The series as a candidate; None when the rules refuse it."""
    choice = choose_volume(headers)
    if not choice.verdict.accepted or choice.volume is None:
        return None
    flags, header = set(choice.verdict.flags), choice.volume.planes[0].frame.header
    number = values.whole(header, "SeriesNumber")
    can_be_analysed = _can_be_analysed(choice.volume)
    order = (
        int(not can_be_analysed),
        int("derived" in flags),
        int("reformatted" in flags),
        int("three_dimensional" in flags),
        int("post_contrast" in flags),
        -choice.volume.slice_count,
        -(number or 0),
    )
    return FlairCandidate(
        order, can_be_analysed, choice.volume.slice_count, _name(choice.volume, number, flags), _description(header)
    )


def _can_be_analysed(volume: CandidateVolume) -> bool:
    is_axial = abs(float(upward_normal(volume.planes[0])[2])) >= MIN_AXIAL_COSINE
    return is_axial and volume.slice_count >= MIN_SLICES and regularity(volume)[0] is Regularity.REGULAR


def _name(volume: CandidateVolume, number: int | None, flags: set[str]) -> str:
    plane = _PLANES[int(np.argmax(np.abs(upward_normal(volume.planes[0]))))]
    slices = "1 slice" if volume.slice_count == 1 else f"{volume.slice_count} slices"
    parts = [plane, slices, *(["derived"] if "derived" in flags else [])]
    return ", ".join([*([f"series {number}"] if number is not None else []), *parts])


def _description(header: Dataset) -> str:
    text = values.text(header, "SeriesDescription")
    return "".join(sign if sign.isprintable() else " " for sign in text)[:_LONGEST_NAME].strip()
