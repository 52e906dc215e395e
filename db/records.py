"""The rows of the tables, and what goes into them, as frozen records: jobs, deliveries, the inbox, scans, models,
feedback, audit.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from db.errors import DatabaseError

if TYPE_CHECKING:  # the settings know these records, and every command reads the settings
    from sqlalchemy import Row

# Jobs


class JobState(StrEnum):
    """The state of a job."""

    QUEUED = "queued"
    RUNNING = "running"
    DELIVERING = "delivering"
    DONE = "done"
    REJECTED = "rejected"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def has_ended(self) -> bool:
        """True when the job has ended, and only a person can change it."""
        return self in _ENDED


_ENDED: Final = frozenset({JobState.DONE, JobState.REJECTED, JobState.FAILED, JobState.CANCELLED})


class Priority(StrEnum):
    """How soon a job is wanted, in the words of PS3.7 table E.1-1; what it means: `db.priorities`."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


@dataclass(frozen=True, slots=True)
class Job:
    """The analysis of one state of one series: its first `instance_count` instances, named by `instances_digest`.

    Attributes:
        attempts: how often it was claimed.
        max_attempts: after so many it fails.
        not_before: a queued job is not claimed earlier.
        lease_owner, lease_expires: who works on it, and until when that holds without a heartbeat; both or none.
        predecessor_id: the job about an earlier state of the series.
        code, reason: why it is rejected, failed, cancelled, or waits for another attempt; the reason as text.
        measurements: what the analysis measured (measurements.json), once there is a result.
        report: the UIDs of its report, by DICOM keyword, once there is one; a successor's report names it.
        answered: the UIDs of the refusal report that was sent before the job was retried; the new outcome replaces that
            one.
        ended_at: when it became done, rejected, failed or cancelled.
        withdrawn_at, withdrawn_by, withdrawn_reason: when, by which account and why its results were withdrawn; None:
            they were not.
        acknowledged_at: when a person acknowledged that it failed.
        purged_at: when its result set was removed from the outbox.
        review: whether its result waits for a reader's review, or what the last one said; None: none was recommended.
        priority: how soon it is wanted.
        place: where it stands in the queue, as a time (`db.priorities`); the earliest is next. None: never queued.
        shared_at: when what other machines need of it was in the object store; None: it is not, or there is none.
    """

    id: int
    series_instance_uid: str
    study_instance_uid: str | None
    instances_digest: str
    instance_count: int
    state: JobState
    attempts: int
    max_attempts: int
    not_before: datetime
    lease_owner: str | None
    lease_expires: datetime | None
    predecessor_id: int | None
    code: str | None
    reason: str | None
    measurements: Mapping[str, Any] | None
    report: Mapping[str, str] | None
    answered: Mapping[str, str] | None
    created_at: datetime
    updated_at: datetime
    ended_at: datetime | None
    withdrawn_at: datetime | None = None
    withdrawn_by: str | None = None
    withdrawn_reason: str | None = None
    acknowledged_at: datetime | None = None
    purged_at: datetime | None = None
    review: ReviewState | None = None
    priority: Priority = Priority.MEDIUM
    place: datetime | None = None
    shared_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class JobEvent:
    """One line of a job's timeline.

    Attributes:
        what: a few words that do not vary: "received", "queued", "claimed", "sent", ...
        detail: the rest of the sentence.
    """

    at: datetime
    what: str
    detail: str


# Deliveries


class DeliveryState(StrEnum):
    """The state of a delivery; the ways between them: `db.delivery_transitions`.

    PENDING: not all of it is stored there yet. SENT: all of it is stored; where the destination promised a proof, that
    is still awaited (`Delivery.is_proven`). COMMITTED: the proof came. REFUSED: the destination says, again and again,
    that it does not hold it. UNANSWERED: it was asked for the proof and said nothing. GIVEN_UP: it could not be stored.
    CANCELLED: with its job.
    """

    PENDING = "pending"
    SENT = "sent"
    COMMITTED = "committed"
    REFUSED = "refused"
    UNANSWERED = "unanswered"
    GIVEN_UP = "given_up"
    CANCELLED = "cancelled"


FAILED_DELIVERIES: Final = (DeliveryState.GIVEN_UP, DeliveryState.REFUSED, DeliveryState.UNANSWERED)
"""The destination does not have what it should have, or does not say so."""


class Proof(StrEnum):
    """How a destination proves that it holds a set: it takes responsibility for it (storage commitment, PS3.4 J), or it
    lists the objects when asked (C-FIND, QIDO-RS)."""

    COMMIT = "commit"
    VERIFY = "verify"


class DeliveryKind(StrEnum):
    """What a delivery brings: the results of a job, or the note that these are withdrawn."""

    RESULTS = "results"
    WITHDRAWAL = "withdrawal"


@dataclass(frozen=True, slots=True)
class NewDelivery:
    """What a worker hands over for one destination.

    Attributes:
        destination: its name in the settings.
        files: relative to STORAGE, POSIX form, in the order in which they are sent.
    """

    destination: str
    files: Sequence[str]
    kind: DeliveryKind = DeliveryKind.RESULTS

    def __post_init__(self) -> None:
        if not self.destination or not self.files:
            raise DatabaseError(
                f"a delivery needs a destination and files; got {self.destination!r} and {len(self.files)} files"
            )


@dataclass(frozen=True, slots=True)
class Delivery:
    """One destination's row.

    Attributes:
        attempts: how often it was claimed.
        refusals: how often in sequence the destination has refused it.
        not_before: it is not claimed earlier.
        reason: why the last failed attempt failed.
        settled_at: when it ended; None while it is sent, or while a proof is awaited.
        report_out: the destination has the report, or may have it, though the set as a whole was not sent: other
            objects were refused, or the outcome of the attempt is unknown.
        kind: what it brings.
        proof: what the destination promised to prove once all is stored; None: nothing more than its status.
        proof_failures: how often it said that it does not hold all of it.
        resend: the files that it does not hold by what it said; None: all.
    """

    id: int
    job_id: int
    destination: str
    files: tuple[str, ...]
    state: DeliveryState
    attempts: int
    refusals: int
    not_before: datetime
    lease_owner: str | None
    lease_expires: datetime | None
    reason: str | None
    created_at: datetime
    settled_at: datetime | None
    report_out: bool
    kind: DeliveryKind = DeliveryKind.RESULTS
    proof: Proof | None = None
    proof_failures: int = 0
    resend: tuple[str, ...] | None = None

    @property
    def files_to_send(self) -> tuple[str, ...]:
        """All of its files, or those that the destination does not hold though it stored them."""
        return self.files if self.resend is None else self.resend

    @property
    def is_open(self) -> bool:
        """Whether something is still to be done: to send it, or to have its proof."""
        return self.settled_at is None

    @property
    def report_may_be_out(self) -> bool:
        """Whether the destination has the report, or may have it; also because it is being sent now.

        In doubt it may have it: a report that names a missing one harms less than two that do not name each other.
        """
        return self.state in _STORED or self.report_out or self.lease_owner is not None


_STORED: Final = frozenset(
    {DeliveryState.SENT, DeliveryState.COMMITTED, DeliveryState.REFUSED, DeliveryState.UNANSWERED}
)


def job_of(row: Row[Any]) -> Job:
    """A row of `jobs`."""
    values = dict(row._mapping)
    review = None if values["review"] is None else ReviewState(values["review"])
    own = {"state": JobState(values["state"]), "review": review, "priority": Priority(values["priority"])}
    return Job(**{**values, **own})


def review_state(measurements: Mapping[str, Any]) -> ReviewState | None:
    """How the review of a new result stands."""
    return ReviewState.OPEN if measurements.get("review_recommended") is True else None


def delivery_of(row: Row[Any]) -> Delivery:
    """A row of `deliveries`."""
    values = dict(row._mapping)
    return Delivery(
        **{
            **values,
            "state": DeliveryState(values["state"]),
            "files": tuple(values["files"]),
            "kind": DeliveryKind(values["kind"]),
            "proof": None if values["proof"] is None else Proof(values["proof"]),
            "resend": None if values["resend"] is None else tuple(values["resend"]),
        }
    )


class CommitmentState(StrEnum):
    """Storage commitment that we ask for: MADE, before it is asked for; ASKED; ANSWERED; UNANSWERED in time."""

    MADE = "made"
    ASKED = "asked"
    ANSWERED = "answered"
    UNANSWERED = "unanswered"


@dataclass(frozen=True, slots=True)
class CommitmentObject:
    """One object whose keeping is asked for; `file` is relative to STORAGE."""

    sop_class_uid: str
    sop_instance_uid: str
    file: str


class ReportOutcome(StrEnum):
    """What a report of storage commitment was: about no transaction of ours, taken now, or taken before."""

    UNKNOWN = "unknown"
    TAKEN = "taken"
    REPEATED = "repeated"


@dataclass(frozen=True, slots=True)
class CommitmentAnswer:
    """What a sender that asked us for storage commitment is answered.

    Attributes:
        committed: (SOP class UID, SOP instance UID) of what we hold.
        failed: the same of what we do not, with the reason (PS3.3 C.14.1.1).
    """

    id: int
    transaction_uid: str
    calling_ae_title: str
    committed: tuple[tuple[str, str], ...]
    failed: tuple[tuple[str, str, int], ...]
    attempts: int


# The inbox


class AssociationEnd(StrEnum):
    """How an association ended (PS3.8 section 7).

    RELEASED by A-RELEASE: closed normally by the sender. ABORTED by A-ABORT or a lost connection. LOST: the receiver
    itself was killed and found the association open at its next start, without a note of its end.
    """

    RELEASED = "released"
    ABORTED = "aborted"
    LOST = "lost"


class RecordOutcome(StrEnum):
    """What an instance was to its series in the inbox.

    NEW: not seen before. DUPLICATE: same SOP Instance UID, same bytes; no file was added. CONFLICT: same SOP Instance
    UID, other bytes; kept beside the first and flagged.
    """

    NEW = "new"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"


@dataclass(frozen=True, slots=True)
class ReceivedInstance:
    """One instance that lies on disk and waits for its row.

    Attributes:
        path: of the file, relative to STORAGE, POSIX form.
        sha256: of the file's bytes, lower-case hex.
        association_id: from `Inbox.open_association`.
        priority: what its sender asked for, or what the settings say of that sender.
    """

    sop_instance_uid: str
    sop_class_uid: str
    series_instance_uid: str
    study_instance_uid: str
    transfer_syntax_uid: str
    path: str
    sha256: str
    size_bytes: int
    association_id: int
    priority: Priority = Priority.MEDIUM


@dataclass(frozen=True, slots=True)
class StoredInstance:
    """One instance of the inbox.

    Attributes:
        ordinal: 1 for the first instance of its series, 2 for the next, ... in the order in which they became durable.
            A job that was made for n instances is about the ordinals 1 to n, whatever comes later.
        is_conflict: another file of the series with the same SOP Instance UID came before.
        known_elsewhere: a file of another series with the same SOP Instance UID came before. The two series stay
            independent of each other.
        is_return: the bytes of an earlier instance, which came again after other bytes of its UID; a conflict too.
    """

    sop_instance_uid: str
    sop_class_uid: str
    series_instance_uid: str
    study_instance_uid: str
    transfer_syntax_uid: str
    path: str
    sha256: str
    size_bytes: int
    association_id: int
    ordinal: int
    is_conflict: bool
    known_elsewhere: bool
    received_at: datetime
    is_return: bool = False


@dataclass(frozen=True, slots=True)
class Arrival:
    """What one association brought of a series that was new.

    Attributes:
        first_at: when its first new instance became durable.
        ended: how the association ended; None while it is open.
    """

    first_at: datetime
    ended: AssociationEnd | None


@dataclass(frozen=True, slots=True)
class SeriesActivity:
    """A series that has instances newer than its last verdict.

    Attributes:
        instance_count: instances of the series, conflicts included.
        last_received_at: when the last of them was received; a duplicate counts, because the sender is still sending.
        open_associations: associations that brought instances of this series and are still open.
        last_end: how the one that ended last ended; None when none has.
        conflict_count: how many of the instances are other bytes under a known SOP Instance UID.
    """

    series_instance_uid: str
    study_instance_uid: str
    instance_count: int
    last_received_at: datetime
    open_associations: int
    last_end: AssociationEnd | None
    conflict_count: int


# Scans


@dataclass(frozen=True, slots=True)
class Scan:
    """The facts of a job's scan that a later scan of the same patient needs.

    Attributes:
        job_id: of the job that analyses it.
        study_instance_uid: its study.
        patient_key: keyed hash of the patient's identifier; the same for every scan of the patient, and no identifier.
        birth_key: keyed hash of the date of birth; None when that is not given.
        acquired_on: day of the acquisition.
        description: scanner and protocol, as JSON.
    """

    job_id: int
    study_instance_uid: str
    patient_key: str
    birth_key: str | None
    acquired_on: date
    description: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class MeasuredScan:
    """A scan whose job gave a result.

    Attributes:
        scan: the scan.
        measurements: the content of measurements.json.
        report: the UIDs of the report, by DICOM keyword.
    """

    scan: Scan
    measurements: Mapping[str, Any]
    report: Mapping[str, str]


# Models

_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class NewModel:
    """What is registered of a bundle.

    Attributes:
        digest: sha256 as hex, stands for every byte of the bundle.
        name, version: as the bundle's manifest gives them; several bundles may share them.
        size_bytes: of all its files together.
    """

    digest: str
    name: str
    version: str
    size_bytes: int

    def __post_init__(self) -> None:
        """A row that names no bundle could not be found again."""
        if not _DIGEST.fullmatch(self.digest) or not self.name or not self.version or self.size_bytes < 0:
            raise DatabaseError(
                "a model needs a sha256 of 64 hexadecimal digits, a name, a version and a size; got "
                f"{self.digest!r}, {self.name!r}, {self.version!r}, {self.size_bytes} bytes"
            )


@dataclass(frozen=True, slots=True)
class RegisteredModel:
    """A row of `models`; nothing of it changes but the evaluation and the checks.

    Attributes:
        added_by: account, as `user@host` from the command line.
        evaluation: what `wmh-node evaluate` wrote about it (evaluation.json); None when nothing was given.
        checks: the newest report of the model checks; None when none were made.
        checked_at, checked_against: when, and the digest of the model that they compared with, live or shipped.
    """

    digest: str
    name: str
    version: str
    size_bytes: int
    added_at: datetime
    added_by: str
    evaluation: Mapping[str, Any] | None
    checks: Mapping[str, Any] | None = None
    checked_at: datetime | None = None
    checked_against: str | None = None

    def __str__(self) -> str:
        return f"{self.name} {self.version} ({self.digest[:12]})"


class PromotionKind(StrEnum):
    """How a model became live."""

    PROMOTE = "promote"
    ROLLBACK = "rollback"


@dataclass(frozen=True, slots=True)
class Promotion:
    """A row of `promotions`. Rows are only ever added; the newest one says which model is live.

    Attributes:
        who: account, as `user@host` from the command line.
        digest: the model that became live.
        reason: what the person gave as the reason; None when none was given.
        forced: checks had failed, and the person promoted it anyway.
        gate: the results of the model checks, as plain values; None for a rollback.
        previous_id: the row that a rollback from this one goes back to; None when there is none.
    """

    id: int
    at: datetime
    who: str
    digest: str
    kind: PromotionKind
    reason: str | None
    forced: bool
    gate: Mapping[str, Any] | None
    previous_id: int | None


# Feedback


class FeedbackState(StrEnum):
    """The outcome of a segmentation that was sent to the node.

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
    """What a segmentation states about itself.

    Attributes:
        content_creator: ContentCreatorName (0070,0084); the name of a person, so never for a log.
        operator: OperatorsName (0008,1070); the same applies.
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
        code, reason: why it waits or was refused, as text for a radiologist; None when accepted.
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
        """True when it is the correction of its series that is in use."""
        return self.state is FeedbackState.ACCEPTED and self.superseded_by is None

    @property
    def who(self) -> str:
        """The person named in the object, else the sender. May be a name: for a person's eyes, never for a log."""
        return self.content_creator or self.operator or self.calling_ae_title


# Reviews


class ReviewState(StrEnum):
    """How the review of a result stands: OPEN, recommended and not made yet; or what the last one said."""

    OPEN = "open"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    CORRECTED = "corrected"


class ReviewVerdict(StrEnum):
    """What a reader did: took the result as it is, rejected it, sent a correction (SENT), which then was found to fit
    the result (CORRECTED)."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    SENT = "sent"
    CORRECTED = "corrected"


@dataclass(frozen=True, slots=True)
class Review:
    """A row of `reviews`.

    Attributes:
        who: an account of the page, or the AE title that sent the correction.
        reason: in words of the reader.
        sop_instance_uid, sha256: of a correction that was uploaded.
        feedback_id: the correction, once it is accepted.
        model, model_digest, scanner: what the result was made with and from; None when unknown.
    """

    id: int
    job_id: int
    at: datetime
    who: str
    verdict: ReviewVerdict
    reason: str | None
    sop_instance_uid: str | None
    sha256: str | None
    feedback_id: int | None
    model: str | None
    model_digest: str | None
    scanner: str | None


# Roles


@dataclass(frozen=True, slots=True)
class RunningRole:
    """One start of a role.

    Attributes:
        id: the role, and what no other start has: "work-5f0c...". Never the name of a host or a container, which the
            next one may bear again.
        seen_at: its last heartbeat.
        ended_at: when it stopped in order; None while it runs, and for ever when it was killed.
        model_digest: of the model that a worker holds; None before it has loaded one, and for other roles.
        trouble: what keeps it from its work, in words; None when nothing does.
    """

    id: str
    role: str
    host: str
    process_id: int
    version: str
    started_at: datetime
    seen_at: datetime
    ended_at: datetime | None
    model_digest: str | None
    trouble: str | None


# Overview


@dataclass(frozen=True, slots=True)
class DeliveryBacklog:
    """Deliveries to one destination that are in one state; `oldest_at`: when the oldest of them was made."""

    destination: str
    state: DeliveryState
    count: int
    oldest_at: datetime


@dataclass(frozen=True, slots=True)
class JobBacklog:
    """Jobs in one state; `oldest_at`: when the oldest of them was made."""

    state: JobState
    count: int
    oldest_at: datetime


@dataclass(frozen=True, slots=True)
class Overview:
    """What the tables say about the node at one moment.

    Attributes:
        waiting_series: series whose slices may not all be here yet, or that no role has looked at.
        last_received_at, last_result_at: of the newest instance and the newest job that is done; None: never.
        failed_since: jobs that failed after the time asked for.
        not_delivered_since: deliveries that were given up, refused or not confirmed after it.
        last_backup_at: when the last backup was finished; None: never.
    """

    at: datetime
    jobs: tuple[JobBacklog, ...]
    deliveries: tuple[DeliveryBacklog, ...]
    waiting_series: int
    oldest_waiting_at: datetime | None
    last_received_at: datetime | None
    last_result_at: datetime | None
    failed_since: int
    not_delivered_since: int
    last_backup_at: datetime | None = None


# Audit


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One action of a person or a peer, the start and end of a role, or what a worker could not do.

    Attributes:
        who: account, as `user@host` from the command line; "unknown" without a name.
        action: "instances received", "results sent"; "role started", "role ended"; "cancel", "retry" or
            "acknowledge" of a job; "hold" or "release" of a study; "backup"; "add model",
            "evaluate model", "promote model", "roll back model"; "look at feedback again"; or a worker's "live model
            not loaded", "feedback accepted", "feedback refused" and "feedback fits no series yet", where `who` is the
            AE title that sent it.
        job_id: None when it is about no job.
        about: `studies`, `sop_classes`, `address`, `destination`, where they are known.
    """

    at: datetime
    who: str
    action: str
    job_id: int | None
    detail: str
    about: Mapping[str, Any] | None = None


# Alarms and notifications


class AlarmSeverity(StrEnum):
    """How bad a condition is, as the checks of `wmh-node status` say."""

    WARNING = "warning"
    CRITICAL = "critical"


class AlarmNews(StrEnum):
    """What a message says of a condition."""

    BEGAN = "began"
    WORSE = "worse"
    LASTS = "lasts"
    OVER = "over"


class NotificationState(StrEnum):
    """The state of a message to one channel."""

    PENDING = "pending"
    SENT = "sent"
    GIVEN_UP = "given_up"


@dataclass(frozen=True, slots=True)
class Observed:
    """A condition that one look at the node found; `words` holds nothing of a patient."""

    key: str
    severity: AlarmSeverity
    words: str


@dataclass(frozen=True, slots=True)
class Alarm:
    """A condition of the node.

    Attributes:
        key: names it; one row for each.
        words: what the last look found.
        gone_at: since when it is not found any more; None while it holds.
        announced_at, announced_severity: when people last heard of it, and how bad it was; None: not yet.
    """

    key: str
    severity: AlarmSeverity
    words: str
    since: datetime
    gone_at: datetime | None = None
    announced_at: datetime | None = None
    announced_severity: AlarmSeverity | None = None


@dataclass(frozen=True, slots=True)
class News:
    """One line of a message."""

    what: AlarmNews
    key: str
    severity: AlarmSeverity
    words: str
    since: datetime

    def as_json(self) -> dict[str, str]:
        """As the row and the webhook hold it."""
        return {
            "what": self.what.value,
            "condition": self.key,
            "severity": self.severity.value,
            "words": self.words,
            "since": self.since.isoformat(),
        }

    @classmethod
    def of_json(cls, values: Mapping[str, str]) -> News:
        """From the row."""
        return cls(
            AlarmNews(values["what"]),
            values["condition"],
            AlarmSeverity(values["severity"]),
            values["words"],
            datetime.fromisoformat(values["since"]),
        )


@dataclass(frozen=True, slots=True)
class Notification:
    """A message to one channel.

    Attributes:
        event_id: the same for all channels, and for every attempt: receivers know a repetition by it.
        channel: "mail", "webhook" or "command".
        reason: why it was not taken, or what the channel said besides.
    """

    id: int
    event_id: str
    channel: str
    severity: AlarmSeverity
    news: tuple[News, ...]
    state: NotificationState
    attempts: int
    not_before: datetime
    reason: str | None
    created_at: datetime
    settled_at: datetime | None


# The page


class AccountRole(StrEnum):
    """What an account may do; each may do what the ones before it may.

    VIEWER sees jobs, results and figures. OPERATOR acts on jobs and may look at who a patient is. ADMIN decides about
    models and reads the audit.
    """

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"

    def may(self, needed: AccountRole) -> bool:
        """Whether this role includes the one that is needed."""
        order = list(AccountRole)
        return order.index(self) >= order.index(needed)


@dataclass(frozen=True, slots=True)
class Account:
    """An account of the page.

    Attributes:
        password_hash: argon2, with its own salt; None: no password fits.
        subject: digest of who it is at the identity provider; None: it logs in with a password.
        locked_until: it cannot log in before; None when it is not locked.
    """

    name: str
    role: AccountRole
    password_hash: str | None = field(repr=False)
    created_at: datetime
    last_login_at: datetime | None
    locked_until: datetime | None
    subject: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class WebSession:
    """Who sends a request.

    Attributes:
        ends_at: the person must log in again then; None for a token.
    """

    account: str
    role: AccountRole
    ends_at: datetime | None
