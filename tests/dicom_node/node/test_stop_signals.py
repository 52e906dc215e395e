"""A stop signal is heard at any moment."""

from __future__ import annotations

import subprocess
import sys

# `_cond` is what `Event.wait` holds for a moment before it sleeps and after it wakes up.
_PROGRAM = """
import os, signal, threading
from dicom_node.node.stop_signals import set_by_signals
stop = threading.Event()
set_by_signals(stop, signal.SIGTERM)
with stop._cond:
    os.kill(os.getpid(), signal.SIGTERM)
    for _ in range(1000):
        pass
print("stopped" if stop.wait(60) else "still running", flush=True)
{then}
"""


def _run(then: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", _PROGRAM.format(then=then)], capture_output=True, text=True, timeout=120, check=False
    )


def test_a_signal_while_the_event_is_locked_is_heard() -> None:
    """The main thread holds the event's own lock when the signal comes: no hang, and the event is set."""
    ended = _run()
    assert (ended.returncode, ended.stdout) == (0, "stopped\n"), ended.stderr


def test_a_second_signal_ends_the_process_at_once() -> None:
    """Whoever asks twice does not wait."""
    ended = _run("os.kill(os.getpid(), signal.SIGTERM)\nsignal.pause()")
    assert ended.returncode == 128 + 15
