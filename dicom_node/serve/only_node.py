"""One node on a storage folder: two would take each other's unfinished files for their own leftovers.

And one storage folder that receives beside an object store: what is not in its own folder, a second one would take for
damaged, and share jobs without their images.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from dicom_node.node.errors import ConfigurationError, StorageTrouble
from dicom_node.node.logger import get_logger
from dicom_node.node.objects.opening import shared_storage_of
from dicom_node.node.objects.shared import SharedStorage
from dicom_node.node.settings import Settings
from dicom_node.receive.installation import FILE, installation_id

log = get_logger()

_FILE: Final = "serve.lock"
_ONLY_ANALYSES: Final = ("work", "deliver")


@contextlib.contextmanager
def only_node(storage: Path) -> Iterator[None]:
    """Hold the storage for this node while the block lasts. The kernel lets go when the process ends, however it does.

    Raises:
        ConfigurationError: another node serves this storage; says which.
    """
    path = storage / _FILE
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    with os.fdopen(descriptor, "r+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = lock.read().strip() or "another process"
            raise ConfigurationError(
                f"another node serves STORAGE {storage} ({holder}): stop it, or give this one its own folder"
            ) from error
        lock.truncate(0)
        lock.write(f"process {os.getpid()} on {socket.gethostname()}\n")
        lock.flush()
        yield


def require_role_here(role: str, settings: Settings) -> None:
    """At a role's start on a machine that only analyses: refuse what would keep received files among its copies.

    Raises:
        ConfigurationError: says what to do.
    """
    if settings.holds_copies and role not in _ONLY_ANALYSES:
        raise ConfigurationError(
            f"WORK=analyse with OBJECT_STORE makes this a machine that only analyses, whose files go after a day: "
            f"expected `wmh-node work`, got `wmh-node {role}`. Start that here, or leave WORK=analyse out on the "
            "machine that receives"
        )


def require_only_receiver(settings: Settings) -> None:
    """At a role's start, beside an object store: refuse a second STORAGE that receives. While the store is away the
    role starts, and sharing asks again.

    Raises:
        ConfigurationError: says what to do.
    """
    shared = None if settings.holds_copies else shared_storage_of(settings)
    if shared is None:
        return
    try:
        claim_receiving(settings.storage.absolute(), shared)
    except StorageTrouble as error:
        log.warning("it is not known yet whether another machine receives", trouble=str(error))


def claim_receiving(storage: Path, shared: SharedStorage) -> None:
    """Make this the STORAGE that receives, unless another one is.

    Raises:
        ConfigurationError: another one is.
        StorageTrouble: the object store does not answer.
    """
    words = receives_elsewhere(storage, shared)
    if words is None:
        was_here = (storage / FILE).exists()
        installation_id(storage)
        if shared.claims(FILE):
            return
        if not was_here:  # another machine was quicker; this folder may become one for copies
            (storage / FILE).unlink(missing_ok=True)
        words = _elsewhere(storage)
    raise ConfigurationError(words)


def receives_elsewhere(storage: Path, shared: SharedStorage) -> str | None:
    """What is wrong, where another STORAGE receives beside this object store; None where none is known.

    Raises:
        StorageTrouble: the object store does not answer.
    """
    if not shared.has(FILE) or ((storage / FILE).exists() and shared.claims(FILE)):
        return None
    return _elsewhere(storage)


def _elsewhere(storage: Path) -> str:
    return (
        f"another machine receives beside this OBJECT_STORE: expected its object {FILE!r} to be that of STORAGE "
        f"{storage}, got another. One machine receives: on the others set WORK=analyse and run `wmh-node work`, or "
        "give this node a database and an OBJECT_STORE of its own. If that machine is gone for good and this one takes "
        f"its place, remove the object {FILE!r} from the store and start again"
    )
