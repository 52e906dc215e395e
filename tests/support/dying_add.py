"""Adds a bundle to a store, and kills itself with SIGKILL at a chosen step: `python dying_add.py MODELS BUNDLE POINT`.

POINT: `copied` (some files are), `flushed` (all are on disk), `checked` (the copy was read back), `renamed` (it, or a
damaged one that is taken away, has its new name, which is not flushed yet).
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dicom_node.models import store
from dicom_node.models.store import ModelStore

# (owner, name, before or after the step, at which call)
POINTS: dict[str, tuple[Any, str, str, int]] = {
    "copied": (store, "_copy", "after", 3),
    "flushed": (store, "sync_folder", "after", 1),
    "checked": (ModelStore, "_publish", "before", 1),
    "renamed": (Path, "rename", "after", 1),
}


def arm(point: str) -> None:
    """Replace a step by one that dies."""
    owner, name, when, nth = POINTS[point]
    step: Callable[..., Any] = getattr(owner, name)
    left = [nth]

    def dying(*arguments: Any, **keywords: Any) -> Any:
        left[0] -= 1
        if left[0] == 0 and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = step(*arguments, **keywords)
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, dying)


if __name__ == "__main__":
    arm(sys.argv[3])
    ModelStore(Path(sys.argv[1]), "here").add(Path(sys.argv[2]))
