"""Presentation contexts that we reject, in the administrator's words, and said once for each peer."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from dicom_node.node.storage_classes import STORAGE_CLASSES
from dicom_node.node.upper_layer.associate import ContextResult

_REMEMBERED: Final = 256

# What scanners and PACSs ask for beside storage (PS3.6 table A-1).
_SERVICES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "1.2.840.10008.1.40": "Procedural Event Logging",
        "1.2.840.10008.1.42": "Substance Administration Logging",
        "1.2.840.10008.3.1.2.3.3": "Modality Performed Procedure Step",
        "1.2.840.10008.3.1.2.3.4": "Modality Performed Procedure Step Retrieve",
        "1.2.840.10008.3.1.2.3.5": "Modality Performed Procedure Step Notification",
        "1.2.840.10008.5.1.1.9": "Basic Grayscale Print Management",
        "1.2.840.10008.5.1.1.18": "Basic Color Print Management",
        "1.2.840.10008.5.1.4.1.2.1.1": "Patient Root Query (C-FIND)",
        "1.2.840.10008.5.1.4.1.2.1.2": "Patient Root Retrieve (C-MOVE)",
        "1.2.840.10008.5.1.4.1.2.1.3": "Patient Root Retrieve (C-GET)",
        "1.2.840.10008.5.1.4.1.2.2.1": "Study Root Query (C-FIND)",
        "1.2.840.10008.5.1.4.1.2.2.2": "Study Root Retrieve (C-MOVE)",
        "1.2.840.10008.5.1.4.1.2.2.3": "Study Root Retrieve (C-GET)",
        "1.2.840.10008.5.1.4.31": "Modality Worklist (C-FIND)",
        "1.2.840.10008.5.1.4.33": "Instance Availability Notification",
        "1.2.840.10008.5.1.4.34.6.1": "Unified Procedure Step",
    }
)


def words_of_rejected(result: ContextResult) -> str:
    """What was asked for: the service or the objects with the UID; of a class that we take, the transfer syntax too."""
    uid = result.abstract_syntax
    if (known := STORAGE_CLASSES.get(uid)) is not None:
        return f"{known.called} ({uid}) in transfer syntax {result.transfer_syntax}"
    return f"{_SERVICES[uid]} ({uid})" if uid in _SERVICES else uid


class RejectedContexts:
    """Remembers what was said of which peer; a PACS that asks with every association fills no log."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._said: OrderedDict[tuple[str, str, tuple[str, ...]], None] = OrderedDict()

    def is_new(self, calling_ae_title: str, address: str, rejected: Sequence[str]) -> bool:
        """Whether this peer was not rejected just these before, as far as is remembered."""
        key = calling_ae_title, address, tuple(rejected)
        with self._lock:
            if key in self._said:
                self._said.move_to_end(key)
                return False
            self._said[key] = None
            if len(self._said) > _REMEMBERED:
                self._said.popitem(last=False)
            return True
