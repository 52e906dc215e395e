"""The drift of a year, computed at most once in some minutes: it looks at every result of that time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Final

from db.drift import DriftLine, drift
from db.engine import Database
from dicom_node.node.clock import steady

_SPAN: Final = timedelta(days=366)
MOST_RESULTS: Final = 20_000
_KEPT_SECONDS: Final = 600.0


class DriftWatch:
    """Computes and keeps. Safe to use from several threads."""

    def __init__(self, database: Database, still: Callable[[], float] = steady) -> None:
        self._database = database
        self._still = still
        self._lock = threading.Lock()
        self._kept: tuple[float, Sequence[DriftLine]] | None = None

    def lines(self) -> Sequence[DriftLine]:
        """As `db.drift.drift`, of the last year."""
        with self._lock:
            now = self._still()
            if self._kept is None or now - self._kept[0] > _KEPT_SECONDS:
                self._kept = now, drift(self._database, self._database.clock() - _SPAN, MOST_RESULTS)
            return self._kept[1]

    def is_cut(self) -> bool:
        """Whether there may be more results in the year than are counted."""
        return sum(line.results for line in self.lines()) >= MOST_RESULTS
