"""Completes and attends to feedback once, and kills itself at a chosen step: `python dying_desk.py STORAGE POINT WHEN`.

POINT: `receive`, `decide`, or `none`; WHEN is `before` or `after` it.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from db.engine import open_database
from db.feedback import FeedbackTable
from db.inbox import Inbox
from db.jobs import JobTable
from dicom_node.feedback.match import FeedbackMatcher
from dicom_node.feedback.read import FeedbackReader
from dicom_node.node.outbox import Outbox
from dicom_node.series.complete.completer import Completer
from dicom_node.series.complete.evidence import Patience


def arm(name: str, when: str) -> None:
    """Replace a step by one that dies."""
    step: Callable[..., Any] = getattr(FeedbackTable, name)

    def dying(*arguments: Any, **keywords: Any) -> Any:
        if when == "after":
            step(*arguments, **keywords)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(FeedbackTable, name, dying)


def attend(storage: Path) -> None:
    """One look of completion, and the matcher until nothing is due."""
    with (
        closing(open_database(f"sqlite:///{storage / 'node.sqlite'}")) as database,
        closing(FeedbackReader()) as reader,
    ):
        inbox, jobs, feedback = Inbox(database), JobTable(database), FeedbackTable(database)
        Completer(inbox, jobs, feedback, storage, Patience(0, 0, 0)).look()
        matcher = FeedbackMatcher(feedback, inbox, jobs, storage, Outbox(storage / "outbox"), reader)
        while matcher.step() == 0:
            pass


if __name__ == "__main__":
    if sys.argv[2] != "none":
        arm(sys.argv[2], sys.argv[3])
    attend(Path(sys.argv[1]))
