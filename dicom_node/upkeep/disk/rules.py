"""The retention rules: which files go, in which order, after how many days.

| order | what                                                     | kept for                         |
|-------|----------------------------------------------------------|----------------------------------|
| 1     | the node's own results that a PACS sent back             | `KEEP_REJECTED_DAYS`, 3          |
| 2     | rejected series                                          | `KEEP_REJECTED_DAYS`, 3          |
| 3     | done, and every destination has what it was promised     | `KEEP_DONE_DAYS`, 7              |
| 4     | cancelled                                                | `KEEP_FAILED_DAYS`, 30           |
| 5     | failed, and a person has acknowledged it                 | `KEEP_FAILED_DAYS`, 30           |
| 6     | segmentations that people sent                           | `KEEP_FEEDBACK_DAYS`, for ever   |

A rule is about a series: its images go with the result sets of all its jobs, superseded ones too. Days count from the
end of its newest job, or from its last image where that came later, while the node runs (`db.seen_time`).
`db.retention` says what is never chosen.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from db.retention import Subject
from dicom_node.node.settings import Settings


@dataclass(frozen=True)
class RetentionRule:
    """How long files of one subject are kept.

    Attributes:
        kept: from the end of the job; at least a day.
        setting: its name, as `NAME=value`.
        goes_early: whether they may go after a day when the disk fills up.
    """

    subject: Subject
    kept: timedelta
    setting: str
    goes_early: bool = True


def rules_of(settings: Settings) -> tuple[RetentionRule, ...]:
    """The rules in their order; what is kept for ever has none."""
    days = {
        Subject.RETURNED: ("KEEP_REJECTED_DAYS", settings.keep_rejected_days),
        Subject.REJECTED: ("KEEP_REJECTED_DAYS", settings.keep_rejected_days),
        Subject.DONE: ("KEEP_DONE_DAYS", settings.keep_done_days),
        Subject.CANCELLED: ("KEEP_FAILED_DAYS", settings.keep_failed_days),
        Subject.FAILED: ("KEEP_FAILED_DAYS", settings.keep_failed_days),
        Subject.FEEDBACK: ("KEEP_FEEDBACK_DAYS", settings.keep_feedback_days),
    }
    return tuple(
        RetentionRule(subject, timedelta(days=kept), f"{name}={kept:g}", goes_early=subject is not Subject.FEEDBACK)
        for subject, (name, kept) in days.items()
        if kept is not None
    )
