"""Signals that set an event, without taking the lock that they may have interrupted."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType


def set_by_signals(stop: threading.Event, *numbers: signal.Signals, is_patient: bool = False) -> None:
    """Let signals set the event; a second one, or one after the event is set, ends the process at once.

    Args:
        stop: what is set.
        numbers: which signals.
        is_patient: further signals change nothing; for a process whose parent ends what takes too long.

    A handler that calls `stop.set()` itself can hang for ever: it runs in the main thread, between two of its steps,
    and the main thread may just hold the lock of that very event, to wait for it. So the handler writes a byte into a
    pipe, and a thread that waits for it sets the event. Call it in the main thread.
    """
    reading, writing = os.pipe()
    is_asked = False

    def on_signal(number: int, _frame: FrameType | None) -> None:
        nonlocal is_asked
        if is_asked or stop.is_set():
            if is_patient:
                return
            os._exit(128 + number)
        is_asked = True
        os.write(writing, b"\0")

    def wait_for_one() -> None:
        os.read(reading, 1)
        stop.set()

    threading.Thread(target=wait_for_one, name="stop signals", daemon=True).start()
    for number in numbers:
        signal.signal(number, on_signal)
