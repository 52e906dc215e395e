"""What lies where on the pages: no letters over others, no panel too small for them, whatever there is to note."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import ImageDraw
from support.phantoms import phantom_files
from support.result_cases import CASES, segmentation_of, series_of
from support.result_facts import MODEL

from dicom_node.demo.phantom.phantom import PhantomSpec, make_phantom
from dicom_node.results.common import words
from dicom_node.results.common.comparison import EarlierResult, NotCompared
from dicom_node.results.common.predecessor import ReportReference
from dicom_node.results.pages.content import Content, content_of_series
from dicom_node.results.pages.layout import NOTE_LINES, first_notes, note_pages
from dicom_node.results.pages.pages import NARROWEST_PANEL, draw_pages
from dicom_node.series.read.series import FlairSeries, read_series
from segmentation.boxed import BoxedMask
from segmentation.interval import PredictiveInterval, VolumeInterval
from segmentation.measures import measure
from segmentation.plausibility import RULES, Plausibility, Reason
from segmentation.probability import ProbabilityMap
from segmentation.regions import RegionRule, divide
from segmentation.segment import Segmentation, StageSeconds

FLAGS = tuple(words._FLAGS)
WEIGHTY = ("empty_brain_mask", "short_coverage")
WARNINGS = (
    "Another model: wmh-reference 1.1.0 now, wmh-reference 0.9.0 for the earlier scan. The change may be the model's.",
    "Another scanner: SIEMENS Prisma Fit, 3 T now, Philips Achieva dStream, 1.5 T for the earlier scan.",
    "Another protocol: 3D acquisition, earlier 2D; echo time 388 ms, earlier 125 ms; repetition time 5000 ms, "
    "earlier 11000 ms; inversion time 1800 ms, earlier 2800 ms; slice distance 1 mm, earlier 5.5 mm; row spacing "
    "0.9766 mm, earlier 0.4883 mm; column spacing 0.9766 mm, earlier 0.4883 mm. This alone may change the volume.",
    "The earlier series did not cover the whole brain: its volume is that of a part.",
)
EARLIER = ReportReference("1.2.3", "1.2.4", "1.2.5", "1.2.6")
Box = tuple[float, float, float, float]


@dataclass
class Laid:
    """Where a page's letters and panels lie: (left, top, right, bottom)."""

    texts: list[tuple[str, Box]] = field(default_factory=list)
    panels: list[Box] = field(default_factory=list)


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> FlairSeries:
    """A phantom of 24 x 128 x 128, with what the phantom says is WMH."""
    folder = tmp_path_factory.mktemp("head")
    return read_series(phantom_files(PhantomSpec(slices=24, matrix=128), folder))


@pytest.fixture(scope="module")
def found(head: FlairSeries) -> Segmentation:
    """Its WMH, divided, with voxels that the model is unsure of."""
    phantom = make_phantom(PhantomSpec(slices=24, matrix=128))
    probability = np.where(phantom.wmh, 0.9, 0.1).astype(np.float32)
    probability[phantom.wmh & (np.arange(128) % 2 == 0)] = 0.6
    measures = replace(measure(phantom.wmh, probability, head.volume().voxel_volume_ml), review_recommended=True)
    regions = divide(phantom.wmh, phantom.ventricles, head.volume().spacing_mm, RegionRule())
    assert regions is not None
    plain = Segmentation(
        BoxedMask.of(phantom.wmh), ProbabilityMap(probability), measures, StageSeconds(0.1, 0.2, 0.3), ()
    )
    return replace(
        plain,
        kept_ventricles=BoxedMask.of(phantom.ventricles),
        kept_periventricular=BoxedMask.of(regions.periventricular),
        regions=regions.volumes,
    )


def content_with(head: FlairSeries, found: Segmentation, flags: Sequence[str], warnings: Sequence[str]) -> Content:
    """The content with these flags, compared with an earlier scan under these warnings."""
    earlier = EarlierResult(
        EARLIER,
        date(2024, 3, 12),
        date(2026, 3, 12),
        4.0,
        VolumeInterval(3.0, 5.0),
        tuple(warnings),
    )
    return content_of_series(head, found, flags, MODEL, earlier.against(found.measures))


def laid(content: Content, monkeypatch: pytest.MonkeyPatch) -> list[Laid]:
    """The pages as they are drawn."""
    pages: dict[int, Laid] = {}
    text, rectangle = ImageDraw.ImageDraw.text, ImageDraw.ImageDraw.rectangle

    def noted_text(self: Any, at: Any, said: str, colour: Any, font: Any, anchor: str, **more: Any) -> None:
        page = pages.setdefault(id(self), Laid())
        if said:
            page.texts.append((said, self.textbbox(at, said, font, anchor=anchor)))
        drawn.append(self)
        text(self, at, said, colour, font, anchor=anchor, **more)

    def noted_rectangle(self: Any, box: Box, **more: Any) -> None:
        if more.get("fill") == (0, 0, 0):
            pages.setdefault(id(self), Laid()).panels.append(box)
        rectangle(self, box, **more)

    drawn: list[Any] = []  # kept, so that no two have one id
    with monkeypatch.context() as patch:
        patch.setattr(ImageDraw.ImageDraw, "text", noted_text)
        patch.setattr(ImageDraw.ImageDraw, "rectangle", noted_rectangle)
        images = draw_pages(content)
    assert len(images) == len(pages)
    return list(pages.values())


def over_each_other(page: Laid) -> list[tuple[str, str]]:
    """Pairs of words whose boxes share a pixel."""
    return [
        (one, other)
        for (one, a), (other, b) in combinations(page.texts, 2)
        if min(a[2], b[2]) - max(a[0], b[0]) > 0 and min(a[3], b[3]) - max(a[1], b[1]) > 0
    ]


@pytest.mark.parametrize(
    ("flags", "warnings"),
    [
        (("oblique",), WARNINGS[:1]),
        (FLAGS[:3], WARNINGS),
        (FLAGS, WARNINGS),
        ((), ("x" * 400, "A word and another. " * 200)),
    ],
    ids=["little", "some flags", "everything", "unbroken"],
)
def test_letters_have_room_whatever_is_noted(
    flags: Sequence[str],
    warnings: Sequence[str],
    head: FlairSeries,
    found: Segmentation,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """However much there is to note, panels stay wide and high enough for their letters, no words lie over others, and
    all lie on the page."""
    pages = laid(content_with(head, found, flags, warnings), monkeypatch)
    for page in pages:
        assert over_each_other(page) == []
        assert all(box[0] >= 0 and box[1] >= 0 and box[2] <= 1024 and box[3] <= 1024 for _, box in page.texts)
        for left, top, right, bottom in page.panels:
            assert right - left + 1 >= NARROWEST_PANEL
            assert bottom - top >= 150
    assert len(pages[0].panels) == 6


def test_doubt_stands_in_place_of_the_number_or_beside_it(
    head: FlairSeries, found: Segmentation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A result that is not reliable has no volume in large type and none beside its parts, but its reasons; the longest
    reason for a review has room beside a large volume."""
    content = content_with(head, found, (), ())
    measures = replace(content.measures, wmh_volume_ml=187.6, volume_interval_ml=VolumeInterval(101.4, 1325.5))
    content = replace(content, measures=measures)
    longest = max((rule.headline for rule in RULES if rule.reliability == "review"), key=len)
    for reliability, shown in (("not_reliable", "Not reliable"), ("review", f"Review: {longest}")):
        doubt = Plausibility((Reason("a", reliability, longest, "Why."),))  # type: ignore[arg-type]
        first, *others = laid(replace(content, plausibility=doubt), monkeypatch)
        said = [text for text, _ in first.texts]
        assert over_each_other(first) == []
        assert shown in said
        assert ("187.6 mL" in said) is (reliability == "review")
        volumes = [text for page in others for text, _ in page.texts if text.endswith(" mL")]
        assert bool(volumes) is (reliability == "review")


def test_the_first_page_has_an_interval_that_was_measured_or_none(
    head: FlairSeries, found: Segmentation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model's own doubt is no interval to read; where it is known how far readers' volumes lie, that is shown."""
    content = content_with(head, found, (), ())
    measured = PredictiveInterval(VolumeInterval(98.7, 1357.9), 0.8)
    for predictive in (None, measured):
        measures = replace(content.measures, wmh_volume_ml=187.6, volume_interval_ml=VolumeInterval(101.4, 1325.5),
                           predictive=predictive)  # fmt: skip
        first = laid(replace(content, measures=measures), monkeypatch)[0]
        said = [text for text, _ in first.texts]
        assert over_each_other(first) == []
        assert ("80 % interval " in said and "98.7 to 1357.9 mL" in said) is (predictive is not None)
        assert not any("1325.5" in text for text in said)


def test_no_slice_is_shown_twice(head: FlairSeries, found: Segmentation, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pages together show each slice with WMH once, and no other."""
    pages = laid(content_with(head, found, (), ()), monkeypatch)
    shown = [said for page in pages for said, _ in page.texts if said.startswith("image ")]
    assert len(shown) == len(set(shown)) == int(found.mask.any(axis=(1, 2)).sum())


def test_every_note_is_shown_whole(head: FlairSeries, found: Segmentation, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the first page has no room for is not lost: it says where all notes are, and there each word of them is."""
    content = content_with(head, found, FLAGS, WARNINGS)
    pages = laid(content, monkeypatch)
    with_notes = [page for page in pages if page.texts[0][0].startswith("Notes on")]
    number = len(pages) - len(with_notes) + 1
    assert f"All {len(content.notes)} notes: page {number}." in [said for said, _ in pages[0].texts]
    shown = " ".join(said for page in with_notes for said, _ in page.texts).replace(" - ", " ").replace("  ", " ")
    # One by one: the last notes may stand on a page of their own, behind its heading.
    assert [note for note in content.notes if " ".join(note.split()) not in shown] == []


def test_what_weighs_most_is_noted_first(head: FlairSeries, found: Segmentation) -> None:
    """A reader is first shown what may make the volume wrong, then what its change is worth or why it has none, then
    all else."""
    flags = ("blank_slices", *WEIGHTY, "derived")
    first, last = words.flags_in_words(WEIGHTY), words.flags_in_words(("blank_slices", "derived"))
    assert [*content_with(head, found, flags, WARNINGS).notes] == [*first, *WARNINGS, *last]
    refused = content_of_series(head, found, flags, MODEL, NotCompared(EARLIER, "The name differs."))
    assert [*refused.notes] == [*first, "The name differs.", *last]


def test_what_changes_nothing_is_not_noted(head: FlairSeries, found: Segmentation) -> None:
    """Every clinical scan is tilted: such a word on the page says nothing."""
    assert content_with(head, found, ("oblique",), ()).notes == ()


def test_what_a_reason_says_is_not_noted_again(head: FlairSeries, found: Segmentation) -> None:
    """WMH outside the brain is noted once: by the reason, with its amount, or by the flag where it is no reason."""
    reason = Reason("partly_outside_brain", "review", "marked outside the brain", "2 mL lay outside the brain.")
    doubted = replace(found, plausibility=Plausibility((reason,)))
    flags = ("wmh_outside_brain_dropped",)
    assert content_with(head, doubted, flags, ()).notes == (reason.sentence,)
    assert [*content_with(head, found, flags, ()).notes] == words.flags_in_words(flags)


def test_no_warning_drives_a_weighty_flag_off_the_first_page(
    head: FlairSeries, found: Segmentation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a comparison has more warnings than the first page has room for, what weighs most is there anyway."""
    first, *_ = laid(content_with(head, found, (*WEIGHTY, "oblique"), WARNINGS), monkeypatch)
    told = " ".join(said for said, _ in first.texts)
    assert all(sentence in told for sentence in words.flags_in_words(WEIGHTY))


@pytest.mark.parametrize("count", range(1, 26))
def test_notes_stay_whole_on_the_first_page(count: int) -> None:
    """The first page shows whole notes, in at most six lines, and is silent about other pages where they all fit."""
    notes = (*WARNINGS, *words.flags_in_words(FLAGS))[:count]
    lines = first_notes(notes, 4)
    assert len(lines) <= NOTE_LINES
    if lines[-1].startswith("All "):
        assert lines[-1] == f"All {count} notes: page 4."
        assert lines[-2].endswith(".")
        assert not lines[-2].endswith("...")
    else:
        assert " ".join(lines) == " ".join(notes)
    assert sum(line.startswith("- ") for page in note_pages(notes) for line in page) == count


def test_long_names_of_slices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a slice's name and its volume have no room side by side, the volume stands below; no name leaves its
    panel."""
    series = series_of(CASES[0], tmp_path)
    content = content_of_series(series, segmentation_of(series), (), MODEL)
    for name in ("image 123456789012", "frame 1234567890123456789012345678901234567890"):
        pages = laid(replace(content, slice_names=(name,) * len(series.voxels)), monkeypatch)
        assert all(over_each_other(page) == [] for page in pages)
