"""The child's side: answers requests until its input ends."""

from __future__ import annotations

import os
import resource
import signal
import struct
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Final

from dicom_node.node.free_memory import give_back_free_memory
from dicom_node.node.logger import get_logger
from dicom_node.node.logs import configure_logs, describe_error

log = get_logger()

# Far above what the parent allows to be resident, for what it can no longer watch when it has died.
_ADDRESS_SPACE_FACTOR: Final = 2
_ADDRESS_SPACE_EXTRA: Final = 1024**3
_CPU_FACTOR: Final = 2  # threads of decoders count too
_FAULT: Final = 1  # exit code
_FIRST_TO_GO: Final = "1000"  # proc(5), oom_score_adj: when the machine runs short, it is this process that goes


def serve(name: str, answer: Callable[[bytes], Sequence[bytes | memoryview]]) -> None:
    """Answer the parent, see `child`; arguments come by `sys.argv`.

    Args:
        name: of the role, in the log.
        answer: a request's parts. An error in it ends the child, without a traceback: that may quote a patient's
            values.
    """
    memory_bytes, seconds, level, style = sys.argv[1:]
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the end of the input ends this process
    configure_logs(level, "json" if style == "json" else "text", role=name)
    # Whatever a library prints goes to stderr; answers go through a duplicate of stdout that they do not know.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_FIRST_TO_GO)
    _limit_address_space(int(memory_bytes))
    for request in sys.stdin.buffer:
        _limit_cpu(float(seconds))
        try:
            _write(answers, answer(request))
            give_back_free_memory()
        except Exception as error:  # the edge towards received bytes
            log.error("request could not be answered", what=describe_error(error))  # noqa: TRY400 - see `answer`
            sys.exit(_FAULT)


def _write(answers: IO[bytes], parts: Sequence[bytes | memoryview]) -> None:
    lengths = [memoryview(part).nbytes for part in parts]
    answers.write(struct.pack(f">L{len(parts)}Q", len(parts), *lengths))
    for part in parts:
        answers.write(part)
    answers.flush()


def _limit_address_space(memory_bytes: int) -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + _ADDRESS_SPACE_FACTOR * memory_bytes + _ADDRESS_SPACE_EXTRA
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    if hard == resource.RLIM_INFINITY or limit < hard:  # a child of a confined child has its limit already
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def _limit_cpu(seconds: float) -> None:
    """The kernel ends what turns for ever, also when the parent is gone (getrlimit(2), RLIMIT_CPU: SIGXCPU)."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = int(used.ru_utime + used.ru_stime + _CPU_FACTOR * seconds) + 1
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    if hard == resource.RLIM_INFINITY or soft < hard:
        resource.setrlimit(resource.RLIMIT_CPU, (soft, hard))
