"""A storage SCP whose answers a test decides, and a slow sender: for faults that no real peer shows on demand."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pydicom
from pynetdicom import AE, AllStoragePresentationContexts, evt
from pynetdicom.sop_class import EnhancedMRImageStorage, MRImageStorage


class RecordingScp:
    """Keeps what it answered 0x0000 to; use as a context manager.

    Args:
        port: on the loopback address.
        answer: (number of the request from 1, SOP class UID) -> status; None aborts the association.
    """

    def __init__(self, port: int, answer: Callable[[int, str], int | None] = lambda number, sop_class: 0x0000) -> None:
        self.port = port
        self._answer = answer
        self._lock = threading.Lock()
        self.asked = 0
        self.kept: list[bytes] = []

    def __enter__(self) -> RecordingScp:
        ae = AE(ae_title="TESTPACS")
        ae.supported_contexts = AllStoragePresentationContexts
        self._server = ae.start_server(
            ("127.0.0.1", self.port), block=False, evt_handlers=[(evt.EVT_C_STORE, self._store)]
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()

    @property
    def datasets(self) -> list[pydicom.Dataset]:
        """What was kept, in order, duplicates included."""
        with self._lock:
            return [pydicom.dcmread(io.BytesIO(entry)) for entry in self.kept]

    def of_modality(self, modality: str) -> list[pydicom.Dataset]:
        """What was kept of one modality."""
        return [dataset for dataset in self.datasets if dataset.Modality == modality]

    def _store(self, event: Any) -> int:
        with self._lock:
            self.asked += 1
            status = self._answer(self.asked, str(event.request.AffectedSOPClassUID))
            if status == 0x0000:
                self.kept.append(event.encoded_dataset())
        if status is None:
            event.assoc.abort()
        return 0xC001 if status is None else status  # after an abort nothing is sent


def send_slowly(
    files: Sequence[Path],
    port: int,
    *,
    pause_seconds: float,
    after_each: Callable[[int], None] = lambda number: None,
) -> list[int | None]:
    """Send one file after the other in one association; one status per file, None when no answer came."""
    ae = AE(ae_title="SLOWSCU")
    ae.add_requested_context(MRImageStorage)
    ae.add_requested_context(EnhancedMRImageStorage)
    ae.dimse_timeout = 10
    association = ae.associate("127.0.0.1", port, ae_title="WMHNODE")
    assert association.is_established
    statuses: list[int | None] = []
    for number, file in enumerate(files, start=1):
        try:
            answer = association.send_c_store(pydicom.dcmread(file))
            statuses.append(answer.Status if "Status" in answer else None)
        except RuntimeError:  # pynetdicom: the association is gone
            statuses.append(None)
        after_each(number)
        time.sleep(pause_seconds)
    association.release()
    return statuses
