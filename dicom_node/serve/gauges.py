"""Gauges read from the tables and the disk at each scrape, so that every replica of a node says the same."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from db.errors import DatabaseError
from db.records import DeliveryState, Overview, RunningRole
from dicom_node.node.errors import ConfigurationError
from dicom_node.node.settings import Settings
from dicom_node.node.tls import inspect
from dicom_node.node.version import SOFTWARE_VERSION

# Folders of STORAGE whose sizes are reported separately. Walking them takes a while, so it is done now and then.
_KINDS: Final = ("inbox", "outbox", "models", "feedback")
_WALK_EVERY_SECONDS: Final = 600.0

Read = Callable[[], tuple[Overview, list[RunningRole]]]


class NodeGauges(Collector):
    """What /metrics says besides what the processes count.

    Args:
        settings: the node's.
        read: asks the tables; when it cannot, their gauges are left out of this scrape.
        clock: seconds that only grow.
    """

    def __init__(self, settings: Settings, read: Read, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._read = read
        self._clock = clock
        self._sizes: dict[str, int] = {}
        self._walked_at: float | None = None

    def collect(self) -> Iterator[Metric]:
        """All gauges, see docs/administrator/operate.md."""
        yield _family("wmh_build_info", "This version.", ["version"], [([SOFTWARE_VERSION], 1)])
        yield from self._disk()
        yield from self._certificate()
        try:
            overview, roles = self._read()
        except DatabaseError:
            return
        yield from _jobs(overview)
        yield from _deliveries(overview)
        yield from _roles(roles)
        if overview.last_backup_at is not None:
            name = "wmh_last_backup_timestamp_seconds"
            yield _family(name, "When the last backup was finished.", [], [([], overview.last_backup_at.timestamp())])

    def _disk(self) -> Iterator[Metric]:
        try:
            found = os.statvfs(self._settings.storage)
        except OSError:
            return
        free = found.f_bavail * found.f_frsize
        yield _family("wmh_storage_free_bytes", "Free bytes where STORAGE is.", [], [([], free)])
        now = self._clock()
        if self._walked_at is None or now - self._walked_at >= _WALK_EVERY_SECONDS:
            self._walked_at = now
            self._sizes = {kind: _size(self._settings.storage / kind) for kind in _KINDS}
        rows = [([kind], size) for kind, size in self._sizes.items()]
        yield _family("wmh_storage_bytes", "Bytes of the files of each kind.", ["kind"], rows)

    def _certificate(self) -> Iterator[Metric]:
        files = self._settings.tls_files if self._settings.dicom_tls_port else None
        if files is None or files.certificate is None:
            return
        try:
            days = inspect(files, as_server=True).days_left()
        except ConfigurationError:
            return
        rows = [([files.certificate.name], time.time() + days * 86_400)]
        yield _family("wmh_certificate_expiry_timestamp_seconds", "When a certificate ends.", ["file"], rows)


def _jobs(found: Overview) -> Iterator[Metric]:
    counts = [([str(job.state)], job.count) for job in found.jobs]
    yield _family("wmh_jobs", "Jobs by state.", ["state"], counts)
    ages = [([str(job.state)], _age(found, job.oldest_at)) for job in found.jobs if not job.state.has_ended]
    yield _family("wmh_oldest_job_age_seconds", "Age of the oldest job in a state that goes on.", ["state"], ages)


def _deliveries(found: Overview) -> Iterator[Metric]:
    labels = ["destination", "state"]
    counts = [([delivery.destination, str(delivery.state)], delivery.count) for delivery in found.deliveries]
    yield _family("wmh_deliveries", "Deliveries by destination and state.", labels, counts)
    ages = [
        ([delivery.destination], _age(found, delivery.oldest_at))
        for delivery in found.deliveries
        if delivery.state is DeliveryState.PENDING
    ]
    yield _family("wmh_oldest_delivery_age_seconds", "Age of the oldest delivery that waits.", ["destination"], ages)


def _roles(roles: list[RunningRole]) -> Iterator[Metric]:
    beats = [([role.id], role.seen_at.timestamp()) for role in roles]
    name = "wmh_worker_last_heartbeat_timestamp_seconds"
    yield _family(name, "Last heartbeat of each role that runs.", ["worker"], beats)
    digests = sorted({role.model_digest for role in roles if role.model_digest})
    yield _family("wmh_model_info", "Models that workers hold.", ["digest"], [([digest], 1) for digest in digests])


def _family(name: str, words: str, labels: list[str], rows: Sequence[tuple[list[str], float]]) -> Metric:
    family = GaugeMetricFamily(name, words, labels=labels)
    for values, number in rows:
        family.add_metric(values, number)
    return family


def _age(found: Overview, at: datetime) -> float:
    return max(0.0, (found.at - at).total_seconds())


def _size(folder: Path) -> int:
    total = 0
    for parent, _folders, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(parent, name)).st_size  # noqa: PTH118 - twice as fast as Path
            except OSError:
                continue  # gone meanwhile
    return total
