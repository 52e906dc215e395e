"""A confined child on a machine that is short of memory: whenever it is there, the system kills it."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import suppress
from typing import Protocol


class _Child(Protocol):
    @property
    def process_id(self) -> int | None:
        """Of the child that is there now."""


class KilledAgain:
    """Kills each process that the child has, while the block lasts."""

    def __init__(self, child: _Child) -> None:
        self._child = child
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._kill)
        self._seen: set[int] = set()

    @property
    def killed(self) -> int:
        """How many there were."""
        return len(self._seen)

    def __enter__(self) -> KilledAgain:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _kill(self) -> None:
        while not self._over.wait(0.01):
            process_id = self._child.process_id
            if process_id is not None and process_id not in self._seen:
                with suppress(ProcessLookupError):
                    os.kill(process_id, signal.SIGKILL)
                self._seen.add(process_id)
