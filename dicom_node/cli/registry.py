"""What the commands about models share: the registry's tables, opened and closed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from db.engine import open_database
from db.engine.migrate import upgrade
from db.engine.schema_version import check
from db.errors import SchemaOutOfDate
from db.models import ModelTable
from dicom_node.cli.context import err, exit_codes, settings_or_exit
from dicom_node.cli.jobs import no_database
from dicom_node.models.choice import store_of
from dicom_node.models.store import ModelStore
from dicom_node.node.files import make_folder
from dicom_node.node.settings import Settings


@dataclass(frozen=True)
class Registry:
    """The registry of this installation."""

    settings: Settings
    table: ModelTable
    store: ModelStore

    def warn_if_pinned(self) -> None:
        """Say that `MODEL` wins over the registry, when it does."""
        if self.settings.model is not None:
            err.print(
                f"The setting MODEL names {self.settings.model} and wins over the live model: a worker with these "
                "settings does not change its model until MODEL is unset and the worker is restarted.",
                markup=False,
            )


@contextmanager
def open_registry(config: Path | None, *, make: bool = False) -> Iterator[Registry]:
    """The registry, and errors turned into exit codes.

    Args:
        config: TOML file with settings.
        make: make or upgrade an SQLite database on the way, as `serve` does; a question must not make one.
    """
    settings = settings_or_exit(config)
    with exit_codes(), closing(open_database(settings.database_url)) as database:
        if make:
            make_folder(settings.storage)
        _require_current(settings.database_url, make=make)
        yield Registry(settings, ModelTable(database), store_of(settings))


def _require_current(url: str, *, make: bool) -> None:
    status = upgrade(url) if make and url.startswith("sqlite") else check(url)
    if status.current is None:
        raise no_database(url, status)
    if not status.is_current:
        raise SchemaOutOfDate(f"the database's schema is not current ({status}): run `wmh-node db upgrade`")
