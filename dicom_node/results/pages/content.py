"""What the pages for a person say about one analysis."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dicom_node.node.errors import ResultError
from dicom_node.results.common.comparison import FollowUpComparison, FollowUpFinding
from dicom_node.results.common.words import bright_region_in_words, extent_in_words, flags_in_words
from dicom_node.results.pages.outlines import Outlined
from dicom_node.series.dicom import values
from dicom_node.series.dicom.examination import examination_in_words
from dicom_node.series.read.series import FlairSeries
from segmentation.bundle import ModelIdentity
from segmentation.measures import LEAST_LESION_ML, Measures
from segmentation.plausibility import PLAUSIBLE, Plausibility
from segmentation.regions import RegionVolumes
from segmentation.segment import FLAG_OUTSIDE_BRAIN, Segmentation
from segmentation.volume import FlairVolume

# Flags that come first on a page: what they say may make the numbers wrong.
# Every clinical scan is tilted, which changes no number: it stands in the report only.
_CHANGE_NOTHING: Final = frozenset({"oblique"})
_WEIGHTY: Final = frozenset(
    {
        "empty_brain_mask",
        "fewer_images_than_announced",
        "images_without_place",
        "instance_numbers_missing",
        "longer_series_in_study",
        "no_histogram_peak",
        "no_ventricles_found",
        "objects_refused",
        "pixels_of_slices_lost",
        "post_contrast",
        "short_coverage",
        "unreadable_files_beside",
    }
)
_OUTSIDE_REASONS: Final = frozenset({"mostly_outside_brain", "partly_outside_brain"})


@dataclass(frozen=True, eq=False)  # arrays do not compare to one truth value
class Content:
    """What the pages about one analysis show.

    Attributes:
        volume: intensities.
        affine_lps: 4x4, (column, row, slice) indices to mm, LPS.
        outlined: masks (slice, row, column).
        measures: of the WMH mask.
        regions: volumes of its parts and of the ventricles; None where it is not divided.
        model: that made it, when it is to be named.
        slice_names: per slice, what the PACS calls it, such as "image 12".
        follow_up: the change since an earlier scan; None where there is none.
        plausibility: whether the result can be right; its reasons come first among the notes.
        examination: which scan: its day and scanner; None where there is no DICOM header.
        notes: sentences about the series, the comparison and the analysis, the most important first.

    Raises:
        ResultError: the masks do not fit the volume.
    """

    volume: FlairVolume
    affine_lps: NDArray[np.float64]
    outlined: Outlined
    measures: Measures
    regions: RegionVolumes | None
    model: ModelIdentity | None
    slice_names: tuple[str, ...]
    follow_up: FollowUpFinding | None = None
    notes: tuple[str, ...] = ()
    plausibility: Plausibility = PLAUSIBLE
    examination: str | None = None

    def __post_init__(self) -> None:
        """Check once, so that nothing after has to."""
        if self.outlined.wmh.shape != self.volume.shape:
            raise ResultError(f"expected a mask of shape {self.volume.shape}, got {self.outlined.wmh.shape}")

    @property
    def is_reliable(self) -> bool:
        """False where the numbers must not be read."""
        return self.plausibility.reliability != "not_reliable"


def content_of_series(
    series: FlairSeries,
    segmentation: Segmentation,
    flags: Iterable[str],
    model: ModelIdentity | None,
    follow_up: FollowUpFinding | None = None,
) -> Content:
    """What there is to say about a DICOM series.

    Raises:
        ResultError: the segmentation does not fit the series.
    """
    content = _content(series.volume(), series.affine, segmentation, flags, model, slice_names(series), follow_up)
    return replace(content, examination=examination_in_words(series.headers[0]))


def content_of_volume(
    volume: FlairVolume,
    affine_lps: NDArray[np.float64],
    segmentation: Segmentation,
    flags: Iterable[str],
    model: ModelIdentity | None,
) -> Content:
    """What there is to say about a volume without DICOM.

    Raises:
        ResultError: the segmentation does not fit the volume.
    """
    return _content(volume, affine_lps, segmentation, flags, model, counted_names(volume.shape[0]))


def _content(
    volume: FlairVolume,
    affine_lps: NDArray[np.float64],
    segmentation: Segmentation,
    flags: Iterable[str],
    model: ModelIdentity | None,
    names: tuple[str, ...],
    follow_up: FollowUpFinding | None = None,
) -> Content:
    return Content(
        volume=volume,
        affine_lps=affine_lps,
        outlined=Outlined.of(segmentation),
        measures=segmentation.measures,
        regions=segmentation.regions,
        model=model,
        slice_names=names,
        follow_up=follow_up,
        notes=(
            *(reason.sentence for reason in segmentation.plausibility.reasons),
            *bright_region_in_words(segmentation.bright_region, len(segmentation.kept_mask)),
            *_notes_by_weight(_unsaid(flags, segmentation.plausibility), follow_up),
            *(extent_in_words(segmentation.extent) if segmentation.is_reliable else ()),
        ),
        plausibility=segmentation.plausibility,
    )


def _unsaid(flags: Iterable[str], plausibility: Plausibility) -> set[str]:
    """The flags that no reason of the plausibility says already, with its amount."""
    is_said = any(reason.code in _OUTSIDE_REASONS for reason in plausibility.reasons)
    return set(flags) - ({FLAG_OUTSIDE_BRAIN} if is_said else set())


def _notes_by_weight(flags: Iterable[str], follow_up: FollowUpFinding | None) -> tuple[str, ...]:
    """Sentences: first those that may change what a reader makes of the numbers, then those about their change."""
    found = set(flags) - _CHANGE_NOTHING
    return (
        *flags_in_words(found & _WEIGHTY),
        *_notes_of_comparison(follow_up),
        *flags_in_words(found - _WEIGHTY),
    )


def _notes_of_comparison(follow_up: FollowUpFinding | None) -> tuple[str, ...]:
    """What a reader of the comparison must know, or why there is none."""
    if follow_up is None:
        return ()
    if not isinstance(follow_up, FollowUpComparison):
        return (follow_up.reason,)
    single = () if follow_up.lesions is None or follow_up.lesion_changes is not None else follow_up.lesions.in_words
    return (*follow_up.warnings, *single)


def slice_names(series: FlairSeries) -> tuple[str, ...]:
    """Per slice "image 12": InstanceNumber of a classic instance, frame number of an Enhanced one.

    Slices are counted from the feet where those are missing, or the same for two slices.
    """
    stated = {str(header.SOPInstanceUID): values.whole(header, "InstanceNumber") for header in series.headers}
    numbers = [
        stated[frame.sop_instance_uid] if frame.frame_number is None else frame.frame_number for frame in series.frames
    ]
    if None in numbers or len(set(numbers)) < len(numbers):
        return counted_names(len(numbers))
    return tuple(f"image {number}" for number in numbers)


def counted_names(count: int) -> tuple[str, ...]:
    """Per slice "12 of 24"."""
    return tuple(f"{index + 1} of {count}" for index in range(count))


UNSURE_WORDS: Final = "shaded: the model is unsure"


NOT_RELIABLE: Final = "Not reliable"
NO_WARNING: Final = ("No automatic warning;", "still check the outlines")


def review_headline(measures: Measures, plausibility: Plausibility = PLAUSIBLE) -> tuple[str | None, str]:
    """The review recommendation for a page: a few words, None without one, and what is known of the doubt below."""
    headline = None
    if plausibility.reliability != "ok":
        headline = f"Review: {plausibility.headline}"
    elif measures.review_recommended:
        headline = "Review: model unsure"
    if measures.uncertainty_index is None:
        return headline, "no WMH found"
    part, limit = 100 * measures.uncertainty_index, 100 * measures.review_above
    return headline, f"unsure about {_percent(part, measures)} % (limit {limit:.0f} %)"


def lesions_in_words(count: int) -> str:
    """The number of lesions, and from which size they count."""
    return f"{count} {'lesion' if count == 1 else 'lesions'} (from {LEAST_LESION_ML:g} mL)"


def earlier_in_words(finding: FollowUpComparison) -> str:
    """The volume of the earlier scan, and what the change is worth."""
    lower, upper = finding.earlier.interval_ml
    worth = "beyond both intervals" if finding.is_beyond_intervals else "the intervals overlap"
    return f"then {finding.earlier.volume_ml:.1f} mL ({lower:.1f} to {upper:.1f}); {worth}"


def _percent(part: float, measures: Measures) -> str:
    """Rounded, and with a digit more where the rounded number would be on the wrong side of the limit or at it."""
    limit = 100 * measures.review_above
    rounded = round(part)
    return f"{part:.1f}" if (rounded > limit) != measures.review_recommended or rounded == limit else f"{rounded}"
