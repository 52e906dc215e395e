"""Which installation is this: an id that is kept in the storage folder.

Several installations may share a database. Host names and process ids do not tell them apart, since two containers may
have the same.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Final

from dicom_node.receive.store import sync_folder

_FILE: Final = "installation"


def installation_id(storage: Path) -> str:
    """The installation's id, made when `storage` has none; the same for all who ask, also at the same time."""
    path = storage / _FILE
    if not path.exists():
        _make(path)
    return path.read_text().strip()


def _make(path: Path) -> None:
    token = secrets.token_hex(8)
    temporary = path.with_name(f".{path.name}.{token}")
    try:
        with temporary.open("w") as file:
            file.write(f"{token}\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            path.hardlink_to(temporary)
        except FileExistsError:  # somebody was quicker
            return
        except OSError:  # a file system without links
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)
