"""The loop of every role that asks the database for work."""

from __future__ import annotations

import threading
from collections.abc import Callable

import structlog

from db.errors import DatabaseUnavailable

log = structlog.get_logger()

_UNAVAILABLE_SECONDS = 5.0


def run_until_stopped(
    step: Callable[[], float], stop: threading.Event, moved: Callable[[], None] = lambda: None
) -> None:
    """Call `step` again and again; it returns the seconds to wait before the next call.

    A database that does not answer is waited for: a restart of PostgreSQL must not cost a loaded model. Whatever was
    claimed meanwhile is taken again when its lease has run out. Every other error ends the role, and its supervisor
    starts it again.

    Args:
        moved: is called at each turn, see `dicom_node.node.liveness`.
    """
    while not stop.is_set():
        moved()
        try:
            seconds = step()
        except DatabaseUnavailable as error:
            log.warning("database does not answer, waiting", seconds=_UNAVAILABLE_SECONDS, detail=str(error))
            seconds = _UNAVAILABLE_SECONDS
        if seconds > 0:
            stop.wait(seconds)
