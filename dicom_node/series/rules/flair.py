"""Which series is a brain FLAIR, and which of its volumes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pydicom.dataset import Dataset

from dicom_node.node.errors import UnreadableObject
from dicom_node.series.dicom import values
from dicom_node.series.dicom.frames import IMAGE_CLASSES, Frame, frames_of
from dicom_node.series.geometry.volumes import MAX_FRAMES, CandidateVolume, part_into_volumes, upward_normal
from dicom_node.series.rules.facts import gather
from dicom_node.series.rules.other_objects import not_mr_images
from dicom_node.series.rules.rules import EXCLUSIONS, NOTES, SIGNS, timing_text
from dicom_node.series.rules.verdict import Verdict

__all__ = ["Choice", "Verdict", "choose_volume", "classify_frame", "classify_series"]

# Fewer slices make no brain; used here only to decide between several volumes.
MIN_SLICES = 5
# Axial: the normal lies within 45 degrees of the body's axis.
MIN_AXIAL_COSINE = 0.7071


@dataclass(frozen=True)
class Choice:
    """The verdict on a series and, when it is accepted and has geometry, the volume to read.

    Attributes:
        verdict: on the series.
        volume: None when refused, or when no frame has a usable plane.
    """

    verdict: Verdict
    volume: CandidateVolume | None


def classify_series(headers: Sequence[Dataset]) -> Verdict:
    """Decide about one series from the headers of its instances (pixel data is not read).

    Never raises on hostile values: a header that cannot be understood is a rejection with a reason.
    """
    return choose_volume(headers).verdict


def classify_frame(frame: Frame) -> Verdict:
    """Apply the tables to one frame."""
    facts = gather(frame)
    for rule in EXCLUSIONS:
        if rule.applies(facts):
            return Verdict(False, rule.code, rule.reason(facts))
    signs = [sign for sign in SIGNS if sign.shows(facts)]
    if not signs:
        return Verdict(
            False,
            "not_flair",
            f"Neither the description names FLAIR nor does the timing fit one ({timing_text(facts)}; expected "
            "inversion 1500 to 3000 ms, echo above 70 ms, repetition above 4000 ms).",
        )
    notes = [note.name for note in NOTES if note.shows(facts)]
    if all(sign.weak for sign in signs):
        notes.append(signs[0].name)
    return Verdict(True, "flair", "This is a brain FLAIR.", tuple(notes), is_flair=True)


def choose_volume(headers: Sequence[Dataset]) -> Choice:
    """Decide about a series, and choose the one FLAIR volume in it when it has several."""
    if not headers:
        return Choice(Verdict(False, "empty", "The series has no readable instance."), None)
    try:
        frames = frames_of(headers)
    except UnreadableObject as error:
        return Choice(Verdict(False, error.code, error.reason), None)
    if not frames:
        return Choice(_verdict_without_frames(headers), None)
    if len(frames) > MAX_FRAMES:
        return Choice(_too_many(frames), None)
    volumes = part_into_volumes(frames)
    if not volumes:
        # Kind and contrast first: "no geometry" says little about a colour screenshot.
        verdict = classify_frame(frames[0])
        return Choice(verdict if not verdict.accepted else _NO_GEOMETRY, None)
    return _choose(headers, volumes, len(frames))


_NO_GEOMETRY = Verdict(
    False,
    "no_geometry",
    "The images carry no usable position, orientation or pixel spacing; slices with their place in the patient are "
    "expected.",
    is_flair=True,
)


def _too_many(frames: Sequence[Frame]) -> Verdict:
    verdict = classify_frame(frames[0])
    if not verdict.accepted:
        return verdict
    reason = f"The series has {len(frames)} images; a FLAIR has at most {MAX_FRAMES} (this looks like a time series)."
    return Verdict(False, "too_many_images", reason, is_flair=True)


def _verdict_without_frames(headers: Sequence[Dataset]) -> Verdict:
    """No MR image among the instances: the tables decide about the first, and the reason names all kinds received."""
    verdict = classify_frame(Frame(header=headers[0], source=0, number=None, groups=()))
    classes = {values.text(header, "SOPClassUID") for header in headers}
    return replace(verdict, reason=not_mr_images(classes)) if len(classes) > 1 else verdict


def _choose(headers: Sequence[Dataset], volumes: Sequence[CandidateVolume], count: int) -> Choice:
    placed = sum(len(volume.planes) for volume in volumes)
    verdicts = [classify_frame(volume.planes[len(volume.planes) // 2].frame) for volume in volumes]
    flair = [(volume, verdict) for volume, verdict in zip(volumes, verdicts, strict=True) if verdict.accepted]
    if not flair:
        return Choice(verdicts[0], None)
    if len(flair) > 1:
        flair = [pair for pair in flair if _could_be_read(pair[0])] or flair
    if len(flair) > 1:
        counts = ", ".join(str(volume.slice_count) for volume, _ in flair[:4]) + (", ..." if len(flair) > 4 else "")
        return Choice(
            Verdict(
                False,
                "several_flair_volumes",
                f"The series holds {len(flair)} FLAIR volumes ({counts} slices), such as repetitions or echoes, and "
                "nothing shows which one to use; send one volume per series.",
                is_flair=True,
            ),
            None,
        )
    volume, verdict = flair[0]
    notes = list(verdict.flags)
    if len(volumes) > 1:
        notes.append("other_images_ignored")
    if placed < count:
        notes.append("images_without_place")
    if any(values.text(header, "SOPClassUID") not in IMAGE_CLASSES for header in headers):
        notes.append("non_image_instances_ignored")
    return Choice(replace(verdict, flags=tuple(notes)), volume)


def _could_be_read(volume: CandidateVolume) -> bool:
    return volume.slice_count >= MIN_SLICES and abs(float(upward_normal(volume.planes[0])[2])) >= MIN_AXIAL_COSINE
