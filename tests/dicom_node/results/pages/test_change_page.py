"""The page about the change since the earlier scan."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
from support.result_cases import CASES, MODEL, segmentation_of, series_of

from dicom_node.results.common.colours import KIND_RGB, Colour
from dicom_node.results.common.comparison import EarlierResult, FollowUpComparison, Visit
from dicom_node.results.common.lesion_changes import LesionChange, LesionChanges, LesionsNotCompared
from dicom_node.results.common.predecessor import ReportReference
from dicom_node.results.pages.change_page import MOST_PANELS, changed_slices, draw_change_page
from dicom_node.results.pages.content import content_of_series
from segmentation.change import KINDS, Kind
from segmentation.interval import VolumeInterval

EARLIER = EarlierResult(
    ReportReference("1", "2", "3", "4"), date(2024, 3, 12), date(2026, 3, 12), 4.0, VolumeInterval(3.0, 5.0)
)


def changes_of(shape: tuple[int, ...], kinds: tuple[Kind, ...]) -> LesionChanges:
    """A block of each kind in the third slice."""
    labels = np.zeros(shape, np.int32)
    for number in range(1, len(kinds) + 1):
        labels[2, 4 + 6 * number : 8 + 6 * number, 12:20] = number
    lesions = tuple(LesionChange(kind, 0.4, 0.5, "image 3", number) for number, kind in enumerate(kinds, start=1))
    return LesionChanges(lesions, labels, 0.9)


def has(page: np.ndarray, colour: Colour) -> int:
    """How many pixels have this colour, to the eye."""
    return int((np.abs(page.astype(int) - colour).sum(axis=2) < 12).sum())


def page_of(folder: Path, kinds: tuple[Kind, ...] | None, **changes: object) -> np.ndarray:
    """The page of an axial case; without lesions where there are no kinds."""
    series = series_of(CASES[0], folder)
    segmentation = segmentation_of(series)
    lesions = LesionsNotCompared("registration_doubtful") if kinds is None else changes_of(series.voxels.shape, kinds)
    earlier = replace(EARLIER, lesions=lesions, **changes)  # type: ignore[arg-type]
    told: FollowUpComparison = earlier.against(segmentation.measures)
    content = content_of_series(series, segmentation, (), MODEL, told)
    return np.asarray(draw_change_page(content, told, 2, 3))


def test_each_kind_has_its_colour_over_the_images(tmp_path: Path) -> None:
    """A lesion is outlined in the colour of what became of it: far more of it than in the legend alone."""
    page = page_of(tmp_path / "all", KINDS[:3])
    for kind in KINDS:
        drawn, legend = has(page, KIND_RGB[kind]), has(page[:260], KIND_RGB[kind])
        assert legend > 0
        assert (drawn > legend) == (kind in KINDS[:3])


def test_without_an_alignment_no_kind_is_shown(tmp_path: Path) -> None:
    """A doubtful alignment leaves no colour of any kind; the plot of the visits stays."""
    page = page_of(tmp_path / "none", None)
    assert not any(has(page, KIND_RGB[kind]) for kind in KINDS if kind != "stable")
    more = page_of(tmp_path / "more", None, visits=(Visit(date(2022, 1, 1), 3.0, VolumeInterval(2.0, 4.0)),))
    assert not np.array_equal(page, more)


def test_the_slices_with_most_change_are_shown() -> None:
    """At most so many slices, those with most changed voxels, feet to head; without a change those of most lesions."""
    labels = np.zeros((9, 8, 8), np.int32)
    for index in range(9):
        labels[index].ravel()[: index + 1] = 1
    labels[0, 7] = 2
    grown = LesionChange("grown", 0.1, 0.6, "image 1", 1)
    stable = LesionChange("stable", 0.1, 0.1, "image 1", 2)
    found = changed_slices(LesionChanges((grown, stable), labels, 0.9))
    assert found == list(range(9 - MOST_PANELS, 9))
    assert 0 in changed_slices(LesionChanges((stable,), labels, 0.9))
