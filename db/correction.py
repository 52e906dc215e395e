"""A correction that came from a person, as frozen records: its row, and what a look at its file decides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class FeedbackState(StrEnum):
    """What became of a segmentation that was sent to the node.

    WAITING: not looked at yet (no code), or kept until a series that it fits has been analysed (code and reason say
    what is missing). ACCEPTED: a correction of a series, compared with the model's mask. REFUSED: cannot be one; the
    reason says why. OWN: a result of this software that came back unchanged.
    """

    WAITING = "waiting"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    OWN = "own"


@dataclass(frozen=True, slots=True)
class FeedbackFacts:
    """What a segmentation says of itself.

    Attributes:
        content_creator: ContentCreatorName (0070,0084); the name of a person, so never for a log.
        operator: OperatorsName (0008,1070); likewise.
        content_time: ContentDate and ContentTime as ISO 8601 in the sender's local time; None when not given.
        made_with: manufacturer, model and version of what wrote it.
        refers_to: UIDs that it refers to, by kind: "series", "instances", "study".
    """

    content_creator: str | None = None
    operator: str | None = None
    content_time: str | None = None
    made_with: str | None = None
    refers_to: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class FeedbackDecision:
    """The outcome of one look.

    Attributes:
        facts: None when the object could not be read.
        source_series_uid: the series that it corrects; None when it fits none.
        job_id: whose result it was compared with.
        code, reason: why it waits or was refused, in words for a radiologist; None when accepted.
        notes: sentences that a reader of the correction should know.
        comparison: DSC, volumes in mL, and the model, ready for JSON; None when there is nothing to compare with.
        wait_seconds: when it waits, until it is looked at again.
    """

    state: FeedbackState
    facts: FeedbackFacts | None = None
    source_series_uid: str | None = None
    job_id: int | None = None
    code: str | None = None
    reason: str | None = None
    notes: tuple[str, ...] = ()
    comparison: Mapping[str, Any] | None = None
    wait_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Feedback:
    """A row of `feedback`: one file that was received.

    Attributes:
        id: shown to people; of two corrections of one series the one with the larger number counts.
        series_instance_uid, study_instance_uid: of the segmentation itself.
        path: of the file, relative to STORAGE.
        calling_ae_title: who sent it.
        attempts: looks that failed for a reason that is not the object's.
        superseded_by: the correction of the same series that came last, when that is another one.
        decided_at: when it was accepted, refused, or first found to fit no series.

    The others: see `FeedbackFacts` and `FeedbackDecision`.
    """

    id: int
    sop_instance_uid: str
    sha256: str
    series_instance_uid: str
    study_instance_uid: str
    path: str
    calling_ae_title: str
    received_at: datetime
    state: FeedbackState
    attempts: int
    not_before: datetime
    content_creator: str | None
    operator: str | None
    content_time: str | None
    made_with: str | None
    refers_to: Mapping[str, Any] | None
    source_series_uid: str | None
    job_id: int | None
    code: str | None
    reason: str | None
    notes: tuple[str, ...]
    comparison: Mapping[str, Any] | None
    decided_at: datetime | None
    superseded_by: int | None = field(default=None)

    @property
    def counts(self) -> bool:
        """It is the correction of its series that is used."""
        return self.state is FeedbackState.ACCEPTED and self.superseded_by is None

    @property
    def who(self) -> str:
        """The person whom the object names, else who sent it. May be a name: for a person's eyes, never for a log."""
        return self.content_creator or self.operator or self.calling_ae_title
