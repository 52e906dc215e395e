"""The tables. Every change here needs a migration (`db/migrations/versions`); a test compares the two."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
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
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


# DICOM UIDs have at most 64 characters (PS3.5 9.1), AE titles 16 (PS3.5 6.2).
_UID = String(64)
_AE_TITLE = String(16)
_DIGEST = String(64)

associations = Table(
    "associations",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("receiver", String(128), nullable=False),
    Column("calling_ae_title", _AE_TITLE, nullable=False),
    Column("called_ae_title", _AE_TITLE, nullable=False),
    Column("address", String(64), nullable=False),
    Column("opened_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime),
    Column("end", String(16)),
    Index(None, "receiver", "ended_at"),
)

series = Table(
    "series",
    metadata,
    Column("series_instance_uid", _UID, primary_key=True),
    Column("study_instance_uid", _UID, nullable=False),
    Column("instance_count", Integer, nullable=False),
    Column("conflict_count", Integer, nullable=False),
    # Instances that the last verdict (job or rejection) knew: fewer than instance_count means that the series is open.
    Column("judged_count", Integer, nullable=False),
    Column("is_open", Boolean, nullable=False),
    Column("first_received_at", UtcDateTime, nullable=False),
    Column("last_received_at", UtcDateTime, nullable=False),
    Index(None, "is_open"),
)

instances = Table(
    "instances",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("sop_instance_uid", _UID, nullable=False),
    Column("sha256", _DIGEST, nullable=False),
    Column("sop_class_uid", _UID, nullable=False),
    Column("series_instance_uid", _UID, ForeignKey("series.series_instance_uid"), nullable=False),
    Column("study_instance_uid", _UID, nullable=False),
    Column("transfer_syntax_uid", _UID, nullable=False),
    Column("path", Text, nullable=False),
    Column("size_bytes", Integer, nullable=False),
    Column("is_conflict", Boolean, nullable=False),
    Column("association_id", Integer, ForeignKey("associations.id"), nullable=False),
    Column("received_at", UtcDateTime, nullable=False),
    UniqueConstraint("sop_instance_uid", "sha256"),
    Index(None, "series_instance_uid", "id"),
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("series_instance_uid", _UID, nullable=False),
    Column("study_instance_uid", _UID, nullable=False),
    Column("instances_digest", _DIGEST, nullable=False),
    Column("instance_count", Integer, nullable=False),
    Column("predecessor_id", Integer, ForeignKey("jobs.id")),
    Column("state", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("max_attempts", Integer, nullable=False),
    Column("due_at", UtcDateTime, nullable=False),
    Column("lease_owner", String(128)),
    Column("lease_expires", UtcDateTime),
    Column("code", String(64)),
    Column("reason", Text),
    Column("measurements", JSON),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    UniqueConstraint("series_instance_uid", "instances_digest"),
    Index(None, "state", "due_at", "id"),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("job_id", Integer, ForeignKey("jobs.id"), nullable=False),
    Column("destination", String(64), nullable=False),
    Column("files", JSON, nullable=False),
    Column("state", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("due_at", UtcDateTime, nullable=False),
    Column("lease_owner", String(128)),
    Column("lease_expires", UtcDateTime),
    Column("reason", Text),
    Column("created_at", UtcDateTime, nullable=False),
    Column("sent_at", UtcDateTime),
    UniqueConstraint("job_id", "destination"),
    Index(None, "state", "due_at", "id"),
)

job_events = Table(
    "job_events",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("job_id", Integer, ForeignKey("jobs.id"), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("what", String(32), nullable=False),
    Column("detail", Text, nullable=False),
    Column("who", String(128)),
    Index(None, "job_id", "id"),
)
