"""Adding a model: the bundle into the store first, then its row, so that a row always has its bundle."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from db.models import ModelTable
from db.records import NewModel
from dicom_node.models.evaluation import read_evaluation
from dicom_node.models.store import ModelStore, Stored
from segmentation.bundle import load_bundle, reference_bundle


@dataclass(frozen=True)
class AddedModel:
    """The outcome of adding a bundle.

    Attributes:
        is_new: it had no row yet.
        stored: the outcome for its files.
        evaluated: an evaluation was recorded with it.
    """

    digest: str
    is_new: bool
    stored: Stored
    evaluated: bool

    @property
    def words(self) -> str:
        """One sentence."""
        done = "registered" if self.is_new else "was registered already"
        files = {
            Stored.COPIED: "its files were copied into the model store",
            Stored.THERE: "its files were in the model store already, whole",
            Stored.REPAIRED: "its files in the model store were damaged, and have been replaced",
        }[self.stored]
        return f"{done}; {files}" + ("; its evaluation was recorded" if self.evaluated else "")


def add_model(folder: Path, evaluation: Path | None, store: ModelStore, table: ModelTable, by: str) -> AddedModel:
    """Check a bundle, copy it into the store, and register it. Running it twice, or after a kill, is harmless.

    Args:
        folder: of the bundle.
        evaluation: evaluation.json about it.
        by: who, for the audit.

    Raises:
        BadBundle: the folder holds no whole bundle; nothing is changed.
        BadEvaluation, ModelError: the evaluation is none, or another model's; nothing is changed.
    """
    document = None if evaluation is None else read_evaluation(evaluation, load_bundle(folder).identity)
    stored = store.add(folder)
    identity = stored.bundle.identity
    new = NewModel(identity.digest, identity.name, identity.version, stored.size_bytes)
    is_new = table.add(new, by, document)
    return AddedModel(identity.digest, is_new, stored.stored, document is not None)


def register_shipped(store: ModelStore, table: ModelTable, candidate: str, by: str) -> str | None:
    """Register the shipped model as the one that was live until the first promotion, so that a rollback leads to it.

    Args:
        candidate: digest of the model that is about to be promoted.
        by: who, for the audit.

    Returns:
        The shipped model's digest; None when it is the candidate itself.

    Raises:
        BadBundle: the installation's own bundle is damaged.
        LiveModelChanged: another promotion came first.
    """
    if load_bundle(reference_bundle()).identity.digest == candidate:
        return None
    digest = add_model(reference_bundle(), None, store, table, by).digest
    table.promote(digest, by, None, reason="the shipped model, in use before the first promotion")
    return digest
