"""The audit trail to a repository, beside the deliveries."""

from __future__ import annotations

import threading
from typing import Final

from db.engine import Database
from dicom_node.node.liveness import Liveness
from dicom_node.node.settings import Settings
from dicom_node.serve.loop import run_until_stopped
from dicom_node.upkeep.audit.export import AuditExporter, Repository

_STEP_SECONDS: Final = 900.0


def run_audit_export(settings: Settings, database: Database, stop: threading.Event, liveness: Liveness) -> None:
    """Send entries until `stop` is set; without a repository there is nothing to do."""
    if settings.audit_repository is None:
        return
    exporter = AuditExporter(database, Repository.of(settings), settings.ae_title)
    run_until_stopped(exporter.step, stop, liveness.loop("audit export", _STEP_SECONDS))
