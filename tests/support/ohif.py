"""A reader in front of OHIF, in Chromium: what is shown in the list of series, on the canvas, and where it lies.

Where a picture lies is measured in the pixels of the image, not asked of the viewer: see `shift_of`.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset
from support.data import REPOSITORY
from support.peers import node_peer, peer
from support.processes import free_port

from dicom_node.demo.viewer.orthanc import Orthanc, find_orthanc, run_orthanc
from dicom_node.demo.viewer.web import Site, serve_site
from dicom_node.results.result_set import part10_bytes
from dicom_node.series.read.series import FlairSeries

CONFIGURATION = REPOSITORY / "deploy" / "viewer"
SCRIPT = REPOSITORY / "tests" / "e2e" / "ohif.cjs"
ARTEFACTS_VARIABLE = "E2E_ARTEFACTS"
"""Folder in which screenshots are kept; pytest's temporary folder when it is not set."""

_LONGEST_SECONDS = 900
# What hides and shows is drawn by the same program: outside the overlay both pictures are the same to the last bit.
_DIFFERENT = 12


@dataclass(frozen=True)
class Open:
    """A series to open by a double click; `kind` "SEG" waits for its overlay, any other until it is in the viewport."""

    kind: str
    number: int


@dataclass(frozen=True)
class Plan:
    """What to do in one study.

    Attributes:
        name: of the pictures' files.
        url: of the viewer.
        study_uid: StudyInstanceUID.
        open: series, one after the other.
        slices: (series, slice index) pairs to take pictures of, with the first overlay and without, once it is open.
    """

    name: str
    url: str
    study_uid: str
    open: tuple[Open, ...]
    slices: tuple[tuple[FlairSeries, int], ...] = ()


@dataclass(frozen=True)
class SeenSlice:
    """A slice on the canvas.

    Attributes:
        to_canvas: 2x3, (column, row, 1) of the slice to (x, y) on the canvas, as the viewer maps the points that the
            headers give; pixel centres have whole numbers in the slice, and halves on the canvas.
        overlay, without: RGB (y, x, 3) of the canvas.
    """

    to_canvas: NDArray[np.float64]
    overlay: NDArray[np.float64]
    without: NDArray[np.float64]

    @property
    def coloured(self) -> NDArray[np.bool_]:
        """Where the overlay changes the canvas, (y, x)."""
        return np.abs(self.overlay - self.without).max(axis=2) > _DIFFERENT

    @property
    def grey(self) -> NDArray[np.float64]:
        """The image without the overlay, (y, x)."""
        return self.without.mean(axis=2)


@dataclass(frozen=True)
class Seen:
    """One study as it was seen.

    Attributes:
        thumbnails: of the list of series: number and lines of text, in the order shown.
        segments: per segmentation, its label and the labels of its segments.
        slices: as planned.
        notices: dialogs and notices that popped up, also those that went away by themselves.
        complaints: errors of the browser's console, and addresses of other machines.
        screenshots: series number -> the whole window once that series was open.
    """

    thumbnails: tuple[tuple[int, tuple[str, ...]], ...]
    segments: tuple[tuple[str, tuple[str, ...]], ...]
    slices: tuple[SeenSlice, ...]
    notices: tuple[str, ...]
    complaints: tuple[str, ...]
    screenshots: dict[int, Path]


@contextmanager
def ohif_beside_orthanc(folder: Path) -> Iterator[tuple[str, Orthanc]]:
    """OHIF and an empty Orthanc that sends nothing to anybody; gives OHIF's address and Orthanc."""
    peer("Orthanc")
    ohif = node_peer("ohif")
    configuration = folder / "configuration"
    configuration.mkdir(parents=True)
    (configuration / "orthanc.json").write_text((CONFIGURATION / "orthanc.json").read_text())
    dicom_port, http_port, port = free_port(), free_port(), free_port()
    log = folder / "orthanc.log"
    with (
        run_orthanc(find_orthanc(), configuration, folder / "orthanc", log, dicom_port, http_port, {}) as orthanc,
        serve_site(Site(ohif, CONFIGURATION / "app-config.js", http_port), port),
    ):
        yield f"http://127.0.0.1:{port}", orthanc


def look(plans: Sequence[Plan], folder: Path) -> dict[str, Seen]:
    """Carry the plans out in one browser.

    Args:
        plans: in this order.
        folder: for the pictures; is made.
    """
    folder.mkdir(parents=True, exist_ok=True)
    document = {
        "playwright": str(node_peer("playwright-core")),
        "chromium": peer("chromium"),
        "out": str(folder),
        "studies": [_as_json(plan) for plan in plans],
    }
    (folder / "plan.json").write_text(json.dumps(document))
    done = subprocess.run(
        [peer("node"), SCRIPT, folder / "plan.json"],
        capture_output=True,
        text=True,
        timeout=_LONGEST_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    answer = json.loads((folder / "answer.json").read_text())
    return {plan.name: _seen(answer["studies"][plan.name], plan, folder) for plan in plans}


def artefacts(temporary: Path) -> Path:
    """Where screenshots are kept: the folder that the environment names, or `temporary`."""
    named = os.environ.get(ARTEFACTS_VARIABLE)
    return Path(named).absolute() if named else temporary


def files_of(source: Path, results: Sequence[Dataset]) -> list[bytes]:
    """The files of a series' folder and of its results."""
    return [path.read_bytes() for path in sorted(source.glob("*.dcm"))] + [part10_bytes(result) for result in results]


def shift_of(
    picture: NDArray[np.float64],
    expected: NDArray[np.float64],
    to_canvas: NDArray[np.float64],
    where: NDArray[np.bool_] | None = None,
) -> float:
    """How far a picture lies from where it should, in pixels of the image: the length of the shift under which what the
    canvas shows correlates best with what is expected. Where many are equally good, as for a mask whose pixels are
    squares on the canvas, their middle.

    Args:
        picture: the canvas (y, x).
        expected: (row, column).
        to_canvas: 2x3, see `SeenSlice`.
        where: pixels (row, column) that are compared; all of them by default, which takes minutes for a whole head.
    """
    pixels = np.argwhere(np.ones(expected.shape, bool) if where is None else where)
    wanted = expected[tuple(pixels.T)]
    steps = np.arange(-20, 21) / 10
    found = np.array([[_correlation(picture, wanted, to_canvas, np.add(pixels, (r, c))) for c in steps] for r in steps])
    rows, columns = np.nonzero(found >= found.max() - 1e-9)
    return float(np.hypot(steps[rows].mean(), steps[columns].mean()))


def centroid_shift_of(
    coloured: NDArray[np.bool_], mask: NDArray[np.bool_], to_canvas: NDArray[np.float64]
) -> tuple[float, float]:
    """Distance between the centroids of what is coloured and of the mask, in pixels of the image, and their Dice
    coefficient, both on the canvas.

    Args:
        coloured: the canvas (y, x).
        mask: (row, column), not empty.
        to_canvas: 2x3, see `SeenSlice`.
    """
    expected = _on_canvas(mask, to_canvas, coloured.shape)
    dice = 2.0 * (expected & coloured).sum() / (expected.sum() + coloured.sum())
    away = np.argwhere(coloured).mean(axis=0) - np.argwhere(expected).mean(axis=0)
    pixels = np.linalg.solve(to_canvas[:, :2], away[::-1])
    return float(np.hypot(*pixels)), float(dice)


def _as_json(plan: Plan) -> dict[str, Any]:
    return {
        "name": plan.name,
        "url": plan.url,
        "uid": plan.study_uid,
        "open": [{"kind": entry.kind, "number": entry.number} for entry in plan.open],
        "slices": [_slice_as_json(series, index) for series, index in plan.slices],
    }


def _slice_as_json(series: FlairSeries, index: int) -> dict[str, Any]:
    """The slice's instance, and three of its points in mm: voxel (0, 0), and one matrix further along rows, columns."""
    rows, columns = series.voxels.shape[1:]
    points = [series.affine @ (column, row, index, 1) for column, row in ((0, 0), (columns, 0), (0, rows))]
    frame = series.frames[index]
    return {
        "sop": frame.sop_instance_uid,
        "frame": frame.frame_number or 1,
        "points": [point[:3].tolist() for point in points],
    }


def _seen(answer: dict[str, Any], plan: Plan, folder: Path) -> Seen:
    return Seen(
        thumbnails=tuple((int(entry["number"]), tuple(entry["text"])) for entry in answer["thumbnails"]),
        segments=tuple((entry["label"], tuple(entry["segments"])) for entry in answer["segments"]),
        slices=tuple(
            SeenSlice(
                _to_canvas(entry["points"], series.voxels.shape[1:]),
                _rgb(folder / entry["with"]),
                _rgb(folder / entry["without"]),
            )
            for entry, (series, _) in zip(answer["slices"], plan.slices, strict=True)
        ),
        notices=tuple(answer["notices"]),
        complaints=tuple(answer["complaints"]),
        screenshots={entry.number: folder / f"{plan.name}-{entry.number}.png" for entry in plan.open},
    )


def _to_canvas(points: list[list[float]], shape: tuple[int, ...]) -> NDArray[np.float64]:
    origin, along_row, along_column = np.array(points)
    rows, columns = shape
    return np.column_stack([(along_row - origin) / columns, (along_column - origin) / rows, origin])


def _rgb(file: Path) -> NDArray[np.float64]:
    return np.asarray(Image.open(file).convert("RGB"), np.float64)


def _correlation(
    picture: NDArray[np.float64],
    expected: NDArray[np.float64],
    to_canvas: NDArray[np.float64],
    pixels: NDArray[np.float64],
) -> float:
    """Of the picture at the places of pixels (row, column), shifted already, with what is expected of each."""
    x, y = np.floor(to_canvas[:, :2] @ pixels.T[::-1] + to_canvas[:, 2:]).astype(int)
    inside = (x >= 0) & (y >= 0) & (x < picture.shape[1]) & (y < picture.shape[0])
    shown, wanted = picture[y[inside], x[inside]], expected[inside]
    if inside.mean() < 0.5 or shown.std() == 0 or wanted.std() == 0:
        return -1.0
    return float(np.corrcoef(shown, wanted)[0, 1])


def _on_canvas(mask: NDArray[np.bool_], to_canvas: NDArray[np.float64], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """The mask drawn on the canvas: each canvas pixel has the value of the image's pixel that its centre lies in."""
    y, x = np.indices(shape).reshape(2, -1)
    places = np.linalg.solve(to_canvas[:, :2], np.stack([x + 0.5, y + 0.5]) - to_canvas[:, 2:])
    column, row = np.floor(places + 0.5).astype(int)
    inside = (column >= 0) & (row >= 0) & (column < mask.shape[1]) & (row < mask.shape[0])
    drawn = np.zeros(len(x), bool)
    drawn[inside] = mask[row[inside], column[inside]]
    return drawn.reshape(shape)
