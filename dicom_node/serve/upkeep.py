"""Upkeep beside the deliveries: no role of its own, since it does little and loads nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from db.engine import Database
from db.retention import RetentionTable
from db.seen_time import SeenTime
from dicom_node.node.clock import clock_watch
from dicom_node.node.errors import StorageTrouble
from dicom_node.node.liveness import Liveness
from dicom_node.node.logger import get_logger
from dicom_node.node.settings import Settings
from dicom_node.node.storage import why_full
from dicom_node.serve.loop import run_until_stopped
from dicom_node.upkeep.disk.purge import BATCH, Purge, purge_of
from dicom_node.upkeep.disk.seen import Witness

log = get_logger()

# The first look comes a while after the start: who finds a wrong setting in the log has time to stop the node.
_EVERY_SECONDS: Final = 60.0
_STEP_SECONDS: Final = 600.0


def run_upkeep(settings: Settings, database: Database, stop: threading.Event, liveness: Liveness) -> None:
    """Remove files by the rules until `stop` is set."""
    if settings.holds_copies:
        return
    if not settings.purge:
        log.info("files are not removed automatically (PURGE=false)")
    purge = purge_of(settings, RetentionTable(database)) if settings.purge else None
    witness = Witness(SeenTime(database), clock_watch())
    stop.wait(_EVERY_SECONDS)
    run_until_stopped(_carefully(purge, witness), stop, liveness.loop("upkeep of the disk", _STEP_SECONDS))


def _carefully(purge: Purge | None, witness: Witness) -> Callable[[], float]:
    """One batch; gives the seconds to wait before the next. Time is written down also where nothing is removed."""

    def step() -> float:
        witness.look()
        if purge is None:
            return _EVERY_SECONDS
        try:
            return 0.1 if purge.step() >= BATCH else _EVERY_SECONDS
        except StorageTrouble as error:
            log.warning("no file is removed now", detail=str(error))
        except OSError as error:
            if (full := why_full(error)) is None:
                raise
            log.warning("no file is removed now", detail=full)
        return _EVERY_SECONDS

    return step
