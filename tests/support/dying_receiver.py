"""A receiver that kills itself with SIGKILL at a chosen point of storing: `python dying_receiver.py FD POINT WHEN NTH`.

POINT is a step on the way to the acknowledgement; WHEN is `before` or `after` it; NTH counts its calls.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from db.inbox import Inbox
from dicom_node.receive import store
from dicom_node.receive.association import Association
from dicom_node.receive.incoming import IncomingObject
from dicom_node.receive.run import run_child

POINTS: dict[str, tuple[Any, str]] = {
    "first byte": (IncomingObject, "write"),
    "check": (IncomingObject, "finish"),
    "final name": (store.os, "link"),
    "file flush": (store, "sync_file"),
    "placing": (store.Store, "_place"),
    "folder": (store, "sync_folder"),
    "row": (Inbox, "record"),
    "answer": (Association, "_respond"),
    "end of association": (Inbox, "end_association"),
}


def arm(point: str, when: str, nth: int) -> None:
    """Replace a step by one that dies."""
    owner, name = POINTS[point]
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
    arm(sys.argv[2], sys.argv[3], int(sys.argv[4]))
    run_child(int(sys.argv[1]))
