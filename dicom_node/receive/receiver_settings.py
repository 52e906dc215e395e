"""What the receiver needs of the node's settings, as a plain frozen object.

Plain, because a receiver process gets it as JSON on its standard input and must not load pydantic for it.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from db.records import Priority
from dicom_node.node.errors import ConfigurationError
from dicom_node.node.tls import TlsFiles

if TYPE_CHECKING:
    from dicom_node.node.settings import Settings

MEBIBYTE = 1024 * 1024


@dataclass(frozen=True)
class AllowedPeer:
    """A calling AE title that may associate; `address` None means from anywhere.

    `address` is an IP address, a network ("10.1.0.0/16") or a host name. `reports_only`: a destination that may report
    storage commitment to us, and do nothing else. `priority` stands for what its C-STOREs ask; None: they are heard.
    """

    ae_title: str
    address: str | None = None
    reports_only: bool = False
    priority: Priority | None = None


@dataclass(frozen=True)
class ReceiverSettings:
    """Sizes in bytes, times in seconds. `peers` empty means that any AE may associate, under any called AE title.

    Attributes:
        port, tls_port: where we listen without and with TLS; 0: not at all.
        tls: our certificate and key, and the CA that peers' certificates need; None without a `tls_port`.
        storage: folder of the node; instances go to `storage`/inbox.
        max_associations: associations at one time, per receiver process.
        max_pdu_bytes: largest P-DATA-TF that we announce and take (PS3.8 D.1).
        handshake_seconds: from the connection to a whole A-ASSOCIATE-RQ: the ARTIM timer of PS3.8 9.1.5.
        message_seconds: longest silence inside a DIMSE message.
        idle_seconds: longest silence between messages.
        max_object_bytes: largest data set that is taken.
        max_drained_bytes: a data set that is refused already is read to its end, so that its sender hears the status;
            one that is longer than this ends the association.
        reserve_bytes: free disk that receiving leaves to the database and to results.
        full_percent: of the disk; beyond it nothing is received.
        reclaim_idle_seconds: an association idle for this long gives way when all are taken and one more is wanted.
            So does, after the others, one that has stored nothing for this long, of a peer that holds most of them.
        slow_bytes_per_second: so does one whose present message is that old and has come slower than this.
        grace_seconds: how long objects on their way may take when the receiver stops.
        max_waiting, max_waiting_per_address: connections that have not associated yet (or are closing), per process.
        index: which one of `processes` this is.
        reported_separately: AE titles whose reports of storage commitment the role `deliver` sends.
        installation: see `installation.installation_id`; empty until the receiver has asked for it.
    """

    ae_title: str
    storage: Path
    database_url: str
    bind: str = "127.0.0.1"
    port: int = 11112
    tls_port: int = 0
    tls: TlsFiles | None = None
    peers: tuple[AllowedPeer, ...] = ()
    processes: int = 1
    max_associations: int = 50
    max_pdu_bytes: int = 256 * 1024
    handshake_seconds: float = 10.0
    message_seconds: float = 60.0
    idle_seconds: float = 60.0
    max_object_bytes: int = 4096 * MEBIBYTE
    max_drained_bytes: int = 8192 * MEBIBYTE
    reserve_bytes: int = 64 * MEBIBYTE
    full_percent: float = 100.0
    grace_seconds: float = 5.0
    reclaim_idle_seconds: float = 10.0
    slow_bytes_per_second: int = 8 * 1024
    max_waiting: int = 64
    max_waiting_per_address: int = 32
    log_level: str = "info"
    log_format: str = "text"
    index: int = 0
    installation: str = ""
    reported_separately: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("handshake_seconds", "message_seconds", "idle_seconds", "max_associations", "max_object_bytes"):
            if getattr(self, name) <= 0:
                raise ConfigurationError(f"{name}: expected more than 0, got {getattr(self, name)}")
        if not self.port and not self.tls_port:
            raise ConfigurationError("dicom_port and dicom_tls_port: expected at least one of them, got none")
        if self.tls_port and self.tls is None:
            raise ConfigurationError("dicom_tls_port: expected tls_certificate with it, got none")
        if self.max_pdu_bytes < 4096:
            raise ConfigurationError(f"max_pdu_bytes: expected at least 4096, got {self.max_pdu_bytes}")

    @property
    def max_associations_per_address(self) -> int:
        """A sixth of the places is kept for other addresses, where there are six or more."""
        return self.max_associations - self.max_associations // 6

    @property
    def inbox(self) -> Path:
        """Where instances lie once they are recorded."""
        return self.storage / "inbox"

    @property
    def receiver(self) -> str:
        """Name of this receiver process in association rows: the same after a restart, so that it finds its orphans;
        another one in another installation on the same database."""
        name = f"{self.ae_title}:{self.port or self.tls_port}/{self.index}"
        return f"{name} of {self.installation}" if self.installation else name

    @classmethod
    def of(cls, settings: Settings) -> ReceiverSettings:
        """The receiver's share of the node's settings."""
        return cls(
            ae_title=settings.ae_title,
            storage=settings.storage.absolute(),
            database_url=settings.database_url,
            bind=settings.bind,
            port=settings.dicom_port,
            tls_port=settings.dicom_tls_port or 0,
            tls=settings.tls_files if settings.dicom_tls_port else None,
            peers=_allowed(settings),
            reported_separately=tuple(sorted(settings.report_addresses())),
            processes=settings.receiver_processes,
            max_associations=settings.max_associations,
            max_pdu_bytes=settings.max_pdu_bytes,
            handshake_seconds=settings.acse_timeout_seconds,
            message_seconds=settings.dimse_timeout_seconds,
            idle_seconds=settings.network_timeout_seconds,
            max_object_bytes=settings.max_object_bytes,
            max_drained_bytes=2 * settings.max_object_bytes,
            reserve_bytes=settings.reserve_bytes,
            full_percent=settings.disk_full,
            grace_seconds=settings.grace_seconds,
            log_level=settings.log_level,
            log_format=settings.log_format,
        )

    def to_json(self) -> str:
        """For another process; `from_json` reads it."""
        return json.dumps(asdict(self), default=str)

    @classmethod
    def from_json(cls, text: str) -> ReceiverSettings:
        """What `to_json` wrote."""
        values: dict[str, Any] = json.loads(text)
        values["storage"] = Path(values["storage"])
        values["reported_separately"] = tuple(values["reported_separately"])
        values["peers"] = tuple(_peer_of(peer) for peer in values["peers"])
        if values["tls"] is not None:
            values["tls"] = TlsFiles(**{name: path and Path(path) for name, path in values["tls"].items()})
        return cls(**values)


def _peer_of(values: dict[str, Any]) -> AllowedPeer:
    priority = values["priority"]
    return AllowedPeer(**{**values, "priority": None if priority is None else Priority(priority)})


def _allowed(settings: Settings) -> tuple[AllowedPeer, ...]:
    """Those that `peers` names; beside them, destinations that report storage commitment to us."""
    if not settings.peers:
        return ()
    reporting = [destination for destination in settings.dicom_destinations if destination.commit]
    return (
        *(AllowedPeer(peer.ae_title, peer.address, priority=peer.priority) for peer in settings.peers),
        *(AllowedPeer(destination.ae_title, destination.host, reports_only=True) for destination in reporting),
    )
