"""What many people look at at once, computed once for all of them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from dicom_node.node.clock import steady

T = TypeVar("T")


class Kept(Generic[T]):
    """A value that is computed again when it is older than some seconds. Safe to use from several threads: while one
    computes, the others wait for it."""

    def __init__(self, compute: Callable[[], T], seconds: float, still: Callable[[], float] = steady) -> None:
        self._compute, self._seconds, self._still = compute, seconds, still
        self._lock = threading.Lock()
        self._kept: tuple[float, T] | None = None

    def value(self) -> T:
        """The value, at most so old. An error of computing is raised, and not kept."""
        with self._lock:
            now = self._still()
            if self._kept is None or now - self._kept[0] >= self._seconds:
                self._kept = None
                self._kept = now, self._compute()
            return self._kept[1]

    def forget(self) -> None:
        """Compute it at the next look: something was changed."""
        with self._lock:
            self._kept = None
