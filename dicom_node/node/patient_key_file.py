"""The key of patients' hashes: a file in STORAGE, the same on all machines of a node."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Final

from dicom_node.node.errors import ConfigurationError, StorageTrouble
from dicom_node.node.files import make_folder, make_once
from dicom_node.node.objects.shared import SharedStorage

FILE: Final = "patient.key"
_BYTES: Final = 32
_MODE: Final = 0o600


def open_key(storage: Path, shared: SharedStorage | None = None, *, makes: bool = True) -> bytes:
    """The key; made, readable by the owner only, when there is none.

    When the key is lost, a new one is made: earlier results are then no longer found.

    Args:
        storage: where the key is.
        shared: with other machines, which have the same key; None: there are none.
        makes: False on a machine that only analyses: the key of the machine that receives knows the earlier scans.

    Raises:
        ConfigurationError: the key is not what this program wrote, or not that of the other machines.
        StorageTrouble: the object store does not answer, or has no key yet.
    """
    path = storage / FILE
    was_here = path.exists()
    if not was_here:
        make_folder(path.parent)
        if shared is None or not shared.fetch_once(FILE, _MODE):
            if not makes:
                raise StorageTrouble(
                    f"the object store has no {FILE} yet: does `deliver` run on the machine that receives?"
                )
            make_once(path, secrets.token_bytes(_BYTES), _MODE)
    if shared is not None:
        shared.share_once(FILE, was_here=was_here)
    key = path.read_bytes()
    if len(key) != _BYTES:
        raise ConfigurationError(
            f"expected {_BYTES} bytes in {path}, got {len(key)}: it is damaged. Restore it from a backup, or "
            "remove it: later results are then not compared with results from before"
        )
    return key
