"""dcmjs, the library under OHIF, reads segmentations and reports."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.interop import NAMES, WrittenSet
from support.peers import node_peer, peer

OnDisk = Callable[[str], WrittenSet]
_SCRIPT = Path(__file__).resolve().parents[1] / "support" / "read_results.js"
VOLUME = "118565006 SCT"


def read(files: Sequence[Path]) -> dict[str, dict[str, Any]]:
    """What dcmjs understands of files, by their names."""
    command = [peer("node"), str(_SCRIPT), str(node_peer("dcmjs")), *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return {file.name: told for file, told in zip(files, json.loads(done.stdout), strict=True)}


@pytest.mark.peer("node")
@pytest.mark.parametrize("name", NAMES)
def test_dcmjs_reads_every_object(name: str, result_set_on_disk: OnDisk) -> None:
    """Segments, normalised frames and their voxels are ours, and so are the numbers in the report's content tree."""
    written = result_set_on_disk(name)
    by_name = {obj.name: obj.dataset for obj in written.result_set.objects}
    for file, told in read(written.files).items():
        assert told["patient"] == by_name[file].PatientID
        assert "RESEARCH USE ONLY" in told["seriesDescription"]
        if file.startswith(("seg", "regions")):
            _check_segments(told, written, file)
        elif file.startswith("sr"):
            _check_content(told["content"], written.volumes_ml(file))


def _check_segments(told: dict[str, Any], written: WrittenSet, file: str) -> None:
    dataset = next(obj.dataset for obj in written.result_set.objects if obj.name == file)
    expected = [(s.SegmentNumber, s.SegmentLabel, s.get("TrackingUID")) for s in dataset.SegmentSequence]
    assert [
        (segment["number"], segment["label"], segment.get("trackingUid")) for segment in told["segments"]
    ] == expected
    assert told["normalizedFrames"] == len(told["frames"]) == dataset.NumberOfFrames
    masks, frames = written.masks_of(file), written.series.frames
    index_of = {(frame.sop_instance_uid, frame.frame_number): index for index, frame in enumerate(frames)}
    for frame in told["frames"]:
        index = index_of[frame["source"], frame["sourceFrame"]]
        position = written.series.affine[:3, 3] + index * written.series.affine[:3, 2]
        np.testing.assert_allclose(frame["position"], position, atol=1e-3)
        slices = [masks[frame["segment"]][index]] if frame["segment"] else [mask[index] for mask in masks.values()]
        voxels = np.logical_or.reduce(slices).astype(np.uint8)
        assert frame["sha256"] == hashlib.sha256(voxels.tobytes()).hexdigest(), (file, index)


def _check_content(lines: list[list[Any]], expected: list[float]) -> None:
    assert lines[0][1:3] == ["CONTAINER", "126000 DCM"]
    volumes = [float(value.split()[0]) for _, kind, concept, value in lines if (kind, concept) == ("NUM", VOLUME)]
    assert volumes == pytest.approx(expected, abs=0.0051)
    assert [concept for _, _, concept, _ in lines].count("121191 DCM") == 4  # Referenced Segment
