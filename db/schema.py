"""The tables. Every change here needs a migration (`db/migrations/versions`); a test compares the two.

    associations --< series_associations >-- series --< instances
                                             series ~~< jobs --< job_events
                                                        jobs --< deliveries --< commitments
                                                        jobs --- scans        whose and when, as keyed hashes
    models --< promotions                    the newest promotion names the live model
    instances ~~ feedback >~~ series         a received segmentation, and the series that it corrects
    holds, purges                            what is kept, and whose files were removed
    roles, audit                             what runs, with its heartbeat; what people and roles did, as a chain
    audit_exports                            how far the audit trail has gone to a repository
    alarms, notifications                    what is wrong with the node, and messages to people about it
    commitment_answers                       what senders asked us to keep
    accounts --< web_sessions, web_tokens    who may use the page

`~~`: by UID, without a foreign key: a job or a correction may outlive the rows of its series.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    false,
    text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class UtcDateTime(TypeDecorator[datetime]):
    """A UTC time on both databases: SQLite has no time zones, so they are taken off and put back."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse naive times; SQLite stores UTC without its zone."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("expected a time with a time zone, got a naive one")
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:
        """Every time that leaves the database is in UTC."""
        if value is None:
            return None
        time: datetime = value
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


_ONLY_WHERE: Final = "only where"


def _only_where(condition: str) -> dict[str, Any]:
    """An index of few rows of many: of open work, whatever the history. Queries name the condition as it stands.

    PostgreSQL's half is added by `complete_for_postgresql`: here it would load that dialect into every command.
    """
    return {"sqlite_where": text(condition), "info": {_ONLY_WHERE: text(condition)}}


def complete_for_postgresql() -> None:
    """Give the indexes of open work their condition for PostgreSQL too; for migrations, which alone make indexes."""
    for table in metadata.tables.values():
        for index in table.indexes:
            if (condition := index.info.get(_ONLY_WHERE)) is not None:
                index.dialect_options["postgresql"]["where"] = condition


# DICOM UIDs have at most 64 characters (PS3.5 9.1), AE titles 16 (PS3.5 table 6.2-1), sha256 as hex 64.
_UID = String(64)
_AE_TITLE = String(16)
_DIGEST = String(64)
_NAME = String(255)

associations = Table(
    "associations",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("receiver", _NAME, nullable=False),
    Column("calling_ae_title", _AE_TITLE, nullable=False),
    Column("called_ae_title", _AE_TITLE, nullable=False),
    Column("address", _NAME, nullable=False),
    Column("opened_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime),
    Column("ended_how", String(16)),
    Index("ix_associations_open", "receiver", **_only_where("ended_at IS NULL")),
)

series = Table(
    "series",
    metadata,
    Column("series_instance_uid", _UID, primary_key=True),
    Column("study_instance_uid", _UID, nullable=False),
    Column("instance_count", Integer, nullable=False),
    Column("conflict_count", Integer, nullable=False),
    # How many of its instances the last verdict (a job, queued or rejected) was about: the series is open while there
    # are more.
    Column("judged_count", Integer, nullable=False),
    Column("first_received_at", UtcDateTime, nullable=False),
    Column("last_received_at", UtcDateTime, nullable=False),
    # Instances that came again with the same bytes, and how many of them `retry_resent` has dealt with.
    Column("duplicate_count", Integer, nullable=False, server_default=text("0")),
    Column("duplicates_seen", Integer, nullable=False, server_default=text("0")),
    # When its files were removed (db/retention.py); null again as soon as something of it is received.
    Column("purged_at", UtcDateTime),
    # The highest that came with one of its instances.
    Column("priority", String(8), nullable=False, server_default="medium"),
    Index("ix_series_kept", "last_received_at", **_only_where("purged_at IS NULL")),
    Index("ix_series_open", "last_received_at", **_only_where("instance_count > judged_count")),
    Index("ix_series_resent", "series_instance_uid", **_only_where("duplicate_count > duplicates_seen")),
)

# Which associations brought something of a series, duplicates too: a resend after a crash may bring nothing new, and
# its release still shows that the series is whole.
series_associations = Table(
    "series_associations",
    metadata,
    Column("series_instance_uid", _UID, ForeignKey("series.series_instance_uid"), primary_key=True),
    Column("association_id", Integer, ForeignKey("associations.id"), primary_key=True),
    Column("first_received_at", UtcDateTime, nullable=False),
    Column("duplicate_count", Integer, nullable=False),
    sqlite_with_rowid=False,
)

instances = Table(
    "instances",
    metadata,
    # 1, 2, 3, ... in commit order: what a job of n instances is about never changes when others come.
    Column("series_instance_uid", _UID, ForeignKey("series.series_instance_uid"), primary_key=True),
    Column("ordinal", Integer, primary_key=True, autoincrement=False),
    Column("sop_instance_uid", _UID, nullable=False),
    Column("sha256", _DIGEST, nullable=False),
    Column("sop_class_uid", _UID, nullable=False),
    Column("study_instance_uid", _UID, nullable=False),
    Column("transfer_syntax_uid", _UID, nullable=False),
    Column("path", Text, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    # Another file of this series has the same SOP Instance UID; and: a file of another series has it.
    Column("is_conflict", Boolean, nullable=False),
    Column("known_elsewhere", Boolean, nullable=False),
    Column("association_id", Integer, ForeignKey("associations.id"), nullable=False),
    Column("received_at", UtcDateTime, nullable=False),
    # When its file was removed; null again when the same bytes are received again.
    Column("purged_at", UtcDateTime),
    UniqueConstraint("sop_instance_uid", "sha256"),
    sqlite_with_rowid=False,
)

# Bytes that came again after other bytes of the same SOP Instance UID: which came last is known. The ordinals are those
# of `instances`, in one count; the file is that of the row there.
returned_instances = Table(
    "returned_instances",
    metadata,
    Column("series_instance_uid", _UID, ForeignKey("series.series_instance_uid"), primary_key=True),
    Column("ordinal", Integer, primary_key=True, autoincrement=False),
    Column("sop_instance_uid", _UID, nullable=False),
    Column("sha256", _DIGEST, nullable=False),
    Column("association_id", Integer, ForeignKey("associations.id"), nullable=False),
    Column("received_at", UtcDateTime, nullable=False),
    sqlite_with_rowid=False,
)

# Objects that the receiver refused as damaged: the series lacks them until they arrive whole.
refused_objects = Table(
    "refused_objects",
    metadata,
    Column("series_instance_uid", _UID, primary_key=True),
    Column("sop_instance_uid", _UID, primary_key=True),
    Column("reason", Text, nullable=False),
    Column("association_id", Integer, ForeignKey("associations.id"), nullable=False),
    Column("refused_at", UtcDateTime, nullable=False),
    sqlite_with_rowid=False,
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("series_instance_uid", _UID, nullable=False),
    Column("study_instance_uid", _UID),
    Column("instances_digest", _DIGEST, nullable=False),
    Column("instance_count", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("max_attempts", Integer, nullable=False),
    Column("not_before", UtcDateTime, nullable=False),
    Column("lease_owner", _NAME),
    Column("lease_expires", UtcDateTime),
    Column("predecessor_id", Integer, ForeignKey("jobs.id")),
    Column("code", String(64)),
    Column("reason", Text),
    Column("measurements", JSON(none_as_null=True)),
    Column("report", JSON(none_as_null=True)),
    # The refusal report that was sent before the job was retried.
    Column("answered", JSON(none_as_null=True)),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime),
    # Its results are wrong: who said so, and why.
    Column("withdrawn_at", UtcDateTime),
    Column("withdrawn_by", _NAME),
    Column("withdrawn_reason", Text),
    # A person has seen that it failed; and: when its result set was removed from the outbox.
    Column("acknowledged_at", UtcDateTime),
    Column("purged_at", UtcDateTime),
    # Its result recommends a review that no reader has made yet ("open"), or what the last review said; see `reviews`.
    Column("review", String(16)),
    # How soon it is wanted, and where that puts it in the queue: a time, see db/priorities.py.
    Column("priority", String(8), nullable=False, server_default="medium"),
    Column("place", UtcDateTime),
    # When what other machines need of it was in the object store; null: it is not, or there is none.
    Column("shared_at", UtcDateTime),
    UniqueConstraint("series_instance_uid", "instances_digest"),
    Index("ix_jobs_queued", "place", "id", **_only_where("state = 'queued'")),
    Index("ix_jobs_unshared", "id", **_only_where("shared_at IS NULL AND purged_at IS NULL")),
    Index("ix_jobs_running", "lease_expires", **_only_where("state = 'running'")),
    # Done jobs are nearly all: a list of them goes by the number alone.
    Index("ix_jobs_not_done", "state", "id", **_only_where("state <> 'done'")),
    Index("ix_jobs_study", "study_instance_uid", "id"),
    # The page counts the jobs of a day, and lists those of one reason.
    Index("ix_jobs_created_at", "created_at"),
    Index("ix_jobs_code", "code", "id", **_only_where("code IS NOT NULL")),
    # Results whose files are removed are not in it: no reader can look at them, and there are ever more.
    Index("ix_jobs_review", "id", **_only_where("review = 'open' AND purged_at IS NULL")),
    # Never reuse the number of a job: its outbox folder bears it.
    sqlite_autoincrement=True,
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("job_id", Integer, ForeignKey("jobs.id"), nullable=False),
    Column("destination", _NAME, nullable=False),
    Column("files", JSON, nullable=False),
    Column("state", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("refusals", Integer, nullable=False),
    Column("not_before", UtcDateTime, nullable=False),
    Column("lease_owner", _NAME),
    Column("lease_expires", UtcDateTime),
    Column("reason", Text),
    Column("created_at", UtcDateTime, nullable=False),
    Column("settled_at", UtcDateTime),
    # The destination has the report of the set, or may have it, also when the rest failed.
    Column("report_out", Boolean, nullable=False, server_default=false()),
    # What is sent: "results", or the "withdrawal" of results that the destination has.
    Column("kind", String(16), nullable=False, server_default="results"),
    # How the destination proves that it holds the set, once that is stored; null: its C-STORE status is enough.
    Column("proof", String(16)),
    # How often it said that it does not hold all of it, and the files that are sent again for that; null: all.
    Column("proof_failures", Integer, nullable=False, server_default=text("0")),
    Column("resend", JSON(none_as_null=True)),
    UniqueConstraint("job_id", "destination", "kind"),
    Index("ix_deliveries_pending", "not_before", "id", **_only_where("state = 'pending'")),
    Index("ix_deliveries_unproven", "not_before", "id", **_only_where("state = 'sent' AND settled_at IS NULL")),
)

# Storage commitment that we ask for (PS3.4 J): the row is committed before the N-ACTION leaves.
commitments = Table(
    "commitments",
    metadata,
    Column("transaction_uid", _UID, primary_key=True),
    Column("delivery_id", Integer, ForeignKey("deliveries.id"), nullable=False),
    # [{"sop_class_uid", "sop_instance_uid", "file"}]
    Column("objects", JSON, nullable=False),
    Column("state", String(16), nullable=False),
    Column("made_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime),
    # Reason by SOP Instance UID.
    Column("failures", JSON(none_as_null=True)),
    Index("ix_commitments_delivery", "delivery_id"),
)

# Storage commitment that a sender asks us for: what it is answered, and whether it has the answer.
commitment_answers = Table(
    "commitment_answers",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("transaction_uid", _UID, nullable=False),
    Column("calling_ae_title", _AE_TITLE, nullable=False),
    # [[SOP class UID, SOP instance UID]], and for those that failed the reason behind them.
    Column("committed", JSON, nullable=False),
    Column("failed", JSON, nullable=False),
    Column("state", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("not_before", UtcDateTime, nullable=False),
    Column("reason", Text),
    Column("created_at", UtcDateTime, nullable=False),
    Column("settled_at", UtcDateTime),
    UniqueConstraint("transaction_uid", "calling_ae_title"),
    Index("ix_commitment_answers_pending", "not_before", "id", **_only_where("state = 'pending'")),
)

# Which patient (as keyed hash) and when: what later scans of the patient are compared with.
scans = Table(
    "scans",
    metadata,
    Column("job_id", Integer, ForeignKey("jobs.id"), primary_key=True, autoincrement=False),
    Column("study_instance_uid", _UID, nullable=False),
    # Keyed hashes (dicom_node/analyse/follow_up/patient_key.py); the key is not in the database.
    Column("patient_key", _DIGEST, nullable=False),
    Column("birth_key", _DIGEST),
    Column("acquired_on", Date, nullable=False),
    Column("description", JSON, nullable=False),
    Column("compared_with_id", Integer, ForeignKey("jobs.id")),
    Index("ix_scans_patient", "patient_key", "acquired_on"),
)

job_events = Table(
    "job_events",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("job_id", Integer, ForeignKey("jobs.id"), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("what", String(64), nullable=False),
    Column("detail", Text, nullable=False),
    Index("ix_job_events_job", "job_id", "id"),
)

models = Table(
    "models",
    metadata,
    Column("digest", _DIGEST, primary_key=True),
    Column("name", _NAME, nullable=False),
    Column("version", _NAME, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("added_at", UtcDateTime, nullable=False),
    Column("added_by", _NAME, nullable=False),
    Column("evaluation", JSON(none_as_null=True)),
    # The newest report of the model checks, and the digest of the model that they compared with, live or shipped.
    Column("checks", JSON(none_as_null=True)),
    Column("checked_at", UtcDateTime),
    Column("checked_against", _DIGEST),
)

promotions = Table(
    "promotions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", UtcDateTime, nullable=False),
    Column("who", _NAME, nullable=False),
    Column("digest", _DIGEST, ForeignKey("models.digest"), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("reason", Text),
    Column("forced", Boolean, nullable=False),
    Column("gate", JSON(none_as_null=True)),
    # Where a rollback from this row leads, so that two rollbacks go back two promotions and not back and forth.
    Column("previous_id", Integer, ForeignKey("promotions.id")),
    # The newest row is the live model: a used number must never be used again.
    sqlite_autoincrement=True,
)

# Segmentations received by C-STORE, one row per file: a person's correction, or one that was refused.
feedback = Table(
    "feedback",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("sop_instance_uid", _UID, nullable=False),
    Column("sha256", _DIGEST, nullable=False),
    Column("series_instance_uid", _UID, nullable=False),
    Column("study_instance_uid", _UID, nullable=False),
    Column("path", Text, nullable=False),
    Column("calling_ae_title", _AE_TITLE, nullable=False),
    Column("received_at", UtcDateTime, nullable=False),
    Column("state", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("not_before", UtcDateTime, nullable=False),
    # From the object itself; null before it was read. Names of people stay in these two columns.
    Column("content_creator", Text),
    Column("operator", Text),
    Column("content_time", String(40)),
    Column("made_with", Text),
    Column("refers_to", JSON(none_as_null=True)),
    # What it is about, and its outcome.
    Column("source_series_uid", _UID),
    Column("job_id", Integer, ForeignKey("jobs.id")),
    Column("code", String(64)),
    Column("reason", Text),
    Column("notes", JSON(none_as_null=True)),
    Column("comparison", JSON(none_as_null=True)),
    Column("decided_at", UtcDateTime),
    UniqueConstraint("sop_instance_uid", "sha256"),
    Index("ix_feedback_waiting", "not_before", "id", **_only_where("state = 'waiting'")),
    Index("ix_feedback_source", "source_series_uid", "id"),
    Index("ix_feedback_series", "series_instance_uid"),
    # The number is shown to people, and orders corrections of one series: it must never be used again.
    sqlite_autoincrement=True,
)

# What readers said of results; of several rows of a job the newest one counts.
reviews = Table(
    "reviews",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("job_id", Integer, ForeignKey("jobs.id"), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    # An account of the page, or the AE title that sent the correction.
    Column("who", _NAME, nullable=False),
    Column("verdict", String(16), nullable=False),
    Column("reason", Text),
    # The correction: as it was uploaded, and as feedback once it is matched.
    Column("sop_instance_uid", _UID),
    Column("sha256", _DIGEST),
    Column("feedback_id", Integer, ForeignKey("feedback.id")),
    # As they were then, to count by.
    Column("model", _NAME),
    Column("model_digest", _DIGEST),
    Column("scanner", _AE_TITLE),
    Index("ix_reviews_job", "job_id", "id"),
    Index("ix_reviews_upload", "sop_instance_uid", **_only_where("sop_instance_uid IS NOT NULL")),
    # The newest row of a job counts: a used number must never be used again.
    sqlite_autoincrement=True,
)

# One row for each start of a role (receive, work, deliver, ...), under a name that no other start has.
roles = Table(
    "roles",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("role", String(16), nullable=False),
    Column("host", _NAME, nullable=False),
    Column("process_id", Integer, nullable=False),
    Column("version", String(64), nullable=False),
    Column("started_at", UtcDateTime, nullable=False),
    Column("seen_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime),
    Column("model_digest", _DIGEST),
    Column("trouble", Text),
    Index("ix_roles_seen_at", "seen_at"),
)

# Studies of which no file is removed, whatever the rules.
holds = Table(
    "holds",
    metadata,
    Column("study_instance_uid", _UID, primary_key=True),
    Column("at", UtcDateTime, nullable=False),
    Column("who", _NAME, nullable=False),
    Column("reason", Text, nullable=False),
)

# One row for each removal of the files of a series: decided first, then the files go, then it is finished.
purges = Table(
    "purges",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("series_instance_uid", _UID, nullable=False),
    Column("rule", String(16), nullable=False),
    Column("decided_at", UtcDateTime, nullable=False),
    Column("finished_at", UtcDateTime),
    Column("freed_bytes", BigInteger, nullable=False, server_default=text("0")),
    # Why a file could not be removed: the row is set aside, and tried again only when a person asks.
    Column("trouble", Text),
    Index("ix_purges_unfinished", "id", **_only_where("finished_at IS NULL")),
    # The number orders removals of one series: it must never be used again.
    sqlite_autoincrement=True,
)

# Stretches of time in which the node ran and its clock was not set: the days of retention. See `db.seen_time`.
seen_time = Table(
    "seen_time",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("begun_at", UtcDateTime, nullable=False),
    Column("seen_at", UtcDateTime, nullable=False),
    # The number tells new stretches from old ones: it must never be used again.
    sqlite_autoincrement=True,
)

# The page's local accounts, their sessions, and tokens for scripts. Secrets are here as hashes only.
accounts = Table(
    "accounts",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("role", String(16), nullable=False),
    Column("password_hash", Text),
    Column("created_at", UtcDateTime, nullable=False),
    Column("last_login_at", UtcDateTime),
    Column("failures", Integer, nullable=False),
    Column("locked_until", UtcDateTime),
    Column("subject", String(64)),
)

web_sessions = Table(
    "web_sessions",
    metadata,
    Column("digest", _DIGEST, primary_key=True),
    Column("account", String(64), ForeignKey("accounts.name"), nullable=False),
    Column("opened_at", UtcDateTime, nullable=False),
    Column("idle_until", UtcDateTime, nullable=False),
    Column("ends_at", UtcDateTime, nullable=False),
    Index("ix_web_sessions_idle_until", "idle_until"),
)

web_tokens = Table(
    "web_tokens",
    metadata,
    Column("digest", _DIGEST, primary_key=True),
    Column("account", String(64), ForeignKey("accounts.name"), nullable=False),
    Column("label", _NAME, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("used_at", UtcDateTime),
)

# What is wrong with the node: since when, and what people heard of it.
alarms = Table(
    "alarms",
    metadata,
    Column("key", _NAME, primary_key=True),
    Column("severity", String(16), nullable=False),
    Column("words", Text, nullable=False),
    Column("since", UtcDateTime, nullable=False),
    Column("gone_at", UtcDateTime),
    Column("announced_at", UtcDateTime),
    Column("announced_severity", String(16)),
)

# Messages about that, one row for each channel.
notifications = Table(
    "notifications",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("event_id", String(64), nullable=False),
    Column("channel", String(16), nullable=False),
    Column("severity", String(16), nullable=False),
    # [{"what", "condition", "severity", "words", "since"}]
    Column("news", JSON, nullable=False),
    Column("state", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("not_before", UtcDateTime, nullable=False),
    Column("reason", Text),
    Column("created_at", UtcDateTime, nullable=False),
    Column("settled_at", UtcDateTime),
    UniqueConstraint("event_id", "channel"),
    Index("ix_notifications_pending", "channel", "id", **_only_where("state = 'pending'")),
    # The number orders messages: it must never be used again.
    sqlite_autoincrement=True,
)

audit = Table(
    "audit",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", UtcDateTime, nullable=False),
    Column("who", _NAME, nullable=False),
    Column("action", String(64), nullable=False),
    Column("job_id", Integer, ForeignKey("jobs.id")),
    Column("detail", Text, nullable=False),
    # What it is about, for messages to an audit repository: UIDs, counts, addresses.
    Column("about", JSON(none_as_null=True)),
    # The chain, see db/audit.py.
    Column("previous_hash", _DIGEST, nullable=False, server_default=""),
    Column("hash", _DIGEST, nullable=False, server_default=""),
    Index("ix_audit_at", "at"),
    # Each look at the node asks for the last backup; most rows are transfers.
    Index("ix_audit_backup", "at", **_only_where("action = 'backup'")),
)

# Studies of an archive that are fetched one after the other, behind the live work (db/cohorts.py).
cohorts = Table(
    "cohorts",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", _NAME, nullable=False, unique=True),
    # The name of the destination in the settings that the studies come from.
    Column("source", _NAME, nullable=False),
    Column("way", String(8), nullable=False, server_default="move"),
    Column("state", String(16), nullable=False),
    # At most so many studies an hour; only between these hours of the day, of the machine's clock. Null: no limit.
    Column("per_hour", Integer),
    Column("from_hour", Integer),
    Column("until_hour", Integer),
    Column("created_at", UtcDateTime, nullable=False),
    Column("created_by", _NAME, nullable=False),
    # Grows with every change of it or of one of its items: an open page looks at this one number.
    Column("changes", Integer, nullable=False, server_default="0"),
)

cohort_items = Table(
    "cohort_items",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("cohort_id", Integer, ForeignKey("cohorts.id"), nullable=False),
    # The row of the list, for the export; and what it names: a study by its UID, or by its accession number.
    Column("line", Integer, nullable=False),
    Column("given", JSON(none_as_null=True), nullable=False),
    Column("study_instance_uid", _UID),
    Column("accession_number", _NAME),
    Column("state", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("not_before", UtcDateTime, nullable=False),
    # What the archive lists of the study: series -> SOP Instance UIDs. Null until it was asked.
    Column("expected", JSON(none_as_null=True)),
    Column("reason", Text),
    Column("lease_owner", _NAME),
    Column("lease_expires", UtcDateTime),
    Column("moved_at", UtcDateTime),
    Column("settled_at", UtcDateTime),
    UniqueConstraint("cohort_id", "line"),
    Index("ix_cohort_items_waiting", "cohort_id", "not_before", **_only_where("state = 'waiting'")),
    Index("ix_cohort_items_moved", "moved_at"),
)

# How far the audit trail has gone to a repository.
audit_exports = Table(
    "audit_exports",
    metadata,
    Column("repository", _NAME, primary_key=True),
    Column("last_number", Integer, nullable=False),
    Column("taken_at", UtcDateTime),
    Column("failing_since", UtcDateTime),
    Column("trouble", Text),
)
