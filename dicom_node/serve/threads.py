"""Threads that stand or fall together."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence


def run_threads(bodies: Sequence[Callable[[], None]], stop: threading.Event) -> None:
    """Run every body in a thread until all have ended; the first error stops the others and is raised here.

    A role that has lost one of its threads must not look alive: it ends, and its supervisor starts it again.
    """
    errors: list[BaseException] = []

    def guarded(body: Callable[[], None]) -> None:
        try:
            body()
        except BaseException as error:
            errors.append(error)
            stop.set()

    threads = [threading.Thread(target=guarded, args=(body,), daemon=True) for body in bodies]
    for thread in threads:
        thread.start()
    for thread in threads:
        # A timeout keeps the main thread able to run signal handlers.
        while thread.is_alive():
            thread.join(0.5)
    if errors:
        raise errors[0]
