"""The parent's side: a child that answers requests, and is ended when it takes too much.

What a peer sent may be small on the wire and grow without bounds in a parser: some kilobytes of deflated items make
gigabytes of objects. The parent looks every few milliseconds at what the child holds, and kills it.

Time counts as the request's own excess where it was spent in computing. A child that the system ended, since the
machine is short of memory, or that waited for slow storage, says nothing about what it read.

The kernel's own limit of address space is set far above that, as a backstop only. Python cannot be relied on to say
that it ran into it: where memory is short, CPython 3.11 may turn for ever in its interpreter loop, as it needs memory
to enter an exception handler, and the MemoryError about that enters the same handler (ceval.c, `exception_unwind`).

Protocol: request: one line. Answer: the number of parts (4 bytes), the length of each (8 bytes), the parts; big endian.
"""

from __future__ import annotations

import os
import selectors
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from dicom_node.node.confined.cpu_time import cpu_seconds
from dicom_node.node.confined.limits import Limits
from dicom_node.node.confined.resident import resident_bytes
from dicom_node.node.errors import ConfinedChildLost

# A parser fills some GB a second at most: what it can take between two looks is little.
_LOOK_SECONDS: Final = 0.02
_CHUNK: Final = 1024**2
_MOST_PARTS: Final = 1024
_COMPUTING_SHARE: Final = 0.5  # of the time that it may take
_WAITING_FACTOR: Final = 2.0  # on the time that it may take, for who computes less than that
_LAST_SECONDS: Final = 5.0  # from the end of its output to the end of a process


class ConfinedChild:
    """Keeps a child for one kind of request; started when first needed, and again after it was lost. Not for several
    threads at once.

    Args:
        module: is run in the child, and calls `inside.serve`.
        limits: of each request.
        log_level, log_format: for the child's own lines, see `configure_logs`.
        own_session: no for a child that a confined child starts: it ends with its parent's session.
    """

    def __init__(
        self,
        module: str,
        limits: Limits,
        log_level: str = "info",
        log_format: str = "text",
        *,
        own_session: bool = True,
    ) -> None:
        self._limits = limits
        self._own_session = own_session
        self._command = [
            sys.executable, "-m", module, str(limits.memory_bytes), str(limits.seconds), log_level, log_format,
        ]  # fmt: skip
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def process_id(self) -> int | None:
        """Of the child that is there now."""
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """Start the child now, so that the first request need not wait for it."""
        self._running()

    def ask(self, request: bytes) -> list[bytearray]:
        """The parts of the child's answer.

        Args:
            request: without a line feed.

        Raises:
            ConfinedChildLost: it took too much and was ended, or it ended by itself; the next request starts another.
        """
        process = self._running()
        try:
            parts = self._exchange(process, request + b"\n")
        except _Ended as ended:
            lost = _how_it_ended(process, str(ended))
            self.close()
            raise lost from ended
        except BaseException:
            self.close()
            raise
        if resident_bytes(process.pid) > self._limits.kept_bytes:
            self.close()
        return parts

    def close(self) -> None:
        """End the child and what it started."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                (os.killpg if self._own_session else os.kill)(self._process.pid, signal.SIGKILL)
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    pipe.close()
            self._process = None

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is not None:
            self.close()
        if self._process is None:
            room = Path(__file__).resolve().parents[3]  # the child must find this very package
            self._process = subprocess.Popen(
                self._command,
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={**os.environ, "PYTHONPATH": str(room)},
                # Ctrl-C in a terminal is for the parent; the end of its input ends the child.
                start_new_session=self._own_session,
            )
            for pipe in (self._process.stdin, self._process.stdout):
                assert pipe is not None
                os.set_blocking(pipe.fileno(), False)
        return self._process

    def _exchange(self, process: subprocess.Popen[bytes], request: bytes) -> list[bytearray]:
        assert process.stdin is not None and process.stdout is not None
        stopwatch = _Stopwatch(process.pid, self._limits.seconds)
        unsent = memoryview(request)
        answer = _ChildReply(self._limits.answer_bytes)
        with selectors.DefaultSelector() as ready:
            ready.register(process.stdin, selectors.EVENT_WRITE)
            ready.register(process.stdout, selectors.EVENT_READ)
            while not answer.is_whole:
                for key, _ in ready.select(_LOOK_SECONDS):
                    if key.fileobj is process.stdout:
                        answer.read(process.stdout.fileno())
                    else:
                        unsent = unsent[_written(process.stdin.fileno(), unsent) :]
                        if not unsent:
                            ready.unregister(process.stdin)
                stopwatch.look()
                self._require_within_memory(process.pid)
        return answer.parts

    def _require_within_memory(self, process_id: int) -> None:
        if resident_bytes(process_id) > self._limits.memory_bytes:
            mebibytes = self._limits.memory_bytes // 1024**2
            raise ConfinedChildLost(f"used more than {mebibytes} MiB of memory", took_too_much=True)


class _Ended(Exception):
    """The child is not there any more."""


class _Stopwatch:
    """The time of one request.

    Args:
        process_id: of the child that is asked.
        seconds: that the request may take.
    """

    def __init__(self, process_id: int, seconds: float) -> None:
        self._process_id = process_id
        self._seconds = seconds
        self._began = time.monotonic()
        self._computed_before = cpu_seconds(process_id)

    def look(self) -> None:
        """
        Raises:
            ConfinedChildLost: the time is over.
        """
        passed = time.monotonic() - self._began
        if passed <= self._seconds:
            return
        computed = cpu_seconds(self._process_id) - self._computed_before
        if computed >= _COMPUTING_SHARE * self._seconds:
            raise ConfinedChildLost(f"took more than {self._seconds:g} s", took_too_much=True)
        if passed > _WAITING_FACTOR * self._seconds:
            raise ConfinedChildLost(
                f"gave no answer in {passed:.3g} s, of which it computed {computed:.3g} s: the storage is slow, or the "
                "machine is busy",
                took_too_much=False,
            )


class _ChildReply:
    """An answer as it comes in."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._lengths: tuple[int, ...] | None = None
        self._target = bytearray(4)
        self._filled = 0
        self.parts: list[bytearray] = []

    @property
    def is_whole(self) -> bool:
        """Every part is there."""
        return self._lengths is not None and len(self.parts) == len(self._lengths)

    def read(self, descriptor: int) -> None:
        """Take what has come.

        Raises:
            ConfinedChildLost: the answer is too long, or cannot be understood.
            _Ended: the child has.
        """
        with memoryview(self._target) as view:
            count = os.readv(descriptor, [view[self._filled : self._filled + _CHUNK]])
        if count == 0:
            raise _Ended("ended before it answered")
        self._filled += count
        while self._filled == len(self._target) and not self.is_whole:
            self._go_on()

    def _go_on(self) -> None:
        whole, self._filled = self._target, 0
        if self._lengths is not None:
            self.parts.append(whole)
        elif len(whole) == 4:
            (count,) = struct.unpack(">L", whole)
            if not 0 < count <= _MOST_PARTS:
                raise ConfinedChildLost("returned an invalid reply", took_too_much=False)
            self._target = bytearray(8 * count)
            return
        else:
            self._lengths = struct.unpack(f">{len(whole) // 8}Q", whole)
            if sum(self._lengths) > self._limit_bytes:
                raise ConfinedChildLost(f"returned more than {self._limit_bytes} bytes", took_too_much=True)
        if not self.is_whole:
            self._target = bytearray(self._lengths[len(self.parts)])


def _written(descriptor: int, content: memoryview) -> int:
    try:
        return os.write(descriptor, content[:_CHUNK])
    except BrokenPipeError as error:
        raise _Ended("ended before the request") from error


def _how_it_ended(process: subprocess.Popen[bytes], when: str) -> ConfinedChildLost:
    with suppress(subprocess.TimeoutExpired):
        process.wait(_LAST_SECONDS)
    match process.returncode:
        case None:
            return ConfinedChildLost(f"{when}: it has closed its output", took_too_much=False, ended=True)
        case code if code == -signal.SIGXCPU:  # see `inside`
            return ConfinedChildLost("used more CPU time than allowed", took_too_much=True)
        case code if code == -signal.SIGKILL:
            what = f"{when}: it was killed, probably by the system, because the machine is short of memory"
            return ConfinedChildLost(what, took_too_much=False, ended=True)
        case code if code < 0:
            return ConfinedChildLost(f"{when}: it got signal {-code}", took_too_much=False, ended=True)
        case code:
            return ConfinedChildLost(f"{when}: exit code {code}", took_too_much=False, ended=True)


def asked_twice(child: ConfinedChild, request: bytes) -> Sequence[bytearray]:
    """As `ConfinedChild.ask`; a child that ended by itself is tried once more, since the system may have ended it for
    reasons that are not the request's.

    Raises:
        ConfinedChildLost: it took too much, waited without end, or ended twice.
    """
    try:
        return child.ask(request)
    except ConfinedChildLost as error:
        if not error.ended:
            raise
        return child.ask(request)
