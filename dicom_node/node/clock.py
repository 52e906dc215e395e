"""Steps of the machine's clock, as one process sees them.

Waits inside a process go by `steady`, which no step moves. Rows of the database bear the clock's time, since other
machines compare it with theirs; so after a step they must be checked (`db.clock`).

CLOCK_BOOTTIME goes on while a machine sleeps, which is no step (Linux; elsewhere the monotonic clock has to do).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import cache
from typing import Final

from dicom_node.node.logger import get_logger

log = get_logger()

_STEP_SECONDS: Final = 5.0
"""NTP slews less between two looks, and leases and quiet times do not care."""
_BOOTTIME: Final[int | None] = getattr(time, "CLOCK_BOOTTIME", None)


def steady() -> float:
    """Seconds of a clock that cannot be set."""
    return time.monotonic() if _BOOTTIME is None else time.clock_gettime(_BOOTTIME)


class ClockWatch:
    """Notices steps of the clock and says so once each. Safe to use from several threads.

    Args:
        wall: the machine's clock, in seconds.
        still: a clock that no step moves, in seconds.
    """

    def __init__(self, wall: Callable[[], float] = time.time, still: Callable[[], float] = steady) -> None:
        self._wall = wall
        self._still = still
        self._lock = threading.Lock()
        self._difference = wall() - still()
        self._stepped_at: float | None = None

    @property
    def stepped_at(self) -> float | None:
        """When the last step was noticed, by `still`; None when there was none."""
        return self._stepped_at

    def look(self) -> float:
        """Seconds of the step since the last call by any caller, forward or (below 0) back; 0 when there was none."""
        with self._lock:
            still = self._still()
            difference = self._wall() - still
            step = difference - self._difference
            self._difference = difference
            if abs(step) < _STEP_SECONDS:
                return 0.0
            self._stepped_at = still
        log.warning(
            "the machine's clock was changed: waiting times are not affected",
            seconds=round(step),
            direction="forward" if step > 0 else "back",
        )
        return step

    def has_settled(self, seconds: float) -> bool:
        """Whether there was no step in the last `seconds`, this moment included."""
        self.look()
        with self._lock:
            return self._stepped_at is None or self._still() - self._stepped_at >= seconds


@cache
def clock_watch() -> ClockWatch:
    """The one of this process, so that a step is said once."""
    return ClockWatch()


class Regularly:
    """Whether it is time for something that is done at the start, every so many seconds, and after a step.

    Args:
        seconds: between two times.
        still: see `ClockWatch`.
    """

    def __init__(self, seconds: float, watch: ClockWatch, still: Callable[[], float] = steady) -> None:
        self._seconds = seconds
        self._watch = watch
        self._still = still
        self._done_at: float | None = None
        self._step_seen = watch.stepped_at

    def is_due(self) -> bool:
        """True at most once in so many seconds, and at once after a step."""
        self._watch.look()
        step, now = self._watch.stepped_at, self._still()
        if step == self._step_seen and self._done_at is not None and now - self._done_at < self._seconds:
            return False
        self._step_seen, self._done_at = step, now
        return True
