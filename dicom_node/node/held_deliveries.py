"""After a restore nothing is sent until a person has looked: what was sent since the backup would go out again."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from dicom_node.node.files import write_whole

_MARK: Final = "deliveries-held"


def hold_deliveries(storage: Path) -> None:
    """From now on, also after a start, nothing is sent."""
    write_whole(storage / _MARK, b"Restored from a backup. `wmh-node backup release` lets results be sent again.\n")


def deliveries_are_held(storage: Path) -> bool:
    """Whether nothing may be sent."""
    return (storage / _MARK).exists()


def release_deliveries(storage: Path) -> bool:
    """Let results be sent; False when they were not held."""
    try:
        (storage / _MARK).unlink()
    except FileNotFoundError:
        return False
    return True
