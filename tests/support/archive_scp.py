"""An archive that ends the association at requests of some levels, as no real one at hand does on demand."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pydicom
from pynetdicom import AE, evt
from pynetdicom.sop_class import (
    MRImageStorage,
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
)
from support.processes import free_port

PENDING, SUCCESS = 0xFF00, 0x0000


class EndingArchive:
    """Holds files, and gives them by C-MOVE and C-GET.

    Args:
        files: what it holds.
        ends_at: levels of a retrieve at which it ends the association without a word.
        receiver_port: where it sends to.

    Attributes:
        asked: the level of each retrieve.
    """

    def __init__(self, files: Sequence[Path], ends_at: Collection[str], receiver_port: int) -> None:
        self._objects = [pydicom.dcmread(file) for file in files]
        self._ends_at = ends_at
        self._receiver_port = receiver_port
        self.port = free_port()
        self.asked: list[str] = []

    @contextmanager
    def running(self) -> Iterator[None]:
        ae = AE(ae_title="ARCHIVE")
        ae.add_supported_context(StudyRootQueryRetrieveInformationModelFind)
        ae.add_supported_context(StudyRootQueryRetrieveInformationModelMove)
        ae.add_supported_context(StudyRootQueryRetrieveInformationModelGet)
        ae.add_supported_context(MRImageStorage, scu_role=False, scp_role=True)
        ae.add_requested_context(MRImageStorage)
        handlers = [(evt.EVT_C_FIND, self._find), (evt.EVT_C_MOVE, self._move), (evt.EVT_C_GET, self._get)]
        server = ae.start_server(("127.0.0.1", self.port), block=False, evt_handlers=handlers)
        try:
            yield
        finally:
            server.shutdown()

    def _find(self, event: Any) -> Iterator[tuple[int, Any]]:
        for one in self._matching(event.identifier):
            found = pydicom.Dataset()
            for element in event.identifier:
                if element.keyword != "QueryRetrieveLevel":
                    setattr(found, element.keyword, getattr(one, element.keyword))
            yield PENDING, found

    def _move(self, event: Any) -> Iterator[Any]:
        if self._ends(event):
            return
        yield "127.0.0.1", self._receiver_port
        yield from self._sent(event)

    def _get(self, event: Any) -> Iterator[Any]:
        if self._ends(event):
            return
        yield from self._sent(event)

    def _sent(self, event: Any) -> Iterator[Any]:
        found = self._matching(event.identifier)
        yield len(found)
        for one in found:
            yield PENDING, one

    def _ends(self, event: Any) -> bool:
        self.asked.append(event.identifier.QueryRetrieveLevel)
        if self.asked[-1] not in self._ends_at:
            return False
        event.assoc.abort()
        return True

    def _matching(self, identifier: Any) -> list[Any]:
        names = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
        wanted = {name: identifier.get(name) for name in names if identifier.get(name)}
        return [
            one for one in self._objects if all(str(getattr(one, name)) in _values(uid) for name, uid in wanted.items())
        ]


def _values(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else [str(one) for one in value]
