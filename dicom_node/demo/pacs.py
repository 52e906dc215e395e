"""A stand-in PACS: a small storage SCP that keeps what it gets in a folder, for the demo on one machine."""

from __future__ import annotations

import threading
from pathlib import Path
from types import TracebackType
from typing import Any

from pynetdicom import AE, AllStoragePresentationContexts, evt
from pynetdicom.sop_class import Verification

_SUCCESS = 0x0000
_OUT_OF_RESOURCES = 0xA700


class StandInPacs:
    """Runs in a thread while the block lasts.

    Args:
        folder: where objects go, `<SOPInstanceUID>.dcm`.
        ae_title, port: where it listens, on the loopback address only.
    """

    def __init__(self, folder: Path, ae_title: str, port: int) -> None:
        self._folder = folder
        self._ae_title = ae_title
        self._port = port
        self._server: Any = None
        self._lock = threading.Lock()
        self._kept: dict[str, Path] = {}

    def __enter__(self) -> StandInPacs:
        self._folder.mkdir(parents=True, exist_ok=True)
        ae = AE(ae_title=self._ae_title)
        ae.supported_contexts = AllStoragePresentationContexts
        ae.add_supported_context(Verification)
        self._server = ae.start_server(
            ("127.0.0.1", self._port), block=False, evt_handlers=[(evt.EVT_C_STORE, self._keep)]
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()

    def instance(self, sop_instance_uid: str) -> bytes | None:
        """The file of an instance that arrived, or None."""
        with self._lock:
            path = self._kept.get(sop_instance_uid)
        return None if path is None else path.read_bytes()

    def _keep(self, event: evt.Event) -> int:
        uid = str(event.request.AffectedSOPInstanceUID)
        path = self._folder / f"{uid}.dcm"
        try:
            path.write_bytes(event.encoded_dataset())
        except OSError:
            return _OUT_OF_RESOURCES
        with self._lock:
            self._kept[uid] = path
        return _SUCCESS
