"""Keeps a lease alive while its holder works."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType

from db.errors import DatabaseUnavailable, LeaseLost
from dicom_node.node.logger import get_logger

log = get_logger()


class Heartbeat:
    """Calls `beat` in a separate thread until the block ends.

    Args:
        beat: renews the lease; returns False when it is lost. Called from another thread.
        every_seconds: time between calls; a third of the lease leaves room for two that fail.
    """

    def __init__(self, beat: Callable[[], bool], every_seconds: float) -> None:
        self._beat = beat
        self._every_seconds = every_seconds
        self._stop = threading.Event()
        self._lost = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    @property
    def lost(self) -> bool:
        """Another worker owns the job now, or it was cancelled: the present computation no longer counts."""
        return self._lost.is_set()

    def require_held(self) -> None:
        """Before a step that only the holder may take.

        Raises:
            LeaseLost: see `lost`.
        """
        if self.lost:
            raise LeaseLost("the lease was lost meanwhile: the job was cancelled, or another worker has it")

    def __enter__(self) -> Heartbeat:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(self._every_seconds):
            try:
                held = self._beat()
            except DatabaseUnavailable as error:
                log.warning("lease not renewed, the database does not answer", detail=str(error))
                continue  # the lease holds for two more tries; whether it was lost, the database will say
            if not held:
                self._lost.set()
                return
