"""What a page says in large type: a few words where the report has sentences. ASCII only, for Pillow's own font."""

from __future__ import annotations

from typing import Final

from dicom_node.results.common.comparison import FollowUpComparison
from segmentation.measures import LEAST_LESION_ML, Measures
from segmentation.plausibility import PLAUSIBLE, Plausibility

UNSURE_WORDS: Final = "shaded: the model is unsure; the interval is the volume without and with it"


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


def earlier_in_words(told: FollowUpComparison) -> str:
    """The volume of the earlier scan, and what the change is worth."""
    lower, upper = told.earlier.interval_ml
    worth = "beyond both intervals" if told.is_beyond_intervals else "the intervals overlap"
    return f"then {told.earlier.volume_ml:.1f} mL ({lower:.1f} to {upper:.1f}); {worth}"


def _percent(part: float, measures: Measures) -> str:
    """Rounded, and with a digit more where the rounded number would be on the wrong side of the limit or at it."""
    limit = 100 * measures.review_above
    rounded = round(part)
    return f"{part:.1f}" if (rounded > limit) != measures.review_recommended or rounded == limit else f"{rounded}"
