"""What results say in words."""

from __future__ import annotations

import re

import pytest
from support.data import REPOSITORY

from dicom_node.results.common.words import (
    bright_region_in_words,
    extent_in_words,
    flags_in_words,
    is_partial,
    review_in_words,
)
from dicom_node.series.rules.rules import NOTES, SIGNS
from segmentation.bright_region import BrightRegion
from segmentation.interval import VolumeInterval
from segmentation.lesions import Extent
from segmentation.measures import Measures
from segmentation.plausibility import Plausibility, Reason


def test_every_flag_has_its_sentence() -> None:
    """No flag that reading, selecting or preprocessing can raise is shown as its slug."""
    raised = {sign.name for sign in NOTES} | {sign.name for sign in SIGNS if sign.weak}
    for file in (
        *(REPOSITORY / "dicom_node" / "series").rglob("*.py"),
        *(REPOSITORY / "segmentation").rglob("*.py"),
    ):
        text = file.read_text()
        raised |= set(re.findall(r'(?:flags|notes)\.append\("([a-z0-9_]+)"\)', text))
        raised |= set(re.findall(r'^FLAG_\w+(?:: Final)? = "([a-z0-9_]+)"', text, re.MULTILINE))
    assert {"oblique", "slice_gap", "no_histogram_peak"} <= raised
    told_by_slug = [flag for flag in raised if flags_in_words([flag])[0].startswith("Note: ")]
    assert told_by_slug == []


def test_unknown_flags_are_not_lost() -> None:
    """A flag that has no sentence is reported by its slug, and each flag once, in a stable order."""
    assert flags_in_words(["zebra_stripes", "oblique", "oblique"]) == [
        "The slices are oblique.",
        "Note: zebra stripes.",
    ]


def test_words_are_ascii() -> None:
    """Sentences fit every character set that a source may name."""
    known = ["blank_slices", "post_contrast", "three_dimensional"]
    assert all(text.isascii() for text in flags_in_words(known))


@pytest.mark.parametrize(("index", "review"), [(0.36, True), (0.2, False), (None, False)])
def test_the_recommendation_is_a_sentence(index: float | None, review: bool) -> None:
    """The sentence gives the index and the limit, or says that the index is undefined."""
    sentence = review_in_words(Measures(1.0, 1, index, review, VolumeInterval(0.5, 1.5)))
    assert sentence.endswith(".")
    assert ("undefined" in sentence) is (index is None)
    if index is not None:
        assert f"{index:.2f}" in sentence
        assert "0.35" in sentence


def test_no_warning_is_not_said_beside_a_warning() -> None:
    """An index under its limit says "no automatic warning" only where no other rule has one."""
    measures = Measures(1.0, 1, 0.2, False, VolumeInterval(0.5, 1.5))
    assert "no automatic warning" in review_in_words(measures)
    doubt = Plausibility((Reason("bright_mass", "review", "possible mass", "A mass."),))
    assert "warning" not in review_in_words(measures, doubt)


def test_cut_series_are_partial() -> None:
    """Only flags that say that part of the brain is missing make a report partial."""
    assert is_partial(["short_coverage"])
    assert not is_partial(["oblique", "slice_gap"])


def test_a_grade_stands_beside_the_sizes_that_it_comes_from() -> None:
    """A streak of 10 x 3 voxels is given as its length, and its grade as derived from it and by no reader."""
    (sentence,) = extent_in_words(Extent(0.0, 10.1))
    assert "not by a reader: periventricular 0, deep 2" in sentence
    assert "the longest deep lesion is 10 mm" in sentence and "ventricles" not in sentence
    assert extent_in_words(Extent(0.0, 0.0)) == [] == extent_in_words(None)


def test_of_a_bright_region_both_parts_are_said() -> None:
    """How much of a possible infarct is counted and how much left out, with its slice; nothing without one."""
    (sentence,) = bright_region_in_words(BrightRegion(12.0, 3.0, 13), 24)
    assert "3.0 mL of it is counted as WMH, 9.0 mL is left out" in sentence and "slice 14 of 24" in sentence
    assert bright_region_in_words(None, 24) == []
