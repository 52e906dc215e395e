"""The audit trail to a repository, and old entries of it to files, beside the deliveries."""

from __future__ import annotations

import threading
from typing import Final

from db.audit_exports import AuditExportTable
from db.engine import Database
from db.errors import IllegalTransition
from dicom_node.node.clock import clock_watch
from dicom_node.node.errors import StorageTrouble
from dicom_node.node.liveness import Liveness
from dicom_node.node.logger import get_logger
from dicom_node.node.settings import Settings
from dicom_node.serve.loop import run_until_stopped
from dicom_node.upkeep.audit.archive import archive_age, archive_step
from dicom_node.upkeep.audit.export import AuditExporter, Repository

_STEP_SECONDS: Final = 900.0
# As in `upkeep`: not at once after the start, and not right after the clock was set.
_EVERY_SECONDS: Final = 3600.0
_SETTLED_SECONDS: Final = 600.0
_NODE: Final = "the node: KEEP_AUDIT_DAYS"

log = get_logger()


def run_audit_export(settings: Settings, database: Database, stop: threading.Event, liveness: Liveness) -> None:
    """Send entries until `stop` is set; without a repository there is nothing to do."""
    if settings.audit_repository is None:
        return
    exporter = AuditExporter(database, Repository.of(settings), settings.ae_title)
    run_until_stopped(exporter.step, stop, liveness.loop("audit export", _STEP_SECONDS))


def run_audit_archive(settings: Settings, database: Database, stop: threading.Event, liveness: Liveness) -> None:
    """Move old entries to files until `stop` is set; what a repository lacks stays where it is."""
    if (days := settings.keep_audit_days) is None:
        return
    storage, exports = settings.storage.absolute(), AuditExportTable(database)

    def step() -> float:
        if not clock_watch().has_settled(_SETTLED_SECONDS):
            return _SETTLED_SECONDS
        taken = None if settings.audit_repository is None else exports.position(Repository.of(settings).name)
        try:
            count = archive_step(database, storage, archive_age(days, database.clock()), taken, _NODE)
        except (StorageTrouble, IllegalTransition, OSError) as error:
            log.warning("audit trail not archived, it stays in the database", detail=str(error))
            return _EVERY_SECONDS
        return 1.0 if count else _EVERY_SECONDS

    stop.wait(60.0)
    run_until_stopped(step, stop, liveness.loop("audit archive", _STEP_SECONDS + _EVERY_SECONDS))
