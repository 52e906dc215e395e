"""Programs that a test starts: logs in a file, ended with the test, never others than these."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path


def free_port() -> int:
    """A port on the loopback address that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


_LEAST_SECONDS = 200  # on a machine that does much else, a process of the node has taken 40 s to start


def until(condition: Callable[[], object], what: str, seconds: float = 60, log: Path | None = None) -> object:
    """Wait for a truthy answer and return it; fails with `what` (and the log's end) when it does not come.

    Waits longer than `seconds` where that is short: how busy the machine is must change no outcome.
    """
    seconds = max(seconds, _LEAST_SECONDS)
    deadline = time.monotonic() + seconds
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > deadline:
            tail = log.read_text(errors="replace")[-4000:] if log is not None and log.exists() else ""
            raise AssertionError(f"{what} did not happen in {seconds:g} s\n{tail}")
        time.sleep(0.1)


def listens(port: int) -> bool:
    """True when something accepts connections there."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


@contextmanager
def program(
    command: Sequence[str], log: Path, port: int | None = None, environment: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program while the block lasts; waits until it listens on `port`."""
    with log.open("ab") as stream:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=stream, stderr=subprocess.STDOUT, env=environment
        )
    try:
        if port is not None:
            until(lambda: listens(port) or process.poll() is not None, f"{command[0]} listening", 60, log)
            assert process.poll() is None, f"{command[0]} ended: {log.read_text(errors='replace')[-4000:]}"
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
