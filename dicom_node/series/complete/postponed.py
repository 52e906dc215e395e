"""Series that could not be read for now: the process that reads them was lost, and they need not be the reason.

They are looked at again, each time later, but not for ever: each look may take the time of other series.
"""

from __future__ import annotations

from typing import Final

MOST_LOOKS: Final = 5
FIRST_SECONDS: Final = 5.0  # after the first look in vain; doubles with each
_REMEMBERED_SERIES: Final = 256


class Postponed:
    """Keeps how often each series was looked at in vain, and when it is due."""

    def __init__(self) -> None:
        self._looks: dict[str, tuple[int, float]] = {}

    def seconds_left(self, series_uid: str, now: float) -> float:
        """Until the series may be looked at; 0 or less when it may. `now`: seconds of a clock that no step moves."""
        _, due = self._looks.get(series_uid, (0, now))
        return due - now

    def postpone(self, series_uid: str, now: float) -> float | None:
        """After a look in vain: seconds until the next; None when there were enough."""
        looks, _ = self._looks.pop(series_uid, (0, now))
        if looks + 1 >= MOST_LOOKS:
            return None
        seconds = float(FIRST_SECONDS * 2**looks)
        while len(self._looks) >= _REMEMBERED_SERIES:
            self._looks.pop(next(iter(self._looks)))
        self._looks[series_uid] = looks + 1, now + seconds
        return seconds

    def forget(self, series_uid: str) -> None:
        """The series could be read."""
        self._looks.pop(series_uid, None)
