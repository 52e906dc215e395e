"""Which instances of a series are analysed."""

from __future__ import annotations

from collections.abc import Iterable

from db.inbox import StoredInstance
from dicom_node.reading.digest import instances_digest


def analysed_instances(instances: Iterable[StoredInstance]) -> list[StoredInstance]:
    """All but the conflicting ones: where one SOPInstanceUID came with different bytes, the first to arrive counts.

    So a resend that a PACS has touched gives no second analysis of the same pixels.
    """
    return [one for one in instances if not one.is_conflict]


def digest_of(instances: Iterable[StoredInstance]) -> str:
    """The digest that names a job's input; see `dicom_node.reading.digest`."""
    return instances_digest((one.sop_instance_uid, one.sha256) for one in analysed_instances(instances))
