"""Slices of a job's series as PNG, plain and with the outline of the mask; made once, kept for the last few jobs."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom import dcmread

from db.inbox import Inbox
from db.records import Job
from dicom_node.cases.seg_mask import WMH, read_seg_mask
from dicom_node.node.outbox import Outbox
from dicom_node.results.pages.display import display_turn, head_mask, to_grey
from dicom_node.results.result_set import SEG_NAME
from dicom_node.series.read.flair_series import FlairSeries
from dicom_node.series.read.received_series import ReceivedSeriesReader

_KEPT_JOBS: Final = 4
_SIDE: Final = 640  # pixels of the longer side
# The colour of our SEG's RecommendedDisplayCIELabValue, as on the summary pages: seen by colour-blind people on grey.
_COLOUR: Final = (255, 176, 0)
_FILL: Final = 0.28


@dataclass(frozen=True)
class SlicePictures:
    """Pictures of one series, from feet to head.

    Attributes:
        plain, marked: PNG of each slice, without and with the mask.
        wmh_ml: WMH in each.
        left, right: letters of the patient's sides at the picture's edges.
    """

    plain: tuple[bytes, ...]
    marked: tuple[bytes, ...]
    wmh_ml: tuple[float, ...]
    left: str
    right: str

    @property
    def fullest(self) -> int:
        """The slice with most WMH, from 0; the middle one without WMH."""
        return int(np.argmax(self.wmh_ml)) if any(self.wmh_ml) else len(self.plain) // 2


class SliceRoom:
    """Draws and keeps pictures. Safe to use from several threads: one series is read at a time.

    Args:
        storage: the node's.
        inbox: its received instances.
    """

    def __init__(self, storage: Path, inbox: Inbox) -> None:
        self._storage = storage
        self._inbox = inbox
        self._outbox = Outbox(storage / "outbox")
        self._reader = ReceivedSeriesReader()
        self._lock = threading.Lock()
        self._kept: OrderedDict[Path, SlicePictures] = OrderedDict()  # each result set has a folder of its own

    def pictures(self, job: Job) -> SlicePictures | None:
        """The pictures of a job with a result; None when it has none, or its files are gone.

        Raises:
            NotAnalysable, ConfinedChildLost, WmhNodeError: the series cannot be read.
        """
        with self._lock:
            folder = self._outbox.of_job(job.id)
            if folder is None or not (folder / SEG_NAME).is_file():
                return None
            if (known := self._kept.get(folder)) is not None:
                self._kept.move_to_end(folder)
                return known
            series = self._reader.read(self._inbox.instances_of_job(job), self._storage, job.instances_digest)
            drawn = _draw(series, read_seg_mask(folder / SEG_NAME, series, WMH))
            self._kept[folder] = drawn
            while len(self._kept) > _KEPT_JOBS:
                self._kept.popitem(last=False)
            return drawn

    def page_files(self, job_id: int) -> list[Path]:
        """The summary pages of a job, in order."""
        folder = self._outbox.of_job(job_id)
        return (
            [] if folder is None else sorted(folder.glob("summary*.dcm"), key=lambda file: (len(file.name), file.name))
        )

    def close(self) -> None:
        """End the process that reads."""
        self._reader.close()


def page_png(file: Path) -> bytes:
    """A summary page, an object of ours, as PNG."""
    page = dcmread(file)
    return _png(
        np.frombuffer(page.PixelData, np.uint8)[: page.Rows * page.Columns * 3].reshape(page.Rows, page.Columns, 3)
    )


def _draw(series: FlairSeries, mask: NDArray[np.bool_]) -> SlicePictures:
    turn = display_turn(series.affine)
    head = head_mask(series.stored)
    grey = turn.apply(to_grey(series.stored, head))
    shown = turn.apply(mask)
    row_mm, column_mm = turn.spacing(series.spacing_mm)
    height, width = grey.shape[1] * row_mm, grey.shape[2] * column_mm
    scale = _SIDE / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    plain, marked = [], []
    for image, outline in zip(grey, shown, strict=True):
        canvas = cv2.cvtColor(
            cv2.resize(np.ascontiguousarray(image), size, interpolation=cv2.INTER_CUBIC), cv2.COLOR_GRAY2RGB
        )
        plain.append(_png(np.asarray(canvas, np.uint8)))
        marked.append(_png(_with_mask(np.asarray(canvas, np.uint8), outline, size)))
    voxel_ml = float(np.prod(series.spacing_mm)) / 1000.0
    return SlicePictures(
        tuple(plain),
        tuple(marked),
        tuple(float(np.count_nonzero(plane)) * voxel_ml for plane in mask),
        turn.left,
        turn.right,
    )


def _with_mask(canvas: NDArray[np.uint8], mask: NDArray[np.bool_], size: tuple[int, int]) -> NDArray[np.uint8]:
    if not mask.any():
        return canvas
    large = cv2.resize(np.ascontiguousarray(mask, np.uint8), size, interpolation=cv2.INTER_NEAREST)
    inside = large.astype(bool)
    drawn = canvas.astype(np.float32)
    drawn[inside] = (1 - _FILL) * drawn[inside] + _FILL * np.array(_COLOUR, np.float32)
    result = np.ascontiguousarray(drawn.astype(np.uint8))
    contours, _ = cv2.findContours(large, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(result, contours, -1, _COLOUR, 1, cv2.LINE_AA)
    return result


def _png(image: NDArray[np.uint8]) -> bytes:
    stream = BytesIO()
    Image.fromarray(image).save(stream, format="PNG", compress_level=3)
    return stream.getvalue()
