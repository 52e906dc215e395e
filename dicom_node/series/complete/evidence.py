"""When is a series complete: the table of evidence.

DICOM has no message that says "this series is complete", so we go by what the sender did and what the slices look like:

| association          | slices                             | complete after the last instance by       |
|----------------------|------------------------------------|-------------------------------------------|
| released             | regular, none missing, none twice  | `quiet_seconds`                           |
| released             | gap, duplicate, fewer than expected| `quiet_seconds_incomplete`                |
| released             | another series of the study goes on| `quiet_seconds_incomplete`                |
| released             | one UID came with different bytes  | `quiet_seconds_incomplete`                |
| released             | fewer than a brain needs           | `quiet_seconds_incomplete`                |
| released             | the last association added some    | three times the longest pause, see below  |
| released             | the sender's last series grew so   | the same, by their longest pause          |
| aborted or lost      | as many as announced, none missing | `quiet_seconds`                           |
| aborted or lost      | any other                          | `quiet_seconds_incomplete`                |
| open                 | any                                | `quiet_seconds_incomplete` + network timeout |

An association that was aborted or lost (the peer, the network, or this receiver died) did not end in order (PS3.8 7.3,
7.4), so its sender will send again. What it sends are copies where a header announces the number of images and all of
them are there: that series need not wait. Positions and instance numbers alone prove no end, since the first half of a
series is regular as well.
The last row is for an association that died unseen, or that stays open for other series: until then an open association
always holds its series back.
Some senders open an association for each image, as it is reconstructed. A series that grew with its last association,
after an earlier one that was released, is such: it waits three times the longest pause between its associations, at
least `quiet_seconds_incomplete` and at most `quiet_seconds_growing`; unless a header announces the number of images,
and all are there. What a sender did with its last series it does with the next: where all of its last three, or of
those that are known, grew so, a new one waits by their longest pause from its first image on.

A slice that comes later opens the series again and gives a new job whose result names its predecessor.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from db.records import Arrival, AssociationEnd
from dicom_node.node.settings import Settings

_PAUSES: Final = 3.0
LEARNED_FROM: Final = 3
"""So many of a sender's last series say how it sends."""


@dataclass(frozen=True)
class Patience:
    """The waits of the table above, in seconds."""

    quiet_seconds: float
    quiet_seconds_incomplete: float
    open_association_seconds: float
    quiet_seconds_growing: float = 0.0

    @classmethod
    def of(cls, settings: Settings) -> Patience:
        """From the settings."""
        return cls(
            quiet_seconds=settings.quiet_seconds,
            quiet_seconds_incomplete=settings.quiet_seconds_incomplete,
            open_association_seconds=settings.quiet_seconds_incomplete + settings.network_timeout_seconds,
            quiet_seconds_growing=settings.quiet_seconds_growing,
        )


@dataclass(frozen=True)
class ArrivalEvidence:
    """What is known about a series without looking into its files, and with (`looks_complete`).

    Attributes:
        association_open: at least one association that sent instances of it is open.
        released: the last association that ended did so by A-RELEASE.
        has_conflict: one SOPInstanceUID arrived with different bytes.
        looks_complete: slices are regular, none missing, none twice, as many as announced.
        is_counted: their number is announced, see `Examination`.
        longest_pause: seconds between two associations by which the series grew, or by which its sender's last ones
            did; None when one brings a series whole.
    """

    association_open: bool
    released: bool
    has_conflict: bool
    looks_complete: bool
    longest_pause: float | None = None
    is_counted: bool = False


def longest_pause(arrivals: Sequence[Arrival]) -> float | None:
    """The longest pause of a series that grew by several associations, the earlier ones released; else None.

    What follows an association that was aborted or lost is its resend, and no growth.
    """
    pauses = [
        max((later.first_at - earlier.first_at).total_seconds(), 0.0)
        for earlier, later in pairwise(arrivals)
        if earlier.ended is AssociationEnd.RELEASED
    ]
    return max(pauses, default=None)


def learned_pause(series: Sequence[Sequence[Arrival]]) -> float | None:
    """The longest pause of a sender's last series, where each of them grew by several associations; else None."""
    pauses = [longest_pause(arrivals) for arrivals in series]
    known = [pause for pause in pauses if pause is not None]
    return max(known) if known and len(known) == len(pauses) else None


def seconds_to_wait(evidence: ArrivalEvidence, patience: Patience) -> float:
    """How long after its last instance the series counts as complete."""
    if evidence.association_open:
        return patience.open_association_seconds
    if evidence.longest_pause is not None:
        bounded = min(_PAUSES * evidence.longest_pause, patience.quiet_seconds_growing)
        return max(bounded, patience.quiet_seconds_incomplete)
    if (evidence.released or evidence.is_counted) and evidence.looks_complete and not evidence.has_conflict:
        return patience.quiet_seconds
    return patience.quiet_seconds_incomplete
