"""The six questions as a table: what is asked, which settings the answer gives, and how it is tried."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from db.engine.schema_version import check as check_schema
from dicom_node.cli.config import check_destination
from dicom_node.cli.network_check import network_checks
from dicom_node.node.disk import DiskUse
from dicom_node.node.errors import ConfigurationError, StorageTrouble
from dicom_node.node.files import make_folder, sync_folder
from dicom_node.node.settings import Settings
from dicom_node.serve.ports import require_free

_LISTEN: Final = re.compile(r"^(?:(?P<bind>\[[0-9A-Fa-f:.]+\]|[^:\[\]]+):)?(?P<port>\d{1,5})$")
# A password may hold a slash: SQLAlchemy reads one up to the last `@`.
_PASSWORD: Final = re.compile(r"://[^/@:]*:[^@]+@|[?&]password=", re.IGNORECASE)
_SHOWN_PASSWORD: Final = re.compile(r"(://[^:/@]*):[^@]*@|([?&]password=)[^&]*", re.IGNORECASE)
_GIGABYTE: Final = 1e9


@dataclass(frozen=True)
class Question:
    """One question.

    Attributes:
        name: as its option is called.
        words: what a person reads.
        names: the settings that the answer gives.
        read: from the answer to these settings; ConfigurationError when it has another form.
        show: from these settings to the answer that would give them.
        tries: what is tried with the settings so far; each gives words, or raises one of our errors.
    """

    name: str
    words: str
    names: tuple[str, ...]
    read: Callable[[str], dict[str, Any]]
    show: Callable[[Mapping[str, Any]], str]
    tries: Callable[[Settings], Iterator[Callable[[], str]]]


def _one(name: str) -> Callable[[str], dict[str, Any]]:
    return lambda answer: {name: answer.strip()}


def _many(name: str) -> Callable[[str], dict[str, Any]]:
    return lambda answer: {name: [part for part in (part.strip() for part in answer.split(",")) if part]}


def _read_listen(answer: str) -> dict[str, Any]:
    match = _LISTEN.match(answer.strip())
    if match is None:
        raise ConfigurationError(f"expected PORT or ADDRESS:PORT, got {answer.strip()!r}")
    bind = {} if match["bind"] is None else {"bind": match["bind"].strip("[]")}
    return {**bind, "dicom_port": int(match["port"])}


def _show_listen(values: Mapping[str, Any]) -> str:
    bind = str(values.get("bind", "127.0.0.1"))
    return f"{f'[{bind}]' if ':' in bind else bind}:{values.get('dicom_port', 11112)}"


def _read_database(answer: str) -> dict[str, Any]:
    if _PASSWORD.search(answer):
        # Not the answer itself: it holds the password.
        raise ConfigurationError(
            "expected a URL without a password, which does not belong into the file: use a pgpass file, or the "
            "variable PGPASSWORD; got one with a password"
        )
    return {"database_url": answer.strip()} if answer.strip() not in ("", "sqlite") else {}


def _none(_settings: Settings) -> Iterator[Callable[[], str]]:
    yield from ()


def _try_listen(settings: Settings) -> Iterator[Callable[[], str]]:
    def free() -> str:
        if settings.dicom_port:
            require_free(settings.bind, settings.dicom_port, "choose another port")
        return f"{settings.bind}:{settings.dicom_port} is free"

    yield free


def _try_peers(settings: Settings) -> Iterator[Callable[[], str]]:
    for name, look in network_checks(settings):
        if name.startswith("peer "):
            yield lambda name=name, look=look: f"{name} {look().words}"  # type: ignore[misc]


def _try_destinations(settings: Settings) -> Iterator[Callable[[], str]]:
    for destination in settings.destinations:
        yield partial(check_destination, settings, destination)


def _try_storage(settings: Settings) -> Iterator[Callable[[], str]]:
    yield lambda: _write_and_remove(settings.storage)


def _write_and_remove(storage: Path) -> str:
    """A file of 1 MiB is written, synced, read and removed."""
    probe, content = storage / f".setup-{secrets.token_hex(4)}", os.urandom(1024 * 1024)
    try:
        make_folder(storage)
        with probe.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        sync_folder(storage)
        same = probe.read_bytes() == content
        probe.unlink()
    except OSError as error:
        raise StorageTrouble(
            f"{storage}: {error.strerror}: choose another folder, or give this user the right to write there"
        ) from error
    if not same:
        raise StorageTrouble(f"{storage} gives back other bytes than were written: look at the disk")
    return f"{storage.absolute()} takes files, {DiskUse.of(storage).free_bytes / _GIGABYTE:.0f} GB free"


def _try_database(settings: Settings) -> Iterator[Callable[[], str]]:
    def answers() -> str:
        status = check_schema(settings.database_url)
        if not status.is_known:
            raise ConfigurationError(f"the database: {status}; install that version, or choose another database")
        kind = "SQLite in the storage folder" if settings.database_url.startswith("sqlite") else "PostgreSQL answers"
        return f"{kind}: {status}"

    yield answers


QUESTIONS: Final = (
    Question(
        "ae-title", "AE title of this node", ("ae_title",), _one("ae_title"),
        lambda values: str(values.get("ae_title", "WMHNODE")), _none,
    ),
    Question(
        # Not `bind`: an answer that is a port alone leaves the address as it is.
        "listen", "Address and port to listen on (0.0.0.0: every address)", ("dicom_port",),
        _read_listen, _show_listen, _try_listen,
    ),
    Question(
        "peers", "Who may send: AET@ADDRESS, comma-separated (empty: everyone)", ("peers",), _many("peers"),
        lambda values: _shown_many(values.get("peers", [])), _try_peers,
    ),
    Question(
        "destinations", "Where results go: NAME=AET@HOST:PORT[+commit], comma-separated (empty: nowhere)",
        ("destinations",), _many("destinations"), lambda values: _shown_many(values.get("destinations", [])),
        _try_destinations,
    ),
    Question(
        "storage", "Folder for images and results", ("storage",), _one("storage"),
        lambda values: str(values.get("storage", "/var/lib/wmh-node")), _try_storage,
    ),
    Question(
        "database", "Database: sqlite, or postgresql://USER@HOST/NAME", ("database_url",), _read_database,
        lambda values: _without_password(str(values.get("database_url") or "sqlite")), _try_database,
    ),
)  # fmt: skip


def _without_password(url: str) -> str:
    """As a prompt may show it; an answer that is the same leaves the URL as it was."""
    return _SHOWN_PASSWORD.sub(lambda found: f"{found[1]}:***@" if found[1] else f"{found[2]}***", url)


def _shown_many(values: Any) -> str:
    return values if isinstance(values, str) else ", ".join(str(value) for value in values)
