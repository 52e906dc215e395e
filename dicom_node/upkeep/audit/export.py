"""Entries of the audit trail to a repository, by syslog over TLS (RFC 5425).

The trail in the database is the spool: a repository that is down costs no other space, and gets everything from where
it was when it is back. Syslog has no acknowledgement, so the position moves on only once the connection of a batch was
closed in order by both ends; after a crash, entries may come twice, with the same `sequenceId`.
"""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from db.audit import entries_after
from db.audit_exports import AuditExportTable
from db.engine import Database
from db.engine.turns import turn_if_free
from db.records import AuditEntry
from dicom_node.node.errors import WmhNodeError
from dicom_node.node.logger import get_logger
from dicom_node.node.mail_settings import split_server
from dicom_node.node.no_connection import no_connection
from dicom_node.node.settings import Settings
from dicom_node.node.tls import ClientTls, TlsFiles, client_context
from dicom_node.upkeep.audit.messages import AuditSource, framed, syslog_line

log = get_logger()

SYSLOG_TLS_PORT: Final = 6514  # RFC 5425 4.1
_BATCH: Final = 200
_IDLE_SECONDS: Final = 5.0
_SECONDS: Final = 20.0
_REFUSAL_SECONDS: Final = 1.0  # longer than the way there and back
_FIRST_WAIT_SECONDS: Final = 10.0
_LONGEST_WAIT_SECONDS: Final = 600.0


class NotExported(WmhNodeError):
    """The repository did not take a batch; it is sent again."""


@dataclass(frozen=True)
class Repository:
    """An audit repository that takes syslog over TLS.

    Attributes:
        tls: how to call it; its certificate is always checked, ours is shown where it asks for one.
    """

    host: str
    port: int
    tls: ClientTls

    @classmethod
    def of(cls, settings: Settings) -> Repository:
        """From the settings, which have one."""
        assert settings.audit_repository is not None
        host, port = split_server(settings.audit_repository, SYSLOG_TLS_PORT)
        own = settings.tls_files
        ca = settings.audit_tls_ca or settings.tls_ca
        return cls(host, port, ClientTls(TlsFiles(own.certificate, own.key, ca)))

    @property
    def name(self) -> str:
        """As its row has it."""
        return f"{self.host}:{self.port}"

    def send(self, lines: Sequence[bytes]) -> None:
        """Send lines in one connection, and close it in order.

        Raises:
            NotExported: it is not reached, or it broke the connection.
            ConfigurationError: our certificate or the CA cannot be read.
        """
        context = client_context(self.tls)
        try:
            with (
                socket.create_connection((self.host, self.port), _SECONDS) as plain,
                context.wrap_socket(plain, server_hostname=self.host) as connection,
            ):
                _wait_for_refusal(connection)
                connection.sendall(b"".join(map(framed, lines)))
                _close(connection)
        except ssl.SSLCertVerificationError as error:
            words = f"the certificate of {self.name} is not accepted: is WMH_NODE_AUDIT_TLS_CA its CA?"
            raise NotExported(words) from error
        except ssl.SSLError as error:
            words = f"TLS with {self.name} failed: does it take syslog over TLS, does it accept our certificate?"
            raise NotExported(words) from error
        except OSError as error:
            raise NotExported(no_connection(error, self.host, self.port, "the audit repository")) from error


def _wait_for_refusal(connection: ssl.SSLSocket) -> None:
    """By TLS 1.3 a repository refuses our certificate when the handshake is over on our side (RFC 8446 4.4.2.4).

    What is sent before that is lost, and closing looks as if all had been read. A repository sends nothing else.
    """
    if connection.version() != "TLSv1.3":
        return
    connection.settimeout(_REFUSAL_SECONDS)
    try:
        if not connection.recv(1):
            raise NotExported("the repository closed the connection at once: does it accept our certificate?")
    except TimeoutError:
        return
    finally:
        connection.settimeout(_SECONDS)


def _close(connection: ssl.SSLSocket) -> None:
    """Wait until the other end has read all and closes too; many end the connection without TLS's closing alert."""
    try:
        connection.unwrap()
    except (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError):
        return
    except TimeoutError as error:
        raise NotExported("the repository did not read what was sent: is it overloaded?") from error


class AuditExporter:
    """One step sends one batch."""

    def __init__(self, database: Database, repository: Repository, ae_title: str) -> None:
        self._database = database
        self._table = AuditExportTable(database)
        self._repository = repository
        self._source = AuditSource(ae_title, socket.gethostname(), os.getpid())
        self._failures = 0

    def step(self) -> float:
        """Returns the seconds until the next step; of several deliverers one sends, the others wait for its turn."""
        name = self._repository.name
        with turn_if_free(self._database, f"audit export {name}") as is_ours:
            return self._send_batch(name) if is_ours else _IDLE_SECONDS

    def _send_batch(self, name: str) -> float:
        batch = entries_after(self._database, self._table.position(name), _BATCH)
        if not batch:
            return _IDLE_SECONDS
        try:
            self._repository.send(_lines(batch, self._source))
        except WmhNodeError as error:
            wait = float(min(_FIRST_WAIT_SECONDS * 2 ** min(self._failures, 20), _LONGEST_WAIT_SECONDS))
            self._failures += 1
            log.warning("audit trail not exported, it is sent again", repository=name, seconds=wait, detail=str(error))
            self._table.failed(name, str(error))
            return wait
        self._failures = 0
        self._table.took(name, batch[-1][0])
        return 0.0


def _lines(batch: Sequence[tuple[int, AuditEntry]], source: AuditSource) -> list[bytes]:
    return [syslog_line(number, entry, source) for number, entry in batch]
