"""How a worker goes about its jobs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dicom_node.node.profiles import DeliveryOptions
from segmentation.regions import PUBLISHED_RULE, RegionRule

_LONGEST_RETRY_SECONDS = 3600.0


@dataclass(frozen=True)
class WorkRules:
    """Rules of one worker; times in seconds.

    Attributes:
        lease_seconds: how long a claim holds without a heartbeat.
        retry_seconds: wait after the first failed attempt; doubles with each.
        limit_seconds: an attempt that takes longer hangs, in a decoder say, and takes its process with it.
        destinations: what each destination is sent of every result set, by its name.
        region_rule: which WMH counts as periventricular.
    """

    lease_seconds: float
    retry_seconds: float
    limit_seconds: float
    destinations: Mapping[str, DeliveryOptions]
    region_rule: RegionRule = PUBLISHED_RULE

    def wait_after(self, attempts: int) -> float:
        """Seconds to wait after that many attempts failed."""
        return float(min(self.retry_seconds * 2 ** max(0, attempts - 1), _LONGEST_RETRY_SECONDS))
