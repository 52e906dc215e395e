"""A receiver process's name on its storage: claimed while it runs, and the leftovers of processes that died.

The claim is a lock on a file, which the kernel drops with the process, however it ends. So a name whose lock is free is
unused: its unfinished objects can be removed, and its associations have ended.
"""

from __future__ import annotations

import contextlib
import fcntl
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

from dicom_node.node.errors import ReceivingError
from dicom_node.node.logger import get_logger
from dicom_node.receive.end_notes import EndNotes
from dicom_node.receive.store import Rows

_LOG = get_logger()

# A sibling that starts at the same moment looks whether our name is free, by taking its lock for an instant.
_TRIES: Final = 5
_BETWEEN_TRIES_SECONDS: Final = 0.1


@contextlib.contextmanager
def claimed(folder: Path, receiver: str, rows: Rows) -> Iterator[str]:
    """Hold the name `receiver` while the block lasts, and clear up after the dead; gives the prefix of our files.

    Args:
        folder: where unfinished objects lie.
        receiver: our name, the same after a restart.
        rows: where associations are recorded.

    Raises:
        ReceivingError: a living process has this name on this storage.
    """
    name = re.sub(r"[^A-Za-z0-9]", "_", receiver)
    with (folder / f"{name}.lock").open("a+") as lock:
        if not any(_take(lock, pause) for pause in [0.0] + [_BETWEEN_TRIES_SECONDS] * _TRIES):
            raise ReceivingError(
                f"another receiver is running as {receiver} on {folder}: stop it, or give this one another AE "
                "title, port or storage"
            )
        lock.truncate(0)
        lock.write(receiver)
        lock.flush()
        _clear_up(folder, name, receiver, rows)
        for other in sorted(folder.glob("*.lock")):
            if other.stem not in (name, "rows"):
                _clear_up_if_dead(folder, other, rows)
        yield f"{name}-"


def _clear_up_if_dead(folder: Path, lock_path: Path, rows: Rows) -> None:
    """Clear up after a name that no process holds: fewer processes than before, another port or AE title than
    before.
    """
    with lock_path.open("r+") as lock:
        if not _take(lock, 0.0):
            return
        receiver = lock.read()
        if receiver:
            _clear_up(folder, lock_path.stem, receiver, rows)


def _clear_up(folder: Path, name: str, receiver: str, rows: Rows) -> None:
    """End the associations and remove the unfinished objects of a process that is not alive."""
    notes = EndNotes(folder, f"{name}-")
    rows.end_orphans(receiver, notes.left())
    notes.clear()
    stale = list(folder.glob(f"{name}-*.part"))
    for path in stale:
        path.unlink(missing_ok=True)
    if stale:
        _LOG.info("removed unfinished objects of an earlier run", count=len(stale), receiver=receiver)


def _take(lock: IO[str], pause_seconds: float) -> bool:
    time.sleep(pause_seconds)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
