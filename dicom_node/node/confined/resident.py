"""Resident memory of a process and its descendants, from Linux' /proc (proc(5))."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from dicom_node.node.confined.family import family

_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")


def resident_bytes(process_id: int) -> int:
    """Bytes that a process and its descendants hold in memory; 0 when it has ended."""
    return sum(map(_held_by, family(process_id)))


def _held_by(process_id: int) -> int:
    try:
        return int(Path(f"/proc/{process_id}/statm").read_text().split()[1]) * _PAGE_BYTES
    except (OSError, IndexError):
        return 0
