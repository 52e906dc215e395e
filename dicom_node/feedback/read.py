"""Corrected segmentations are parsed in a confined child, as received FLAIR series are (`dicom_node.node.confined`).

Protocol: requests and answers are JSON. ["describe", file] gives ["described", facts, claims to be ours];
["examine", source] gives ["examined", findings] or ["own"]. Both may give ["refused", code, reason], about the object
itself, or ["failed", words], about anything else.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from db.records import FeedbackFacts, StoredInstance
from dicom_node.cases.seg_mask import WMH as OUR_WMH
from dicom_node.cases.seg_mask import read_seg_mask, read_segmentation
from dicom_node.feedback.compare import compare_masks
from dicom_node.feedback.described import claims_to_be_ours, describe
from dicom_node.feedback.segments import choose_segments
from dicom_node.node.confined.child import ConfinedChild, asked_twice
from dicom_node.node.confined.inside import serve
from dicom_node.node.confined.limits import Limits
from dicom_node.node.dicom_uids import SEGMENTATION_CLASSES
from dicom_node.node.errors import ConfinedChildLost, NotAnalysable, UnreadableObject, WmhNodeError
from dicom_node.node.logger import get_logger
from dicom_node.node.logs import describe_error
from dicom_node.series.dicom import values
from dicom_node.series.dicom.parsing import guarded, read_header, read_object
from dicom_node.series.dicom.pixels import MAX_VOXELS
from dicom_node.series.read.flair_series import FlairSeries
from dicom_node.series.read.instances import rows_from_json, rows_to_json
from dicom_node.series.read.received_series import read_received

log = get_logger()

# The FLAIR as the worker's child holds it, and two decoded segmentations beside it.
LIMITS: Final = Limits(memory_bytes=1024**3 + 16 * MAX_VOXELS, seconds=600.0, answer_bytes=1024**2)


@dataclass(frozen=True)
class CorrectedSeries:
    """A series that a segmentation may correct, and the model's own result about it.

    Attributes:
        instances: rows of the job, in order of arrival.
        digest: the job's.
        model_seg: the model's own segmentation, absolute; None when it no longer exists.
        result_folder: where the job's result set is; None in the same case.
    """

    instances: Sequence[StoredInstance]
    digest: str
    model_seg: Path | None
    result_folder: Path | None


@dataclass(frozen=True)
class Findings:
    """A correction that fits its series.

    Attributes:
        notes: sentences for a reader.
        figures: see `compare_masks`; None when the model's own mask is not there.
    """

    notes: tuple[str, ...]
    figures: dict[str, float] | None


class Own:
    """One of our results that came back as it was sent."""


@dataclass(frozen=True, eq=False)
class CorrectedMasks:
    """What was outlined, bool (slice, row, column) on the FLAIR's grid.

    Attributes:
        wmh: all that was taken as WMH.
        ventricles: None where none were outlined.
        notes: how the segments were chosen.
    """

    wmh: NDArray[np.bool_]
    ventricles: NDArray[np.bool_] | None
    notes: tuple[str, ...]


class FeedbackReader:
    """Keeps the child.

    Args:
        limits: of one request.
        log_level, log_format: for the child's own lines, see `configure_logs`.
    """

    def __init__(self, limits: Limits = LIMITS, log_level: str = "info", log_format: str = "text") -> None:
        self._child = ConfinedChild("dicom_node.feedback.read", limits, log_level, log_format)

    def describe(self, file: Path) -> tuple[FeedbackFacts, bool]:
        """What the object says of itself, and whether it claims to be a result of ours.

        Raises:
            UnreadableObject: it is no segmentation, or takes more than any does.
            WmhNodeError: anything else.
        """
        _, facts, ours = self._ask(["describe", str(file)])
        return FeedbackFacts(**facts), bool(ours)

    def examine(self, file: Path, storage: Path, source: CorrectedSeries, *, ours: bool) -> Findings | Own:
        """Check an object against a series, and compare it with the model's own mask.

        Args:
            ours: it claims to be a result of ours; it is one unless the result of that UID has other pixels.

        Raises:
            NotAnalysable: it is no correction of this series; the reason says why.
            WmhNodeError: anything else.
        """
        answer = self._ask(
            [
                "examine", str(file), str(storage), rows_to_json(source.instances), source.digest,
                _text(source.model_seg), _text(source.result_folder), ours,
            ]
        )  # fmt: skip
        if answer[0] == "own":
            return Own()
        return Findings(tuple(answer[1]), answer[2])

    def close(self) -> None:
        """End the child."""
        self._child.close()

    def _ask(self, request: list[Any]) -> list[Any]:
        try:
            (answer,) = asked_twice(self._child, json.dumps(request).encode())
        except ConfinedChildLost as error:
            log.warning("segmentation could not be read within the limits", trouble=str(error))
            raise UnreadableObject(
                "header_too_complex",
                "The segmentation needs more time or memory to read than any segmentation of a head scan; it may be "
                "damaged. "
                "Export it again, and send it.",
            ) from error
        reply: list[Any] = json.loads(answer)
        if reply[0] == "refused":
            raise NotAnalysable(reply[1], reply[2])
        if reply[0] == "failed":
            raise WmhNodeError(reply[1])
        return reply


def read_corrected(file: Path, series: FlairSeries) -> CorrectedMasks:
    """The masks of a corrected segmentation on the grid of its series, in this process.

    Raises:
        NotAnalysable: it is no correction of this series; the reason says why.
    """
    seg = read_segmentation(file)
    chosen = choose_segments(seg)
    wmh = seg.mask(chosen.wmh, series)
    ventricles = seg.mask(chosen.ventricles, series) if chosen.ventricles else None
    return CorrectedMasks(wmh, ventricles, chosen.notes)


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)


# In the child


def _answer(request: bytes) -> list[bytes]:
    kind, *arguments = json.loads(request)
    try:
        answer = _described(*arguments) if kind == "describe" else _examined(*arguments)
    except NotAnalysable as error:
        answer = ["refused", error.code, error.reason]
    except WmhNodeError as error:
        answer = ["failed", str(error)]
    except Exception as error:  # this is the worker's edge towards received bytes
        answer = ["failed", describe_error(error)]
    return [json.dumps(answer).encode()]


def _described(file: str) -> list[Any]:
    header = read_header(Path(file))
    if values.text(header, "SOPClassUID") not in SEGMENTATION_CLASSES:
        raise UnreadableObject("not_seg", "Expected a DICOM segmentation; this is another kind of object.")
    return ["described", asdict(describe(header)), claims_to_be_ours(header)]


def _examined(
    file: str, storage: str, rows: str, digest: str, model_seg: str | None, result_folder: str | None, ours: bool
) -> list[Any]:
    notes: tuple[str, ...] = ()
    if ours:
        if _came_back(Path(file), None if result_folder is None else Path(result_folder)):
            return ["own"]
        notes = (
            "The object has the UID of the node's own result, with other pixels; a corrected one should have a new "
            "SOP Instance UID.",
        )
    series = read_received(rows_from_json(rows), Path(storage), digest)
    masks = read_corrected(Path(file), series)
    if model_seg is None or not Path(model_seg).exists():
        return ["examined", [*notes, *masks.notes], None]
    model = read_seg_mask(Path(model_seg), series, OUR_WMH)
    same = ("It is the model's own mask, unchanged.",) if np.array_equal(masks.wmh, model) and masks.wmh.any() else ()
    return ["examined", [*notes, *masks.notes, *same], compare_masks(masks.wmh, model, series.spacing_mm)]


def _came_back(file: Path, result_folder: Path | None) -> bool:
    """Nothing in the result set of that UID has other pixels. A PACS may change the header of what it forwards."""
    arrived = read_object(file)
    for path in sorted(result_folder.glob("*.dcm")) if result_folder is not None else ():
        sent = read_object(path)
        if values.text(sent, "SOPInstanceUID") == values.text(arrived, "SOPInstanceUID"):
            return guarded(
                lambda sent=sent: np.array_equal(sent.pixel_array, arrived.pixel_array),  # type: ignore[misc]
                "seg_pixels",
                "The pixels of the segmentation cannot be decoded.",
            )
    return True


if __name__ == "__main__":
    serve("feedback", _answer)
