"""The digest that names exactly which instances a result was computed from."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable


def instances_digest(instances: Iterable[tuple[str, str]]) -> str:
    """Digest of a set of instances, whatever their order and however often each arrived.

    Args:
        instances: pairs (SOPInstanceUID, sha256 as lower-case hex): of the file's bytes where it names a job, of the
            data set's where it names what a result was computed from.

    Returns:
        sha256 as lower-case hex over the sorted, distinct lines "<uid> <sha256>\n".
    """
    lines = sorted({f"{uid} {sha256}\n" for uid, sha256 in instances})
    return hashlib.sha256("".join(lines).encode()).hexdigest()
