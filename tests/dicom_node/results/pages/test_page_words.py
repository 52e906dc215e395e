"""Numbers and words of the pages."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from support.result_cases import CASES, series_of

from dicom_node.results.common.comparison import EarlierResult
from dicom_node.results.common.predecessor import ReportReference
from dicom_node.results.common.volume_words import interval_millilitres, millilitres
from dicom_node.results.pages.content import earlier_in_words, lesions_in_words, review_headline, slice_names
from dicom_node.results.pages.layout import made_by
from dicom_node.results.pages.lettering import BODY, font, shortened, wrap
from segmentation.bundle import ModelIdentity
from segmentation.interval import VolumeInterval
from segmentation.measures import REVIEW_ABOVE, Measures
from segmentation.plausibility import Plausibility, Reason


def measures(index: float | None) -> Measures:
    """Measures with this uncertainty index."""
    recommended = index is not None and index > REVIEW_ABOVE
    return Measures(10.0, 3, index, recommended, VolumeInterval(6.0, 14.0))


@pytest.mark.parametrize(
    ("volume", "words"),
    [(0, "0 mL"), (0.001, "<0.01 mL"), (0.046, "0.05 mL"), (0.5, "0.50 mL"), (1.0, "1.0 mL"), (123.45, "123.5 mL")],
)
def test_volumes(volume: float, words: str) -> None:
    """A trace is not nothing, and digits are as many as they are worth."""
    assert millilitres(volume) == words


def test_intervals() -> None:
    """Both ends of an interval have the same digits; nothing is 0."""
    assert interval_millilitres(1.234, 5.678) == "1.2 to 5.7 mL"
    assert interval_millilitres(0.0, 0.66) == "0 to 0.66 mL"


@pytest.mark.parametrize(
    ("index", "headline", "part"),
    [
        (0.2, None, "20 %"),
        (0.348, None, "34.8 %"),
        (0.351, "Review: model unsure", "35.1 %"),
        (0.35, None, "35.0 %"),
        (0.46, "Review: model unsure", "46 %"),
        (1.0, "Review: model unsure", "100 %"),
    ],
)
def test_the_rounded_number_never_contradicts_the_recommendation(index: float, headline: str | None, part: str) -> None:
    """Near the limit the part that the model is unsure of has a digit more."""
    found, detail = review_headline(measures(index))
    assert found == headline
    assert detail == f"unsure about {part} (limit 35 %)"


def test_nothing_found_is_no_recommendation() -> None:
    """Without WMH neither review nor its absence is recommended, unless a rule asks for one."""
    headline, detail = review_headline(measures(None))
    assert headline is None
    assert detail == "no WMH found"
    doubt = Plausibility((Reason("bright_mass", "review", "possible mass", "A mass."),))
    assert review_headline(measures(None), doubt)[0] == "Review: possible mass"


def test_doubt_names_its_reason() -> None:
    """The headline is that of the strictest reason."""
    doubt = Plausibility((Reason("a", "review", "mild", "Mild."), Reason("b", "not_reliable", "severe", "Severe.")))
    assert review_headline(measures(0.2), doubt)[0] == "Review: severe"


def test_what_a_change_is_worth() -> None:
    """The earlier volume has its interval, and whether the change is more than both is said."""
    earlier = EarlierResult(
        ReportReference("1", "2", "3", "4"), date(2024, 3, 12), date(2026, 3, 12), 4.0, VolumeInterval(3.0, 5.0)
    )
    told = earlier.against(measures(0.2))
    assert earlier_in_words(told) == "then 4.0 mL (3.0 to 5.0); beyond both intervals"


def test_one_lesion_is_no_plural() -> None:
    """Grammar; and the size from which they count is said."""
    words = [lesions_in_words(count) for count in (0, 1, 2)]
    assert words == ["0 lesions (from 0.04 mL)", "1 lesion (from 0.04 mL)", "2 lesions (from 0.04 mL)"]


def test_slices_have_the_numbers_that_a_pacs_shows(tmp_path: Path) -> None:
    """InstanceNumber of classic images, frame number of Enhanced ones; counted where there are none."""
    classic = series_of(CASES[0], tmp_path / "classic")
    numbers = [next(h for h in classic.headers if h.SOPInstanceUID == f.sop_instance_uid) for f in classic.frames]
    assert slice_names(classic) == tuple(f"image {header.InstanceNumber}" for header in numbers)
    enhanced = series_of(CASES[3], tmp_path / "enhanced")
    assert slice_names(enhanced) == tuple(f"image {frame.frame_number}" for frame in enhanced.frames)
    classic.headers[0].InstanceNumber = classic.headers[1].InstanceNumber
    assert slice_names(classic)[0] == "1 of 8"
    del classic.headers[0].InstanceNumber
    assert slice_names(classic)[-1] == "8 of 8"


def test_text_fits_its_room() -> None:
    """Lines are broken between words, and what cannot be broken is cut with dots."""
    words = "There are gaps between the slices; the volume assumes that they look like the adjacent slices."
    lines = wrap(words, BODY, 300)
    assert " ".join(lines) == words
    assert all(font(BODY).getlength(line) <= 300 for line in lines)
    name = made_by(ModelIdentity("m" * 64, "1.0", "5b" * 32))
    assert font(BODY).getlength(shortened(name, BODY, 400)) <= 400
    assert shortened(name, BODY, 400).endswith("...")
    assert shortened("short", BODY, 400) == "short"
