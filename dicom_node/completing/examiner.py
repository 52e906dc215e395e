"""Headers of received files are read in a child process, with limits.

What a peer sent may be small on the wire and grow without bounds in a parser: some kilobytes of deflated items make
gigabytes of objects. In the worker that would end the analysis that runs, again and again, since the series stays. So a
child reads the headers; it may take so much memory and time, and when it dies of a series, the series is refused.

Protocol: the parent writes the series' instances and the storage folder as one line of JSON; the child answers with the
examination as one line of JSON.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import IO, Any, Final

import structlog

from db.inbox import StoredInstance
from dicom_node.completing.completer import Examination, examine_files
from dicom_node.completing.instances import digest_of, first_instances
from dicom_node.logs import configure_logs
from dicom_node.selecting.verdict import Verdict

log = structlog.get_logger()

# The largest series of heads (thousands of classic images, or Enhanced images of thousands of frames) take some hundred
# MB and half a minute.
MEMORY_BYTES: Final = 2 * 1024**3
SECONDS: Final = 120.0
# Python gives memory back late or never: a child that has grown so far is replaced.
_GROWN_KIBIBYTES: Final = 600 * 1024
_TRIES: Final = 2  # the system may have killed the child for reasons that are not the series'


class Examiner:
    """Keeps the child; started when first needed, and again after it died.

    Args:
        memory_bytes: what the child may take above what it needs to start.
        seconds: how long one series may take.
        log_level, log_format: for the child's own lines, see `configure_logs`.
    """

    def __init__(
        self,
        memory_bytes: int = MEMORY_BYTES,
        seconds: float = SECONDS,
        log_level: str = "info",
        log_format: str = "text",
    ) -> None:
        self._arguments = [str(memory_bytes), log_level, log_format]
        self._seconds = seconds
        self._process: subprocess.Popen[bytes] | None = None

    def examine(self, instances: Sequence[StoredInstance], storage: Path) -> Examination:
        """As `examine_files`; a series that the child cannot survive is refused."""
        request = _request(instances, storage)
        began = time.monotonic()
        for _ in range(_TRIES):
            answer = self._ask(request)
            if answer:
                return _examination(json.loads(answer))
            log.warning("headers could not be read within the limits", instances=len(instances))
            if time.monotonic() - began >= self._seconds:
                break  # others wait
        reason = (
            "The headers of the series take more time or memory to read than those of any head scan; they may be "
            "damaged. Send the series again, or report this with the series' UID."
        )
        verdict = Verdict(False, "header_too_complex", reason)
        return Examination(True, verdict, digest_of(first_instances(instances)))

    def close(self) -> None:
        """End the child."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def _ask(self, request: bytes) -> bytes:
        """The child's answer; empty when it died or took too long."""
        process = self._process or self._start()
        assert process.stdin is not None and process.stdout is not None
        timer = threading.Timer(self._seconds, process.kill)
        timer.start()
        try:
            process.stdin.write(request)
            process.stdin.flush()
            answer = process.stdout.readline()
        except OSError:  # it has ended already
            answer = b""
        finally:
            timer.cancel()
        if not answer.endswith(b"\n"):
            self.close()
            return b""
        return answer

    def _start(self) -> subprocess.Popen[bytes]:
        room = Path(__file__).resolve().parents[2]  # the child must find this very package
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, *self._arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(room)},
            start_new_session=True,  # Ctrl-C in a terminal is for the parent; the end of its input ends the child
        )
        return self._process


def _request(instances: Sequence[StoredInstance], storage: Path) -> bytes:
    rows = [{**asdict(one), "received_at": one.received_at.isoformat()} for one in instances]
    return json.dumps([rows, str(storage)]).encode() + b"\n"


def _examination(values: dict[str, Any]) -> Examination:
    verdict = values.pop("verdict")
    return Examination(verdict=Verdict(**{**verdict, "flags": tuple(verdict["flags"])}), **values)


def serve(requests: IO[bytes], answers: IO[bytes]) -> None:
    """What the child does: answer until its input ends."""
    for request in requests:
        rows, storage = json.loads(request)
        instances = [
            StoredInstance(**{**row, "received_at": datetime.fromisoformat(row["received_at"])}) for row in rows
        ]
        examination = examine_files(instances, Path(storage))
        answers.write(json.dumps(asdict(examination)).encode() + b"\n")
        answers.flush()
        if _peak_kibibytes() > _GROWN_KIBIBYTES:
            return


def _peak_kibibytes() -> int:
    """The most memory that this process held since it was started.

    Not `ru_maxrss`: Linux counts in it what the parent held at the exec, so that every child of a large worker would
    look grown.
    """
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))


def _limit_memory(extra_bytes: int) -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + extra_bytes
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _memory, _level, _style = sys.argv[1:]
    configure_logs(_level, "json" if _style == "json" else "text", role="examine")
    # Whatever a library prints goes to stderr; answers go through a duplicate of stdout that they do not know.
    _answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    _limit_memory(int(_memory))
    serve(sys.stdin.buffer, _answers)
