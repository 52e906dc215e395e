"""The loop of every role that asks the database for work."""

from __future__ import annotations

import threading
from collections.abc import Callable

from db.errors import DatabaseUnavailable
from dicom_node.node.logger import get_logger
from dicom_node.node.storage import why_full

log = get_logger()

_UNAVAILABLE_SECONDS = 5.0
_FULL_SECONDS = 5.0


def waiting_for_room(work: Callable[[], None], stop: threading.Event) -> Callable[[], None]:
    """`work`, begun again as long as it ends since the disk takes nothing more.

    A role makes folders and files before its loop begins. On a full disk it waits there, as it does later on, and is
    not started again and again.
    """

    def waiting() -> None:
        while not stop.is_set():
            try:
                work()
                return
            except OSError as error:
                if (full := why_full(error)) is None:
                    raise
                log.warning("the storage is not writable, waiting", seconds=_FULL_SECONDS, detail=full)
                stop.wait(_FULL_SECONDS)

    return waiting


def run_until_stopped(
    step: Callable[[], float],
    stop: threading.Event,
    moved: Callable[[], None] = lambda: None,
    woken: threading.Event | None = None,
) -> None:
    """Call `step` again and again; it returns the seconds to wait before the next call.

    A database that does not answer is waited for: a restart of PostgreSQL must not cost a loaded model. Whatever was
    claimed meanwhile is taken again when its lease has run out. Every other error ends the role, and its supervisor
    starts it again.

    Args:
        moved: is called at each turn, see `dicom_node.node.liveness`.
        woken: ends a wait early; `stop` sets it too, see `WakeUps`.
    """
    while not stop.is_set():
        moved()
        if woken is not None:
            woken.clear()  # before the step: what is rung from here on is not missed
        try:
            seconds = step()
        except DatabaseUnavailable as error:
            log.warning("database does not answer, waiting", seconds=_UNAVAILABLE_SECONDS, detail=str(error))
            stop.wait(_UNAVAILABLE_SECONDS)
            continue
        if seconds > 0 and not stop.is_set():  # a stop from before `woken` was cleared would be slept over
            (woken or stop).wait(seconds)
