"""What a series without MR images is, in a technologist's terms."""

from __future__ import annotations

from collections.abc import Iterable

from dicom_node.node.storage_classes import STORAGE_CLASSES


def not_mr_images(sop_classes: Iterable[str]) -> str:
    """The reason why a series of other objects is not analysed; names each kind once."""
    called = sorted({STORAGE_CLASSES[uid].called if uid in STORAGE_CLASSES else "other objects" for uid in sop_classes})
    return f"These are not MR images ({', '.join(called)}); the node analyses brain FLAIR only."
