"""A kill at any step of a program: each file operation and SQL statement counts as one, and SIGKILL comes between two.

The work runs in a forked child, so that a kill costs no more than the work. `steps_of` counts; `killed_at` kills.
"""

from __future__ import annotations

import os
import signal
import traceback
from collections.abc import Callable
from typing import Any, Final

from sqlalchemy import event
from sqlalchemy.engine import Engine

_FILE_OPERATIONS: Final = ("write", "fsync", "rename", "replace", "link", "mkdir", "unlink", "rmdir")
_STATEMENTS: Final = ("before_cursor_execute", "commit")
_FAILED: Final = 3


class _Steps:
    """Counts this process's steps, and ends it before one of them."""

    def __init__(self, fatal: int | None) -> None:
        self._fatal = fatal
        self.count = 0

    def watch(self) -> None:
        """From now on."""
        for name in _FILE_OPERATIONS:
            setattr(os, name, self._before(getattr(os, name)))
        for name in _STATEMENTS:
            event.listen(Engine, name, self.step)

    def step(self, *_: Any) -> None:
        """One more; the fatal one never happens."""
        self.count += 1
        if self.count == self._fatal:
            os.kill(os.getpid(), signal.SIGKILL)

    def _before(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **keywords: Any) -> Any:
            self.step()
            return call(*arguments, **keywords)

        return counted


def steps_of(work: Callable[[], object]) -> int:
    """Do the work in a child, undisturbed; returns how many steps it has."""
    reading, writing = os.pipe()
    write = os.write
    child = os.fork()
    if child == 0:
        steps = _Steps(None)
        _end_with(lambda: (steps.watch(), work(), write(writing, str(steps.count).encode())))
    os.close(writing)
    with os.fdopen(reading) as pipe:
        said = pipe.read()
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0, "the work failed, see above"
    return int(said)


def killed_at(work: Callable[[], object], step: int) -> bool:
    """Do the work in a child that is killed before that step (1 is the first); False where it ended before."""
    child = os.fork()
    if child == 0:
        _end_with(lambda: (_Steps(step).watch(), work()))
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    assert code in {0, -signal.SIGKILL}, f"the work ended with {code}, see above"
    return code == -signal.SIGKILL


def _end_with(work: Callable[[], object]) -> None:
    """In the child: nothing of the parent's runs at its end."""
    try:
        work()
    except BaseException:
        traceback.print_exc()
        os._exit(_FAILED)
    os._exit(0)
