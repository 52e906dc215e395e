"""Slices that another series of the same planning has beyond an end."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from support.phantom_series import phantom_series, save_series

from dicom_node.analyse.many.inputs import find_inputs
from dicom_node.series.geometry.planning import (
    Planning,
    are_images_beside,
    has_echoes_beside,
    missing_at_ends,
    planning_of_stack,
)
from dicom_node.series.read.series import read_series
from dicom_node.series.rules.study import planning_of_headers

OWN = Planning("1.2", (0.0, 0.0, 1.0), -60.0, 60.0, 21)


def _moved(below: float, above: float, **changes: object) -> Planning:
    first, last = OWN.first_mm - below, OWN.last_mm + above
    return replace(OWN, first_mm=first, last_mm=last, slices=round((last - first) / OWN.step_mm) + 1, **changes)


@pytest.mark.parametrize(
    ("other", "missing"),
    [
        (_moved(0, 0), 0),
        (_moved(0, 6), 1),
        (_moved(6, 6), 2),
        (_moved(6, 0), 1),
        (_moved(-6, 6), 0),
        (_moved(-6, 0), 0),
        (_moved(3, 3), 0),
        (_moved(18, 18), 0),
        (_moved(0, 6, frame_of_reference="1.3"), 0),
        (_moved(0, 6, normal=(0.0, 0.1, 0.995)), 0),
        (replace(OWN, first_mm=-63.0, last_mm=63.0, slices=43), 0),
    ],
    ids=["same", "above", "both", "below", "moved", "shorter", "half", "much", "frame", "tilted", "thin"],
)
def test_only_the_same_slices_and_a_few_more_count(other: Planning, missing: int) -> None:
    """Another frame of reference, direction, grid or coverage says nothing about this series."""
    assert missing_at_ends(OWN, [other]) == missing


ECHO = replace(OWN, acquisition="1", announced=42, echo_time=120.0)
OTHER = replace(ECHO, echo_time=20.0)


@pytest.mark.parametrize(
    ("others", "explains"),
    [
        ([OTHER], True),
        ([replace(OTHER, first_mm=-59.9)], True),
        ([], False),
        ([ECHO], False),
        ([replace(OTHER, slices=20, last_mm=54.0)], False),
        ([replace(OTHER, acquisition="2")], False),
        ([replace(OTHER, announced=63)], False),
        ([replace(OTHER, frame_of_reference="1.3")], False),
        ([replace(OTHER, first_mm=-57.0, last_mm=63.0)], False),
        ([replace(OTHER, normal=(0.0, 0.1, 0.995))], False),
    ],
    ids=["echo", "rounded", "none", "copy", "shorter", "acquisition", "count", "frame", "moved", "tilted"],
)
def test_only_other_echoes_explain_what_is_announced(others: list[Planning], explains: bool) -> None:
    """A copy of the series lacks what it lacks; another acquisition, count or place says nothing about this one."""
    assert has_echoes_beside(ECHO, others) == explains
    assert not has_echoes_beside(replace(ECHO, announced=63), others)
    assert not has_echoes_beside(replace(ECHO, announced=0), others)


@pytest.mark.parametrize("lost", [0, 1])
def test_the_first_echo_in_a_series_of_its_own(tmp_path: Path, lost: int) -> None:
    """Two series hold the images of one acquisition, and no header says so. `segment` and completion both see that
    together they are complete; without the last slice of each they are not."""
    echo, flair = phantom_series(), phantom_series()
    for number, dataset in enumerate(echo):
        dataset.SeriesInstanceUID, dataset.SOPInstanceUID = "1.2.9", f"1.2.9.{number}"
        dataset.SeriesDescription, dataset.EchoTime = "PD first echo", 20.0
    for dataset in (*echo, *flair):
        dataset.ImagesInAcquisition = 20
    files = save_series(flair[: 10 - lost], tmp_path / "flair")
    save_series(echo[: 10 - lost], tmp_path / "echo")
    (found,) = find_inputs([tmp_path], str(flair[0].SeriesInstanceUID)).series
    assert found.has_echoes == (not lost)
    series = read_series(files)
    assert "fewer_images_than_announced" in series.flags
    own = planning_of_stack(series.affine, len(series.voxels), series.frame_of_reference_uid, series.headers[0])
    by_headers = planning_of_headers(echo[: 10 - lost])
    assert by_headers is not None
    assert are_images_beside(series.headers, own, [by_headers]) == (not lost)


def test_headers_and_a_series_that_was_read_say_the_same(tmp_path: Path) -> None:
    """The planning by headers is the planning of the stack that is read."""
    series = phantom_series()
    by_headers = planning_of_headers(series)
    read = read_series(save_series(series, tmp_path))
    stack = planning_of_stack(read.affine, len(read.voxels), read.frame_of_reference_uid)
    assert by_headers is not None
    assert (stack.first_mm, stack.last_mm) == pytest.approx((by_headers.first_mm, by_headers.last_mm), abs=1e-3)
    assert (stack.slices, stack.frame_of_reference) == (by_headers.slices, by_headers.frame_of_reference)
    assert stack.normal == pytest.approx(by_headers.normal, abs=1e-6)


@pytest.mark.parametrize("lost", [0, 1])
def test_a_flair_without_its_last_slice_beside_a_whole_t2(tmp_path: Path, lost: int) -> None:
    """`segment` on the study's folder, with `--series` or without, knows that the FLAIR ends before the T2 does."""
    flair, t2 = phantom_series(), phantom_series()
    for number, dataset in enumerate(t2):
        dataset.SeriesInstanceUID, dataset.SOPInstanceUID = "1.2.9", f"1.2.9.{number}"
        dataset.SeriesDescription = dataset.ProtocolName = "AX T2 TSE"
        dataset.InversionTime = None
    save_series(flair[: len(flair) - lost], tmp_path / "flair")
    save_series(t2, tmp_path / "t2")
    (found,) = find_inputs([tmp_path]).series
    (chosen,) = find_inputs([tmp_path], found.series_instance_uid).series
    assert found.is_shorter == chosen.is_shorter == bool(lost)
