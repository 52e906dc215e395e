"""Slices that another series of the same planning has beyond an end."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from support.phantom_series import phantom_series, save_series

from dicom_node.analyse.many.inputs import find_inputs
from dicom_node.series.geometry.planning import Planning, missing_at_ends, planning_of_stack
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
