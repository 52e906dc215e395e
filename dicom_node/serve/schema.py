"""The database's schema, at the start of a role."""

from __future__ import annotations

from db.engine.migrate import upgrade
from db.engine.schema_version import check
from dicom_node.node.errors import ConfigurationError


def prepare_database(url: str) -> None:
    """Upgrade SQLite on the way; another database is shared, so its administrator decides when.

    Raises:
        ConfigurationError: the schema is not what this version needs.
    """
    if url.startswith("sqlite"):
        upgrade(url)
    require_current(url)


def require_current(url: str) -> None:
    """Refuse to start on a schema that this version does not know.

    Raises:
        ConfigurationError: says what to run.
    """
    status = check(url)
    if not status.is_current:
        raise ConfigurationError(f"the database's schema is not current ({status}): {status.remedy}")
