"""How long a delivery is tried."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from dicom_node.node.settings import Settings

# A refusal may come from a PACS that is being set up: asked three times in a row, then believed.
REFUSALS_BELIEVED = 3

# What may pass is believed after this part of the time that a set is tried (7 days: one day), and when the same objects
# are not taken as often. A disk that fills up takes what is small or there already, and says "out of resources" or
# "cannot understand" to the rest: only time separates that from an object which the peer will never take. A full disk
# stops all who store there, so that a day is enough to make room. For an object that is never taken, a day costs some
# tries: all that can be sent without it is there at once, and the reason is in the job's timeline after the first.
_BELIEVED_AFTER_PART: Final = 1 / 7
_MOST_DOUBLINGS: Final = 40  # beyond this the float, not the longest wait, would decide


@dataclass(frozen=True)
class DeliveryPatience:
    """Waits between attempts, in seconds: doubling from the first to the longest, for so many seconds in all.

    Time is counted by the waits of the attempts that were made. So nothing is given up early when the clock was set
    forward, or when the node was off for a week.
    """

    first_seconds: float
    longest_seconds: float
    total_seconds: float

    @classmethod
    def of(cls, settings: Settings) -> DeliveryPatience:
        """From the settings."""
        return cls(
            first_seconds=settings.delivery_retry_seconds,
            longest_seconds=settings.delivery_retry_longest_seconds,
            total_seconds=settings.delivery_days * 86_400,
        )

    def wait_after(self, attempts: int) -> float:
        """Seconds until the next attempt, after that many."""
        doublings = min(max(0, attempts - 1), _MOST_DOUBLINGS)
        return float(min(self.first_seconds * 2**doublings, self.longest_seconds))

    def tried_seconds(self, attempts: int) -> float:
        """How long a set was tried when the last of so many attempts is made."""
        waits = max(attempts - 1, 0)
        growing = min(waits, _MOST_DOUBLINGS)
        return sum(map(self.wait_after, range(1, growing + 1))) + (waits - growing) * self.wait_after(waits)

    @property
    def believed_after_seconds(self) -> float:
        """How long what may pass is not believed."""
        return self.total_seconds * _BELIEVED_AFTER_PART
