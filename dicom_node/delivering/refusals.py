"""How often in a row a destination has refused a delivery."""

from __future__ import annotations

import threading


class Refusals:
    """Counts by delivery, shared by all deliverers of a process.

    Kept in memory: after a restart a destination is asked a few times more, which harms nobody.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[int, int] = {}

    def count(self, delivery_id: int) -> int:
        """One more refusal; returns how many there were in a row."""
        with self._lock:
            self._counts[delivery_id] = self._counts.get(delivery_id, 0) + 1
            return self._counts[delivery_id]

    def forget(self, delivery_id: int) -> None:
        """Any other outcome ends the row."""
        with self._lock:
            self._counts.pop(delivery_id, None)
