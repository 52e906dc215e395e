"""How long a delivery is tried."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from dicom_node.deliver.send import StoreStatus
from dicom_node.node.settings import Settings

# A refusal may come from a PACS that is being set up: asked three times in a row, then believed.
REFUSALS_BELIEVED = 3

# And only once the set has been due for so long. A disk that fills up takes what is small or there already, and says
# "cannot understand" to the rest: only time tells that from an object which the peer will never take. A full disk
# stops all who store there, so that a day is enough to make room. For an object that is never taken, a day costs some
# tries and a later word to the administrator: all that can be sent without it is there at once.
BELIEVED_AFTER_SECONDS: Final[Mapping[StoreStatus, float]] = MappingProxyType(
    {StoreStatus.REFUSED: 0.0, StoreStatus.NOT_UNDERSTOOD: 24 * 3600.0}
)


@dataclass(frozen=True)
class DeliveryPatience:
    """Waits between attempts, in seconds: doubling from the first to the longest, for so many seconds in all."""

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
        doublings = min(max(0, attempts - 1), 40)  # beyond this the float, not the cap, would decide
        return float(min(self.first_seconds * 2**doublings, self.longest_seconds))
