"""Which installation is this: an id that is kept in the storage folder.

Several installations may share a database. Host names and process ids do not distinguish them, because two containers
may have the same.
"""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Final

from dicom_node.node.files import make_once

FILE: Final = "installation"


def installation_id(storage: Path) -> str:
    """The installation's id, made when `storage` has none; the same for all who ask, also at the same time."""
    path = storage / FILE
    if not path.exists():
        make_once(path, f"{secrets.token_hex(8)}\n".encode())
    return path.read_text().strip()
