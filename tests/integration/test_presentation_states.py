"""Presentation states in DCMTK, which shows images with them: greys as they say, lines on the mask."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset
from support.interop import REAL, SYNTHETIC, WrittenSet
from support.peers import peer
from support.rasters import filled
from support.result_cases import Case, segmentation_of, series_of
from support.result_facts import facts_of

from dicom_node.results.pages.presentation import build_presentation_state, layers_of
from dicom_node.results.result_set import part10_bytes
from dicom_node.series.read.series import FlairSeries, SourceFrame

NAMES = [
    *(name for name, case in SYNTHETIC.items() if case.pictures),
    *(pytest.param(name, marks=pytest.mark.shared_data) for name, case in REAL.items() if case.pictures),
]
# DCMTK's checker (3.6.7) does not know DT with an offset from UTC, which PS3.5 6.2 has.
KNOWS_NO_OFFSET = "ContributionDateTime"
LAYER = re.compile(r"Graphic Layer #\d+ \[(\w+)\]")

OnDisk = Callable[[str], WrittenSet]


@dataclass
class Rendered:
    """What `dcmp2pgm` makes of an image: its greys (row, column), and what it reads of lines and texts for it."""

    grey: NDArray[np.int64]
    lines: dict[str, list[list[list[float]]]] = field(default_factory=dict)
    texts: list[str] = field(default_factory=list)


def rendered(image: Path, frame: SourceFrame, folder: Path, state: Path | None = None) -> Rendered:
    """An image as DCMTK shows it, with a presentation state or without."""
    folder.mkdir(exist_ok=True)
    bitmap = folder / "shown.pgm"
    options = [] if state is None else ["-p", str(state)]
    done = subprocess.run(
        [peer("dcmp2pgm"), "-v", *options, "-f", str(frame.frame_number or 1), str(image), str(bitmap)],
        capture_output=True,
        text=True,
        check=False,
    )
    said = (done.stdout + done.stderr).splitlines()
    assert done.returncode == 0, said
    assert [line for line in said if line.startswith(("W:", "E:", "F:"))] == []
    seen = Rendered(np.asarray(Image.open(bitmap)).astype(int))
    for line in said:
        if (layer := LAYER.search(line)) is not None:
            mine = seen.lines.setdefault(layer[1], [])
        elif "coordinates:" in line:
            points = line.split("coordinates:")[1].split(",")
            mine.append([[float(number) for number in point.split("\\")] for point in points if point.strip()])
        elif (text := re.search(r'text \d+: "(.*)"', line)) is not None:
            seen.texts.append(text[1])
    return seen


def files_by_instance(files: tuple[Path, ...]) -> dict[str, Path]:
    """SOPInstanceUID -> file."""
    return {pydicom.dcmread(file, stop_before_pixels=True).SOPInstanceUID: file for file in files}


def slices_to_see(mask: NDArray[np.bool_]) -> list[int]:
    """The first, the last, and the one with most WMH."""
    return sorted({0, int(mask.sum(axis=(1, 2)).argmax()), len(mask) - 1})


def grey_of(image: Dataset, frame: SourceFrame, state: Dataset) -> NDArray[np.float64]:
    """An image's greys 0 to 255 by the words of the standard: rescale, window (PS3.3 C.11.2.1.2), presentation LUT."""
    stored = image.pixel_array.astype(float)
    shown = stored if frame.frame_number is None else stored[frame.frame_number - 1]
    shown = shown * float(state.get("RescaleSlope", 1)) + float(state.get("RescaleIntercept", 0))
    (window,) = (voi for voi in state.SoftcopyVOILUTSequence if refers_to(voi, frame))
    share = (shown - (float(window.WindowCenter) - 0.5)) / (float(window.WindowWidth) - 1) + 0.5
    grey = 255 * share.clip(0, 1)
    return 255 - grey if state.PresentationLUTShape == "INVERSE" else grey


def refers_to(item: Dataset, frame: SourceFrame) -> bool:
    """Whether an item of a presentation state is about a slice."""
    for image in item.ReferencedImageSequence:
        numbers = np.atleast_1d(image.get("ReferencedFrameNumber", frame.frame_number or 1))
        if image.ReferencedSOPInstanceUID == frame.sop_instance_uid and (frame.frame_number or 1) in numbers:
            return True
    return False


def read_for(index: int, series: FlairSeries) -> int:
    """The slice whose lines `dcmp2pgm` names when it shows this one: of a multi-frame image always the first frame."""
    numbers = [frame.frame_number for frame in series.frames]
    return index if numbers[index] is None else numbers.index(1)


@pytest.mark.peer("dcmpschk")
@pytest.mark.parametrize("name", NAMES)
def test_dcmpschk_finds_no_fault(name: str, result_set_on_disk: OnDisk) -> None:
    """DCMTK's checker of presentation states has nothing to say but what it does not know."""
    (state,) = result_set_on_disk(name).named("presentation")
    done = subprocess.run([peer("dcmpschk"), str(state)], capture_output=True, text=True, check=False)
    said = (done.stdout + done.stderr).splitlines()
    assert any(line.startswith("W: Testing") for line in said)
    assert [line for line in said if "Affected attribute" in line and KNOWS_NO_OFFSET not in line] == []


@pytest.mark.peer("dcmp2pgm")
@pytest.mark.parametrize("name", NAMES)
def test_dcmtk_shows_images_as_the_state_says(name: str, result_set_on_disk: OnDisk, tmp_path: Path) -> None:
    """Every grey is the one that the state's window gives, and the lines that are read for an image, filled, are its
    masks."""
    written = result_set_on_disk(name)
    (state,) = written.named("presentation")
    said, files = pydicom.dcmread(state), files_by_instance(written.source)
    for index in slices_to_see(written.segmentation.mask):
        frame = written.series.frames[index]
        image = files[frame.sop_instance_uid]
        seen = rendered(image, frame, tmp_path, state)
        assert np.abs(seen.grey - grey_of(pydicom.dcmread(image), frame, said)).max() <= 1
        layers = layers_of(written.segmentation)
        for layer in layers:
            mask = layer.mask[read_for(index, written.series)]
            assert np.array_equal(filled(seen.lines[layer.name], mask.shape), mask)
        assert set(seen.lines) == {*(layer.name for layer in layers), "NOTE"}
        assert any("RESEARCH USE ONLY" in text for text in seen.texts)


@pytest.mark.peer("dcmp2pgm")
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"WindowCenter": "600", "WindowWidth": "1200", "RescaleSlope": "2", "RescaleIntercept": "-7"},
        {"PhotometricInterpretation": "MONOCHROME1"},
    ],
    ids=["windowed", "rescaled", "inverted"],
)
def test_images_look_as_they_did(headers: dict[str, str], tmp_path: Path) -> None:
    """An image that states its own window looks the same to the last grey with the state as without."""
    series = series_of(Case("axial"), tmp_path / "source", extra=headers)
    state = tmp_path / "state.dcm"
    state.write_bytes(part10_bytes(build_presentation_state(series, segmentation_of(series), facts_of(series))))
    files = files_by_instance(tuple((tmp_path / "source").iterdir()))
    for index in (0, len(series.frames) - 1):
        frame = series.frames[index]
        image = files[frame.sop_instance_uid]
        with_state, without = (rendered(image, frame, tmp_path / "out", shown).grey for shown in (state, None))
        assert np.array_equal(with_state, without)
        assert np.abs(without - grey_of(pydicom.dcmread(image), frame, pydicom.dcmread(state))).max() <= 1
        assert len(np.unique(without)) > 100
