"""The live model through the object store: it is added once, on the machine that receives, and serves on all."""

from __future__ import annotations

from pathlib import Path

from db.models import ModelTable
from dicom_node.models.choice import ModelChoice, store_of
from dicom_node.node.objects.shared import SharedStorage
from dicom_node.node.settings import Settings
from segmentation.ensemble import Ensemble


def live_bundle(settings: Settings, models: ModelTable) -> tuple[str, Path] | None:
    """Digest and folder of the live model of the registry, where this machine has it; None otherwise.

    A model that `MODEL` names, and the shipped one, are each machine's own.
    """
    digest = models.live_digest()
    folder = None if digest is None else store_of(settings).folder_of(digest)
    return None if digest is None or folder is None or not folder.is_dir() else (digest, folder)


def open_choice(choice: ModelChoice, settings: Settings, shared: SharedStorage | None) -> Ensemble:
    """Load a model for this machine; a live one that is not here comes from the object store first.

    Raises:
        ObjectStoreTrouble: the store does not answer.
        BadBundle, RuntimeUnavailable: see `ModelChoice.open`.
    """
    if shared is not None and choice.digest is not None and not choice.folder.is_dir():
        with shared.fetched_model(choice.digest) as folder:
            if folder is not None:
                store_of(settings).add(folder)  # under its own digest, so that another model is never taken for it
    return choice.open(settings.runtime, settings.threads)
