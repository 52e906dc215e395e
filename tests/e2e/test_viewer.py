"""`wmh-node viewer`, as `make viewer` runs it: from a phantom to what a reader sees, and nothing left behind."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pydicom
import pytest
from numpy.typing import NDArray
from support.ohif import (
    CONFIGURATION,
    Open,
    Plan,
    Seen,
    artefacts,
    centroid_shift_of,
    look,
    shift_of,
)
from support.peers import node_peer, peer
from support.phantoms import phantom_files
from support.processes import free_port, listens

from dicom_node.demo.phantom.phantom import PhantomSpec
from dicom_node.series.read.series import FlairSeries, read_series

pytestmark = [
    pytest.mark.peer("Orthanc"),
    pytest.mark.peer("chromium"),
    pytest.mark.peer("ohif"),
    pytest.mark.slow,
    pytest.mark.timeout(600),
]

SUMMARY, SEG, SR, REGIONS = 1900, 1901, 1902, 1903


@dataclass(frozen=True)
class Shown:
    """What the viewer printed, the source, and what was seen."""

    printed: Mapping[str, Any]
    series: FlairSeries
    out: Path
    seen: Seen


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    """A phantom through the viewer with the shipped model, looked at in a browser; then Ctrl-C."""
    peer("Orthanc")
    folder = tmp_path_factory.mktemp("viewer")
    files = phantom_files(PhantomSpec(slices=12, slice_spacing_mm=9.0), folder / "phantom")
    series, port = read_series(files), free_port()
    process = _start(folder, port)
    try:
        printed = _printed(process)
        children = psutil.Process(process.pid).children(recursive=True)
        url = printed["url"].split("/viewer?")[0]
        with_wmh = sorted({index for index in range(12) if _regions(series, folder / "out")[index].any()})
        slices = tuple((series, index) for index in (with_wmh[0], with_wmh[len(with_wmh) // 2], with_wmh[-1]))
        to_open = (Open("SEG", REGIONS), Open("image", SUMMARY), Open("SR", SR))
        plan = Plan("phantom", url, series.study_instance_uid, to_open, slices)
        seen = look([plan], artefacts(folder / "pictures") / "viewer")["phantom"]
        process.send_signal(signal.SIGINT)
        assert process.wait(90) == 0
        assert not listens(port)
        _, alive = psutil.wait_procs(children, 30)
        assert alive == []
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)  # not killed: Orthanc and the node would stay
            process.wait(90)
    yield Shown(printed, series, folder / "out", seen)


def _start(folder: Path, port: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "dicom_node.cli", "viewer", "--json", "--port", str(port)]
    command += ["--input", str(folder / "phantom"), "--out", str(folder / "out")]
    command += ["--ohif", str(node_peer("ohif")), "--configuration", str(CONFIGURATION)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def _printed(process: subprocess.Popen[str]) -> dict[str, Any]:
    """The JSON document on its stdout, which stays open."""
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line == "}\n":
            break
    return json.loads("".join(lines))


def _regions(series: FlairSeries, out: Path) -> NDArray[np.bool_]:
    """Where regions.dcm has any segment, (slice, row, column) on the grid of the series."""
    seg = pydicom.dcmread(out / "regions.dcm")
    slices = {frame.sop_instance_uid: index for index, frame in enumerate(series.frames)}
    found = np.zeros(series.voxels.shape, bool)
    for frame, groups in zip(seg.pixel_array, seg.PerFrameFunctionalGroupsSequence, strict=True):
        source = groups.DerivationImageSequence[0].SourceImageSequence[0]
        found[slices[source.ReferencedSOPInstanceUID]] |= frame.astype(bool)
    return found


def test_a_reader_sees_every_result(shown: Shown) -> None:
    """The list of series has the picture first behind the FLAIR, then the segmentations and the report, each named with
    "RESEARCH USE ONLY"; nothing is asked of any other machine."""
    (series,) = shown.printed["series"]
    assert series["state"] == "done"
    assert {"seg.dcm", "regions.dcm", "summary.dcm", "sr.dcm", "measurements.json"} <= {
        p.name for p in shown.out.iterdir()
    }
    numbers = [number for number, _ in shown.seen.thumbnails]
    assert sorted(numbers) == [1, SUMMARY, SEG, SR, REGIONS]
    assert all("RESEARCH USE ONLY" in " ".join(text) for number, text in shown.seen.thumbnails if number > 1)
    assert shown.seen.complaints == ()


def test_regions_lie_on_the_image(shown: Shown) -> None:
    """Periventricular, deep and ventricles, several segments over one FLAIR of square pixels: at most half a pixel from
    where the SEG has them."""
    ((_, segments),) = shown.seen.segments
    assert len(segments) == 3
    mask = _regions(shown.series, shown.out)
    for (_, index), shown_slice in zip(_planned(shown, mask), shown.seen.slices, strict=True):
        by_centroid, dice = centroid_shift_of(shown_slice.coloured, mask[index], shown_slice.to_canvas)
        by_correlation = shift_of(shown_slice.coloured.astype(float), mask[index].astype(float), shown_slice.to_canvas)
        print(f"phantom {index}: {by_centroid:.3f} {by_correlation:.3f} dice {dice:.4f}")
        assert by_centroid <= 0.5
        assert by_correlation <= 0.5
        assert dice > 0.95


def _planned(shown: Shown, mask: NDArray[np.bool_]) -> list[tuple[FlairSeries, int]]:
    with_wmh = np.flatnonzero(mask.any(axis=(1, 2)))
    return [(shown.series, int(index)) for index in (with_wmh[0], with_wmh[len(with_wmh) // 2], with_wmh[-1])]
