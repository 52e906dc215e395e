"""What is costly to make and never changed: made once in a test run, for every process of it."""

from __future__ import annotations

import atexit
import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

FOLDER_VARIABLE = "MADE_ONCE_FOLDER"
"""Names the folder of the run: `tests/conftest.py` sets it in the first process, before the others start."""


def made_once(key: str, make: Callable[[Path], object]) -> Path:
    """The folder that `make` fills; the first process of the run that wants it makes it. Copy it, never write to it.

    Args:
        key: what it is: equal keys are one folder.
        make: gets a path at which nothing is yet.
    """
    target = _folder() / hashlib.sha256(key.encode()).hexdigest()[:24]
    with target.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists():
            half = Path(tempfile.mkdtemp(dir=_folder())) / "half"
            make(half)
            half.rename(target)
    return target


@cache
def _folder() -> Path:
    if FOLDER_VARIABLE in os.environ:
        return Path(os.environ[FOLDER_VARIABLE])
    folder = Path(tempfile.mkdtemp(prefix="wmh-once-"))  # a program, no test run
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
