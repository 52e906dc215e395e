"""Which instances of a series are analysed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

from db.records import StoredInstance
from dicom_node.node.errors import UnreadableObject
from dicom_node.series.dicom.digest import instances_digest
from dicom_node.series.dicom.parsing import file_sha256, read_header
from dicom_node.series.dicom.soundness import is_sound
from dicom_node.series.read.patients import names_another


def analysed_instances(instances: Iterable[StoredInstance], storage: Path) -> list[StoredInstance]:
    """One file for each SOPInstanceUID of the series: the first to arrive that can be read, else the first; and of
    files that name another patient the last, which is a correction.

    So a resend that a PACS has touched gives no second analysis of the same pixels, and a file that came damaged, or
    was damaged since, is replaced by the one that was sent in its place. Files are opened only where one UID came with
    different bytes.

    Args:
        instances: of one series, in order of arrival.
        storage: where their paths start.
    """
    by_uid: dict[str, list[StoredInstance]] = {}
    for instance in instances:
        by_uid.setdefault(instance.sop_instance_uid, []).append(instance)
    return [_one_of(files, storage) for files in by_uid.values()]


def first_instances(instances: Iterable[StoredInstance]) -> list[StoredInstance]:
    """The first file of each SOPInstanceUID, whatever is in it."""
    return [instance for instance in instances if not instance.is_conflict]


def digest_of(analysed: Iterable[StoredInstance]) -> str:
    """The digest that names a job's input; see `dicom_node.series.dicom.digest`.

    A file that came back after a correction has the bytes of an earlier job, and is another state of its series.
    """
    return instances_digest((instance.sop_instance_uid, _state_of(instance)) for instance in analysed)


def _state_of(instance: StoredInstance) -> str:
    return f"{instance.sha256} again {instance.ordinal}" if instance.is_return else instance.sha256


def damaged_instances(instances: Iterable[StoredInstance], storage: Path) -> list[StoredInstance]:
    """Those whose file is not what was received any more, or is gone; every file is read."""
    return [instance for instance in instances if not _is_as_received(instance, storage)]


def corrected_from(
    instances: Iterable[StoredInstance], analysed: Iterable[StoredInstance], storage: Path
) -> int | None:
    """The ordinal from which on the series belongs to another patient than before; None when it was not corrected.

    Args:
        instances: of one series, in order of arrival.
        analysed: what `analysed_instances` chose among them.
        storage: where their paths start.
    """
    earlier: dict[str, list[StoredInstance]] = {}
    for instance in instances:
        earlier.setdefault(instance.sop_instance_uid, []).append(instance)
    ordinals = [
        chosen.ordinal
        for chosen in analysed
        if chosen.is_conflict
        and any(_is_corrected_by(before, chosen, storage) for before in earlier[chosen.sop_instance_uid])
    ]
    return min(ordinals, default=None)


def _is_corrected_by(before: StoredInstance, later: StoredInstance, storage: Path) -> bool:
    if before.ordinal >= later.ordinal or before.sha256 == later.sha256:
        return False
    try:
        return names_another(read_header(storage / before.path), read_header(storage / later.path))
    except UnreadableObject:
        return False  # the earlier one is damaged, and is replaced for that


def rows_to_json(instances: Iterable[StoredInstance]) -> str:
    """Instances as one line of text, for a child."""
    return json.dumps([{**asdict(instance), "received_at": instance.received_at.isoformat()} for instance in instances])


def rows_from_json(text: str) -> list[StoredInstance]:
    """What `rows_to_json` wrote."""
    rows = json.loads(text)
    return [StoredInstance(**{**row, "received_at": datetime.fromisoformat(row["received_at"])}) for row in rows]


def _one_of(files: Sequence[StoredInstance], storage: Path) -> StoredInstance:
    if len(files) == 1:
        return files[0]
    sound = [instance for instance in files if _is_as_received(instance, storage) and is_sound(storage / instance.path)]
    if not sound:
        return files[0]
    chosen = sound[0]
    for later in sound[1:]:
        if names_another(read_header(storage / chosen.path), read_header(storage / later.path)):
            chosen = later
    return chosen


def _is_as_received(instance: StoredInstance, storage: Path) -> bool:
    try:
        return file_sha256(storage / instance.path) == instance.sha256
    except UnreadableObject:
        return False
