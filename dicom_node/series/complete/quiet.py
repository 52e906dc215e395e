"""How long a series has been quiet, also when the machine's clock is changed.

A row says when its last instance came, by the clock of that moment. Two facts are certain: it was not in the future,
and an instance that this process saw arrive since its last look is no older than that look. From then on a clock counts
that cannot be set. Only a process that has just started depends on the row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from dicom_node.node.clock import steady


@dataclass
class _Seen:
    """A series as it was last seen; `quiet` seconds at `since`, `at` the last look at it (both by the still clock)."""

    last_received_at: datetime
    quiet: float
    since: float
    at: float


class QuietTimes:
    """Remembers open series between two looks.

    Args:
        still: a clock that no step moves, in seconds.
    """

    def __init__(self, still: Callable[[], float] = steady) -> None:
        self._still = still
        self._series: dict[str, _Seen] = {}
        self._looked_at: float | None = None

    def seconds(self, series_uid: str, last_received_at: datetime, now: datetime) -> float:
        """How long ago the last instance came, in seconds.

        Args:
            now: the machine's clock, read before the row.
        """
        still, seen = self._still(), self._series.get(series_uid)
        if seen is None or seen.last_received_at != last_received_at:
            quiet = max((now - last_received_at).total_seconds(), 0.0)
            before = self._looked_at if seen is None else seen.at
            if before is not None:
                quiet = min(quiet, still - before)
            seen = self._series[series_uid] = _Seen(last_received_at, quiet, still, still)
        seen.at = still
        return seen.quiet + still - seen.since

    def looked(self, began: float, open_uids: Iterable[str]) -> None:
        """A look at all open series has ended, whose list was read at `began`; others are forgotten."""
        self._looked_at = began
        still_open = set(open_uids)
        self._series = {uid: seen for uid, seen in self._series.items() if uid in still_open}
