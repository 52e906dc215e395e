"""Writes down that time passes, for rules that count in days."""

from __future__ import annotations

from collections.abc import Callable

from db.seen_time import SeenTime, Stretch
from dicom_node.node.clock import ClockWatch, steady


class Witness:
    """Of one process. Counts from its beginning, or from the last step of the clock.

    Args:
        table: where it is written.
        watch: notices steps.
        still: a clock that no step moves, in seconds.
    """

    def __init__(self, table: SeenTime, watch: ClockWatch, still: Callable[[], float] = steady) -> None:
        self._table = table
        self._watch = watch
        self._still = still
        self._began, self._step_seen = still(), watch.stepped_at
        self._stretch: Stretch | None = None

    def look(self) -> None:
        """Write down how long it has been, unless the clock was set."""
        self._watch.look()
        if self._watch.stepped_at != self._step_seen:
            self._began, self._step_seen, self._stretch = self._still(), self._watch.stepped_at, None
            return
        seconds = self._still() - self._began
        if self._stretch is None:
            self._stretch = self._table.begin(seconds)
        else:
            self._table.extend(self._stretch, seconds)
