"""Ends of associations that could not be recorded when they happened: the database was away for a moment.

Without its end an association counts as open until the receiver's next start, and holds its series back for minutes.
So an end is kept and recorded as soon as the database answers, or at the next start: see `EndNotes`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from db.records import AssociationEnd
from dicom_node.node.logger import get_logger
from dicom_node.receive.end_notes import EndNotes

_LOG = get_logger()

_FIRST_SECONDS: Final = 0.5
_LONGEST_SECONDS: Final = 5.0


class PendingEnds:
    """Records them in a thread of its own, which runs only while there are any.

    Args:
        record: writes one end; raises while the database is away.
        notes: what the next start reads.
    """

    def __init__(self, record: Callable[[int, AssociationEnd], None], notes: EndNotes) -> None:
        self._record = record
        self._notes = notes
        self._lock = threading.Lock()
        self._pending: dict[int, AssociationEnd] = {}
        self._thread: threading.Thread | None = None
        self._closing = threading.Event()

    def end(self, association_id: int, end: AssociationEnd) -> None:
        """Record an end now, or keep it until it is recorded.

        Raises:
            Exception: the database is away.
        """
        self._notes.write(association_id, end)
        try:
            self._record(association_id, end)
        except Exception:
            self._notes.flush()
            self._keep(association_id, end)
            raise
        self._notes.remove(association_id, end)

    def _keep(self, association_id: int, end: AssociationEnd) -> None:
        with self._lock:
            self._pending[association_id] = end
            if self._thread is None and not self._closing.is_set():
                self._thread = threading.Thread(target=self._run, name="association ends", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """Try once more, and leave what cannot be recorded to the next start."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join(_LONGEST_SECONDS)
        self._try_all()

    def _run(self) -> None:
        wait = _FIRST_SECONDS
        while not self._closing.wait(wait):
            wait = _FIRST_SECONDS if self._try_all() else min(2 * wait, _LONGEST_SECONDS)
            with self._lock:
                if not self._pending:
                    self._thread = None
                    return

    def _try_all(self) -> bool:
        """Record what is there; whether all of it was."""
        with self._lock:
            waiting = dict(self._pending)
        for association_id, end in waiting.items():
            try:
                self._record(association_id, end)
            except Exception:  # the edge towards the database: it is asked again
                return False
            self._notes.remove(association_id, end)
            with self._lock:
                self._pending.pop(association_id, None)
        if waiting:
            _LOG.info("ends of associations recorded late", count=len(waiting))
        return True
