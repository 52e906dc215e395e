"""What a role's process says about itself: it is ready, its loops move, it holds this model."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass
class _Loop:
    limit_seconds: float
    moved_at: float


class Liveness:
    """Loops report here that they move. A loop that is stuck must not look alive. Safe to use from several threads.

    Args:
        clock: seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._loops: dict[str, _Loop] = {}
        self._ready = threading.Event()
        self._model_digest: str | None = None

    def loop(self, name: str, limit_seconds: float) -> Callable[[], None]:
        """Watch one more loop.

        Args:
            name: in the words of a report: "<name> has not moved for 90 s".
            limit_seconds: the longest that one of its turns takes when all is well.

        Returns:
            what the loop calls at each turn.
        """
        watched = _Loop(limit_seconds, self._clock())
        with self._lock:
            self._loops[name] = watched

        def moved() -> None:
            watched.moved_at = self._clock()

        return moved

    def trouble(self) -> str | None:
        """Which loops are stuck, and since when; None when all move."""
        now = self._clock()
        with self._lock:
            late = {name: now - loop.moved_at for name, loop in self._loops.items()
                    if now - loop.moved_at > loop.limit_seconds}  # fmt: skip
        return "; ".join(f"{name} has not moved for {seconds:.0f} s" for name, seconds in late.items()) or None

    def report_ready(self) -> None:
        """The role does its work from now on."""
        self._ready.set()

    @property
    def is_ready(self) -> bool:
        """Whether the role does its work."""
        return self._ready.is_set()

    def wait_until_ready(self, seconds: float) -> bool:
        """Wait so long at most; whether it is ready."""
        return self._ready.wait(seconds)

    def report_model(self, digest: str | None) -> None:
        """The model that the worker holds now."""
        self._model_digest = digest

    @property
    def model_digest(self) -> str | None:
        """Of the model that the worker holds; None before it holds one, and in other roles."""
        return self._model_digest
