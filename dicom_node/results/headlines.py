"""What a page says in large type: a few words where the report has sentences. ASCII only, for Pillow's own font."""

from __future__ import annotations

from segmentation.measures import REVIEW_ABOVE, Measures


def review_headline(measures: Measures) -> tuple[str, str]:
    """The review recommendation for a page: a few words, and the reason below them."""
    if measures.uncertainty_index is None:
        return "No WMH found", "no measure of uncertainty without WMH"
    unsure = f"model unsure about {measures.uncertainty_index:.0%} of the WMH"
    if measures.review_recommended:
        return "Review recommended", f"{unsure} (limit {REVIEW_ABOVE:.0%})"
    return "No review flagged", f"{unsure} (limit {REVIEW_ABOVE:.0%})"


def lesions_in_words(count: int) -> str:
    """The number of lesions."""
    return "1 lesion" if count == 1 else f"{count} lesions"
