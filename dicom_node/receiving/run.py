"""The receiver as a whole."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dicom_node.settings import Settings


def run_receiver(settings: Settings, stop: threading.Event) -> None:
    """Receive until `stop` is set."""
    raise NotImplementedError
