"""Which destinations are left alone just now, by all deliverers of a process."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from dicom_node.node.clock import steady


class PausedDestinations:
    """Destinations that are down, or that a thread of this process is sending to.

    A destination that does not answer costs a timeout at each try, and one thread at a time is enough for it: the
    rows of healthy destinations must not stand behind it.

    Args:
        still: a clock that no step moves, in seconds.
    """

    def __init__(self, still: Callable[[], float] = steady) -> None:
        self._still = still
        self._lock = threading.Lock()
        self._busy: set[str] = set()
        self._down_until: dict[str, float] = {}

    def names(self) -> list[str]:
        """The destinations to skip now."""
        now = self._still()
        with self._lock:
            return sorted(self._busy | {name for name, until in self._down_until.items() if until > now})

    @contextmanager
    def sending_to(self, name: str) -> Iterator[None]:
        """Other threads leave the destination alone while the block runs."""
        with self._lock:
            self._busy.add(name)
        try:
            yield
        finally:
            with self._lock:
                self._busy.discard(name)

    def down(self, name: str, seconds: float) -> None:
        """It did not answer: pause it for this time."""
        with self._lock:
            self._down_until[name] = self._still() + seconds

    def up(self, name: str) -> None:
        """It answered."""
        with self._lock:
            self._down_until.pop(name, None)
