"""A sender whose series are rejected, or need a review, much more often than before: mostly a protocol was changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Final

from db.shares import SenderCounts

RECENT: Final = timedelta(days=7)
BEFORE: Final = timedelta(days=35)
# Fewer say nothing about a share, and a smaller rise may be chance.
_LEAST_RECENT: Final = 10
_LEAST_BEFORE: Final = 30
_RISE: Final = 0.3


def unusual_senders(counts: Mapping[str, tuple[SenderCounts, SenderCounts]]) -> Iterator[tuple[str, str]]:
    """(AE title, what is unusual and what to do); one entry for a sender, whose name is the check's."""
    for sender, (before, recent) in sorted(counts.items()):
        if found := "; ".join(_unusual(before, recent)):
            yield sender, found


def _unusual(before: SenderCounts, recent: SenderCounts) -> Iterator[str]:
    if rise := _rise(before.rejected, before.series, recent.rejected, recent.series):
        advice = "was its protocol changed? `wmh-node jobs list --state rejected` gives the reasons"
        yield f"{rise} of its series of 7 days were rejected, before that {_share(before)}: {advice}"
    if rise := _rise(before.reviews, before.results, recent.reviews, recent.results):
        earlier = _percent(before.reviews, before.results)
        advice = "compare its images with earlier ones"
        yield f"{rise} of its results of 7 days recommend a review, before that {earlier}: {advice}"


def _rise(part_before: int, all_before: int, part: int, everything: int) -> str | None:
    if all_before < _LEAST_BEFORE or everything < _LEAST_RECENT:
        return None
    if part / everything - part_before / all_before < _RISE:
        return None
    return _percent(part, everything)


def _share(counts: SenderCounts) -> str:
    return _percent(counts.rejected, counts.series)


def _percent(part: int, everything: int) -> str:
    return f"{100 * part / everything:.0f} %"
