"""Received instances made up for tests of the database; no file lies behind them."""

from __future__ import annotations

import hashlib

from db.records import ReceivedInstance

_ROOT = "1.2.826.0.1.3680043.10.9999"  # a free root of Medical Connections, used for tests only


def series_uid(number: int | str = 1) -> str:
    """A SeriesInstanceUID."""
    return f"{_ROOT}.1.{number}"


def instance(series: str, number: int, association_id: int, content: str = "first") -> ReceivedInstance:
    """Instance `number` of a series; other `content`, other bytes."""
    uid = f"{series}.{number}"
    sha256 = hashlib.sha256(f"{uid} {content}".encode()).hexdigest()
    return ReceivedInstance(
        sop_instance_uid=uid,
        sop_class_uid="1.2.840.10008.5.1.4.1.1.4",
        series_instance_uid=series,
        study_instance_uid=f"{_ROOT}.2",
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        path=f"inbox/ab/{sha256[:16]}.dcm",
        sha256=sha256,
        size_bytes=133_000,
        association_id=association_id,
    )
