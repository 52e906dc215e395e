"""Which model is used: the `MODEL` setting, else the live model of the registry, else the shipped reference bundle."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path

from db.engine import open_database
from db.engine.schema_version import check
from db.errors import DatabaseError
from db.models import ModelTable
from dicom_node.models.store import MODELS, ModelStore
from dicom_node.node.errors import ModelError
from dicom_node.node.settings import Settings
from segmentation.bundle import ModelBundle, ModelIdentity, load_bundle, reference_bundle
from segmentation.ensemble import Ensemble, open_ensemble
from segmentation.errors import BadBundle
from segmentation.runtimes.choose import RuntimeChoice


class Origin(StrEnum):
    """Why a model is the one that is used."""

    PINNED = "pinned by the setting MODEL"
    LIVE = "live in the registry"
    SHIPPED = "shipped reference"
    REGISTERED = "registered"


@dataclass(frozen=True)
class ModelChoice:
    """A model to use, not loaded yet.

    Attributes:
        digest: of a model in the store, live or only registered; None for the others, whose folder says it.
    """

    origin: Origin
    folder: Path
    digest: str | None = None

    def __str__(self) -> str:
        return f"the model that is {self.origin}" if self.origin is not Origin.SHIPPED else f"the {self.origin} model"

    def load(self) -> ModelBundle:
        """Read and check its bundle.

        Raises:
            BadBundle: with what is wrong, and what to do about it.
        """
        if self.digest is None:
            return load_bundle(self.folder)
        try:
            return ModelStore(self.folder.parent).load(self.digest)
        except BadBundle as error:
            if self.origin is not Origin.LIVE:
                raise  # a rollback would remove the live model, and repair nothing
            raise BadBundle(f"{error}; or `wmh-node models rollback` makes the model before it live again") from error

    def open(self, runtime: RuntimeChoice, threads: int | None = None) -> Ensemble:
        """Load it and compile it for this machine.

        Args:
            runtime: see `open_ensemble`.
            threads: CPU threads for inference; None: every core.

        Raises:
            BadBundle, RuntimeUnavailable: see `segmentation`.
        """
        return open_ensemble(self.load(), runtime, threads)


def store_of(settings: Settings) -> ModelStore:
    """The model store of this installation."""
    return ModelStore(settings.storage.absolute() / MODELS)


def registry_choice(settings: Settings, live_digest: str | None) -> ModelChoice:
    """What the registry says, whatever `MODEL` is: the live model, or the shipped one before anything was promoted."""
    if live_digest is None:
        return ModelChoice(Origin.SHIPPED, reference_bundle())
    return ModelChoice(Origin.LIVE, store_of(settings).folder_of(live_digest), live_digest)


@cache
def shipped_identity() -> ModelIdentity:
    """The reference bundle of this installation, which does not change while a process runs.

    Raises:
        BadBundle: it is damaged.
    """
    return load_bundle(reference_bundle()).identity


def shipped_digest() -> str:
    """Its digest; raises as `shipped_identity`."""
    return shipped_identity().digest


def registered_choice(settings: Settings, digest: str) -> ModelChoice:
    """A model of the store, live or not: for example a candidate for promotion."""
    return ModelChoice(Origin.REGISTERED, store_of(settings).folder_of(digest), digest)


def pinned_choice(settings: Settings) -> ModelChoice | None:
    """The bundle that `MODEL` names; None when it is not set."""
    return None if settings.model is None else ModelChoice(Origin.PINNED, settings.model)


def choose_model(settings: Settings) -> ModelChoice:
    """Which model to use, by the rule above. Without a database there is no registry, and none is made.

    Raises:
        ModelError: the database does not give the live model.
    """
    return pinned_choice(settings) or registry_choice(settings, _live_digest(settings.database_url))


def open_model(settings: Settings) -> Ensemble:
    """The model to use, compiled for this machine.

    Raises:
        ModelError: see `choose_model`.
        BadBundle, RuntimeUnavailable: see `segmentation`.
    """
    return choose_model(settings).open(settings.runtime, settings.threads)


def _live_digest(database_url: str) -> str | None:
    """A promoted model must not be ignored silently because the database is unavailable."""
    try:
        if check(database_url).current is None:
            return None
        with closing(open_database(database_url)) as database:
            return ModelTable(database).live_digest()
    except DatabaseError as error:
        raise ModelError(
            f"the live model is unknown: {error}. To work without the database, name a bundle: --model FOLDER "
            "where the command takes it, or the setting WMH_NODE_MODEL"
        ) from error
