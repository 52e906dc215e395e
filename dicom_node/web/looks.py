"""Each look at a patient's images is in the audit: by whatever address, once for a person and job in a while."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from db.audit import record_action
from db.engine import Database
from db.records import Job
from dicom_node.node.clock import steady

# Somebody who pages through the slices of one job looks at it once; who comes back later looks again.
SAME_LOOK_SECONDS: Final = 600.0
_MOST_KEPT: Final = 10_000


class Looks:
    """Notes looks. Safe to use from several threads."""

    def __init__(self, database: Database, still: Callable[[], float] = steady) -> None:
        self._database = database
        self._still = still
        self._lock = threading.Lock()
        self._noted: dict[tuple[str, int], float] = {}

    def note(self, who: str, job: Job) -> None:
        """Somebody gets images of a job; the entry is committed when this returns, before they get them."""
        now = self._still()
        with self._lock:
            noted = self._noted.get((who, job.id))
            if noted is not None and now - noted < SAME_LOOK_SECONDS:
                return
            studies = [] if job.study_instance_uid is None else [job.study_instance_uid]
            with self._database.write() as connection:
                at = self._database.clock()
                record_action(connection, at, who, "look at images", job.id, "", {"studies": studies})
            if len(self._noted) >= _MOST_KEPT:
                self._noted.clear()
            self._noted[who, job.id] = now
