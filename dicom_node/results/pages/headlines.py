"""What a page says in large type: a few words where the report has sentences. ASCII only, for Pillow's own font."""

from __future__ import annotations

from typing import Final

from dicom_node.results.common.comparison import FollowUpComparison
from segmentation.measures import REVIEW_ABOVE, Measures

UNSURE_WORDS: Final = "shaded: the model is unsure; the interval is the volume without and with it"


def review_headline(measures: Measures) -> tuple[str, str]:
    """The review recommendation for a page: a few words, and the reason below them."""
    if measures.uncertainty_index is None:
        return "No WMH found", "without WMH its doubt cannot be measured"
    part, limit = 100 * measures.uncertainty_index, 100 * REVIEW_ABOVE
    headline = "Review recommended" if measures.review_recommended else "No review flagged"
    return headline, f"model unsure about {_percent(part, measures)} % of the WMH (limit {limit:.0f} %)"


def lesions_in_words(count: int) -> str:
    """The number of lesions."""
    return "1 lesion" if count == 1 else f"{count} lesions"


def earlier_in_words(told: FollowUpComparison) -> str:
    """The volume of the earlier scan, and what the change is worth."""
    lower, upper = told.earlier.interval_ml
    worth = "beyond both intervals" if told.is_beyond_intervals else "the intervals overlap"
    return f"then {told.earlier.volume_ml:.1f} mL ({lower:.1f} to {upper:.1f}); {worth}"


def _percent(part: float, measures: Measures) -> str:
    """Rounded, and with a digit more where the rounded number would be on the wrong side of the limit or at it."""
    limit = 100 * REVIEW_ABOVE
    rounded = round(part)
    return f"{part:.1f}" if (rounded > limit) != measures.review_recommended or rounded == limit else f"{rounded}"
