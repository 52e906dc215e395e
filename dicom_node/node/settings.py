"""The node's settings: read once from the environment and an optional TOML file into a frozen object.

Order of precedence: options of the command line over the environment (`WMH_NODE_...`) over the TOML file over the
defaults below. In TOML the names are the field names in lower case (`dicom_port = 11112`), destinations and peers are
arrays of tables.

Compact forms, for the environment (JSON works too):

    WMH_NODE_DESTINATIONS="pacs=ORTHANC@10.0.0.5:4242+commit, archive=DCM4CHEE@[fe80::1]:2762+tls+legacy"
    WMH_NODE_PEERS="SCANNER1@10.0.0.7, ORTHANC"
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from itertools import combinations
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from db.records import Priority
from dicom_node.node.addresses import (
    address_to_bind,
    is_every_address,
    is_host_of_url,
    is_loopback,
    peer_address,
    shown,
)
from dicom_node.node.destinations import (
    DESTINATION_KINDS,
    AeTitle,
    AnyDestination,
    Destination,
    FilePath,
    Port,
    did_you_mean,
    fields_of_destinations,
    split_destination,
)
from dicom_node.node.errors import ConfigurationError
from dicom_node.node.mail_settings import MailAddress, ServerAddress, WebhookUrl, WorkingHours
from dicom_node.node.secret_values import SECRET_PREFIX
from dicom_node.node.tls import ClientTls, TlsFiles

ENVIRONMENT_PREFIX = "WMH_NODE_"

_DATABASE_URL = re.compile(r"(sqlite|postgres|postgresql)(\+[a-z0-9]+)?:")
_OBJECT_STORE = re.compile(r"^(s3://[a-z0-9]|file:///.)")
_WEB_URL = re.compile(r"https?://([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?/?")


def _database_url(value: str) -> str:
    if not _DATABASE_URL.match(value):
        # Not the value itself: it may hold a password.
        raise ValueError(
            "expected sqlite:////absolute/path.sqlite or postgresql://USER:PASSWORD@HOST/NAME, got another"
        )
    return value


def _object_store(value: str) -> str:
    if not _OBJECT_STORE.match(value):
        raise ValueError("expected s3://BUCKET/PREFIX or file:///FOLDER")
    return value


def _web_url(value: str) -> str:
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if not _WEB_URL.fullmatch(value) or not is_host_of_url(host):
        raise ValueError("expected https://HOST[:PORT] or http://HOST[:PORT], without a path")
    return value.rstrip("/")


def _issuer(value: str) -> str:
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname, parts.port
    except ValueError:
        parts, host = urlsplit(""), None
    if not is_host_of_url(host) or "@" in parts.netloc or parts.query or parts.fragment:
        raise ValueError("expected the issuer's URL, https://HOST[/PATH] without a query")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(host or "")):
        raise ValueError("expected an https URL (http only to this machine)")
    return value


def _bare(value: Any) -> Any:
    """A value of the environment or of a file without what a Windows editor leaves around it."""
    return value.strip(" \t\r\n\ufeff") if isinstance(value, str) else value


# No wait of a year is meant, and larger numbers overflow dates.
_YEAR: Final = 366 * 86_400.0
Seconds = Annotated[float, Field(ge=0, le=_YEAR, allow_inf_nan=False)]
PositiveSeconds = Annotated[float, Field(gt=0, le=_YEAR, allow_inf_nan=False)]
SomeSeconds = Annotated[float, Field(ge=1, le=_YEAR, allow_inf_nan=False)]
GraceSeconds = Annotated[float, Field(ge=0, le=300, allow_inf_nan=False)]
Millimetres = Annotated[float, Field(gt=0, le=100, allow_inf_nan=False)]
Bytes = Annotated[int, Field(ge=0, le=2**60)]
Percent = Annotated[float, Field(ge=1, le=100, allow_inf_nan=False)]
# At least a day: no setting makes the node remove what came today.
KeptDays = Annotated[float, Field(ge=1, le=36_600, allow_inf_nan=False)]
ClaimName = Annotated[str, Field(pattern=r"^[\x21-\x7e]{1,255}$")]
ObjectBytes = Annotated[int, Field(ge=1024 * 1024, le=2**60)]


class Peer(BaseModel):
    """A calling AE that may send to us.

    Attributes:
        ae_title: calling AE title.
        address: IP address, network or host name that it calls from, without a port; None: from anywhere.
        report_port: where it takes reports of storage commitment in an association of their own; None: unknown.
        priority: of the jobs of what it sends; None: what its C-STOREs ask for.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    ae_title: AeTitle
    address: Annotated[str | None, AfterValidator(peer_address)] = None
    report_port: Port | None = None
    priority: Priority | None = None

    @model_validator(mode="after")
    def _check_report_port(self) -> Peer:
        if self.report_port is not None and (self.address is None or "/" in self.address):
            raise ValueError("expected the address of one machine with a report port, got none or a network")
        return self

    def __str__(self) -> str:
        title = self.ae_title if self.address is None else f"{self.ae_title}@{self.address}"
        marks = (("priority", self.priority), ("report", self.report_port))
        return title + "".join(f"+{name}:{value}" for name, value in marks if value is not None)


_PEER_MARKS: Final = {"report": "report_port", "priority": "priority"}
_PEER_MARK: Final = re.compile(r"\+(?P<name>report|priority):(?P<value>[^+:@]*)$")


def _split_peer(text: str) -> dict[str, Any]:
    peer, marks = text.strip(), {}
    # From the end, since an AE title may have a plus sign.
    while (found := _PEER_MARK.search(peer)) is not None:
        marks[_PEER_MARKS[found["name"]]] = found["value"]
        peer = peer[: found.start()]
    ae_title, separator, address = peer.rpartition("@")
    if not separator:
        return {"ae_title": peer, **marks}
    bracketed = address.startswith("[") and address.endswith("]")
    return {"ae_title": ae_title, "address": (address[1:-1] if bracketed else address).strip() or None, **marks}


def _many(value: Any) -> Any:
    """Text of the environment to a list: JSON when it starts with a bracket, else comma-separated compact forms."""
    if not isinstance(value, str):
        return value
    text = value.strip()
    if text.startswith(("[{", "[]", '["')):
        try:
            return json.loads(text)
        except json.JSONDecodeError as error:
            raise ValueError(f"expected a JSON array, but it does not parse: {error}") from error
    return [part for part in (p.strip() for p in text.split(",")) if part]


def _destinations(value: Any) -> Any:
    many = _many(value)
    return [split_destination(item) if isinstance(item, str) else item for item in many] if _is_many(many) else many


def _peers(value: Any) -> Any:
    many = _many(value)
    return [_split_peer(item) if isinstance(item, str) else item for item in many] if _is_many(many) else many


def _is_many(value: Any) -> bool:
    return isinstance(value, list | tuple)


class Settings(BaseModel):
    """Everything that can be set, valid once constructed, never changed after.

    Times are in seconds and sizes in bytes, as their names say.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    # Who we are and where we listen
    ae_title: AeTitle = "WMHNODE"
    bind: Annotated[str, AfterValidator(address_to_bind)] = "127.0.0.1"
    dicom_port: Annotated[int, Field(ge=0, le=65535)] = 11112  # 0: TLS only
    dicom_tls_port: Port | None = None  # closed until set; 2762 is the one registered for DICOM over TLS
    tls_certificate: FilePath | None = None  # ours, PEM; also shown to destinations that ask for one
    tls_key: FilePath | None = None  # None: in tls_certificate
    tls_ca: FilePath | None = None  # when set, peers that call us need a certificate that it vouches for

    # The page
    web_port: Annotated[int, Field(ge=0, le=65535)] = 8080  # 0: no page
    web_bind: Annotated[str, AfterValidator(address_to_bind)] = "127.0.0.1"
    web_url: Annotated[str, AfterValidator(_web_url)] | None = None  # as people type it, behind a proxy with TLS
    # Logging in at an identity provider (OpenID Connect); None: with accounts of the page only
    web_oidc_issuer: Annotated[str, AfterValidator(_issuer)] | None = None
    web_oidc_client_id: Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[\x21-\x7e]+$")] | None = None
    web_oidc_secret_file: FilePath | None = None  # None: WMH_NODE_SECRET_OIDC, or the credential oidc.secret
    web_oidc_tls_ca: FilePath | None = None  # None: the system's CAs
    web_oidc_scope: Annotated[str, Field(pattern=r"^openid( [\x21-\x7e]+)*$")] = "openid profile email"
    web_oidc_name_claim: ClaimName = "preferred_username"
    web_oidc_groups_claim: ClaimName = "groups"
    web_oidc_viewers: Annotated[tuple[str, ...], BeforeValidator(_many)] = ()  # groups
    web_oidc_operators: Annotated[tuple[str, ...], BeforeValidator(_many)] = ()
    web_oidc_admins: Annotated[tuple[str, ...], BeforeValidator(_many)] = ()
    web_oidc_token_days: Annotated[float, Field(gt=0, le=366)] = 30.0  # a person's tokens count so long from a login on

    # Health and metrics; no login, so closed until a port is set
    metrics_bind: Annotated[str, AfterValidator(address_to_bind)] = "127.0.0.1"
    metrics_port: Port | None = None

    # Where things are kept
    storage: FilePath = Path("wmh-node-data")
    database_url: Annotated[str, AfterValidator(_database_url)] = (
        ""  # empty: SQLite beside the instances, filled in below
    )

    # What several machines share without a shared file system
    object_store: Annotated[str, AfterValidator(_object_store)] | None = None
    object_store_endpoint: Annotated[str, AfterValidator(_web_url)] | None = None  # None: Amazon's of the region
    object_store_region: Annotated[str, Field(pattern=r"^[a-z0-9-]+$")] = "us-east-1"
    object_store_key_id: Annotated[str, Field(pattern=r"^[\x21-\x7e]+$")] | None = None
    object_store_secret_file: FilePath | None = None  # None: WMH_NODE_SECRET_OBJECT_STORE, or object_store.secret
    object_store_tls_ca: FilePath | None = None  # beside the system's CAs
    # What the role `work` does here: "analyse" leaves all else to the machine that receives, "complete" the analysis
    work: Literal["all", "analyse", "complete"] = "all"

    # What goes from the disk, and when: days that files are kept, and marks in percent of the disk that is used
    purge: bool = True  # False: the node removes nothing by itself
    keep_done_days: KeptDays = 7.0
    keep_rejected_days: KeptDays = 3.0
    keep_failed_days: KeptDays = 30.0
    keep_feedback_days: KeptDays | None = None  # None: for ever
    keep_audit_days: KeptDays | None = None  # in the database, then in files of STORAGE/audit; None: for ever
    disk_low: Percent = 80.0  # above it files go earlier, in the order of the rules
    disk_high: Percent = 95.0  # above it a person is needed
    disk_full: Percent = 100.0  # above it nothing is received; below it `reserve_bytes` counts

    # Who we talk to
    destinations: Annotated[tuple[AnyDestination, ...], BeforeValidator(_destinations)] = ()
    peers: Annotated[tuple[Peer, ...], BeforeValidator(_peers)] = ()

    # When a series is complete
    quiet_seconds: Seconds = 2.0
    quiet_seconds_incomplete: Seconds = 60.0
    quiet_seconds_growing: Seconds = 300.0  # at most, for a series that grows association by association

    # Analysis
    model: FilePath | None = None  # None: the reference bundle that ships with the package
    runtime: Literal["auto", "tensorflow", "openvino"] = "auto"
    threads: Annotated[int, Field(ge=1, le=1024)] | None = None  # CPU threads for inference; None: every core
    periventricular_mm: Millimetres = 10.0  # from the ventricles; the paper tries 7.5 too
    periventricular_distance: Literal["2d", "3d"] = "2d"  # in the plane of each slice, as published, or in space
    lease_seconds: SomeSeconds = 60.0
    max_attempts: Annotated[int, Field(ge=1, le=1000)] = 3
    job_retry_seconds: Seconds = 30.0
    follow_up: bool = True  # compare with an earlier result of the same patient; False: enter nothing of patients
    job_limit_seconds: SomeSeconds = 1800.0  # an attempt that takes longer hangs

    # Receiver
    receiver_processes: Annotated[int, Field(ge=1, le=32)] = 1
    max_associations: Annotated[int, Field(ge=1, le=10_000)] = 50
    max_pdu_bytes: Annotated[int, Field(ge=4096, le=16 * 1024 * 1024)] = 262_144
    max_object_bytes: ObjectBytes = 4 * 1024**3  # a larger one is answered 0xA700
    reserve_bytes: Bytes = 64 * 1024**2  # free disk that receiving leaves to the rest
    acse_timeout_seconds: PositiveSeconds = 10.0  # TLS handshake and A-ASSOCIATE-RQ together
    dimse_timeout_seconds: PositiveSeconds = 60.0  # silence inside a message
    # Silence between messages. DICOM names no value, Orthanc waits 30 s, pynetdicom 60 s. A scanner that sends the
    # slices of a FLAIR as it reconstructs them may be silent for one pass of the acquisition, 2 to 3 minutes. Not
    # longer: until then an association that stays open holds its series back. A peer that is gone is noticed earlier.
    network_timeout_seconds: PositiveSeconds = 180.0
    grace_seconds: GraceSeconds = 5.0  # for objects on their way when the receiver stops

    # Delivery: the wait doubles from the first to the longest
    delivery_retry_seconds: PositiveSeconds = 30.0
    delivery_retry_longest_seconds: PositiveSeconds = 3600.0
    commit_hours: Annotated[float, Field(gt=0, le=24 * 366, allow_inf_nan=False)] = 24.0  # for a report of commitment
    delivery_days: Annotated[float, Field(gt=0, le=3660, allow_inf_nan=False)] = 7.0

    # Notifications: recipients, channels, and how long a condition must last
    mail_server: ServerAddress | None = None  # None: no mail
    mail_security: Literal["starttls", "tls", "none"] = "starttls"
    # smtplib logs in with ASCII only.
    mail_user: Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[\x20-\x7e]+$")] | None = None
    mail_password_file: FilePath | None = None  # None: WMH_NODE_SECRET_MAIL, or the credential mail.secret
    mail_from: MailAddress | None = None
    mail_to: Annotated[tuple[MailAddress, ...], BeforeValidator(_many)] = ()
    webhook_url: WebhookUrl | None = None  # None: no webhook
    webhook_secret_file: FilePath | None = None  # None: WMH_NODE_SECRET_WEBHOOK, or the credential webhook.secret
    notify_command: FilePath | None = None  # a program that gets each message on standard input; None: none
    notify_tls_ca: FilePath | None = None  # None: the system's CAs
    notify_after_minutes: Annotated[float, Field(ge=0, le=7 * 1440, allow_inf_nan=False)] = 10.0
    notify_digest_minutes: Annotated[float, Field(ge=0, le=1440, allow_inf_nan=False)] = 15.0
    notify_repeat_hours: Annotated[float, Field(ge=1, le=24 * 366, allow_inf_nan=False)] = 24.0

    # What counts as trouble besides: None: nothing is said about it
    silence_hours: Annotated[float, Field(gt=0, le=1000, allow_inf_nan=False)] | None = None  # working hours
    working_hours: WorkingHours = "Mon-Fri 08:00-18:00"
    review_hours: Annotated[float, Field(gt=0, le=100_000, allow_inf_nan=False)] | None = None
    backup_days: Annotated[float, Field(gt=0, le=3660, allow_inf_nan=False)] | None = None

    # The audit trail
    audit_repository: ServerAddress | None = None  # syslog over TLS (RFC 5425); None: the trail stays here
    audit_tls_ca: FilePath | None = None  # None: tls_ca, and without that the system's CAs

    # Logs
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["text", "json"] = "text"

    @model_validator(mode="before")
    @classmethod
    def _prepare(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        values = {name: _bare(value) for name, value in values.items()}
        for name, value in values.items():
            if isinstance(value, bool) and name in cls.model_fields and cls.model_fields[name].annotation is not bool:
                raise ValueError(f"{name}: expected something else than true or false, got {str(value).lower()}")
        storage = values.get("storage", "wmh-node-data")
        if values.get("database_url") in (None, ""):
            folder = Path(storage) if isinstance(storage, str | Path) else Path()  # of anything else pydantic complains
            values["database_url"] = f"sqlite:///{(folder / 'node.sqlite').absolute()}"
        if storage == "":
            raise ValueError("storage: expected a folder, got an empty text")
        return values

    @model_validator(mode="after")
    def _check_together(self) -> Settings:
        names = [destination.name for destination in self.destinations]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"destinations: expected different names, got twice: {', '.join(twice)}")
        self._check_tls()
        self._check_ports()
        self._check_mail()
        self._check_identity_provider()
        if not self.disk_low < self.disk_high <= self.disk_full:
            marks = f"{self.disk_low:g}, {self.disk_high:g}, {self.disk_full:g}"
            raise ValueError(f"disk_high: expected disk_low < disk_high <= disk_full, got {marks}")
        if self.quiet_seconds_incomplete < self.quiet_seconds:
            raise ValueError(
                "quiet_seconds_incomplete: expected at least quiet_seconds "
                f"({self.quiet_seconds:g}), got {self.quiet_seconds_incomplete:g}"
            )
        return self

    def _check_tls(self) -> None:
        if self.dicom_tls_port is None and not self.dicom_port:
            raise ValueError("dicom_port: expected a port, or dicom_tls_port with 0, got 0 and no dicom_tls_port")
        if self.dicom_tls_port == self.dicom_port:  # PS3.15 B.1: a separate port
            raise ValueError(
                f"dicom_tls_port: expected another port than dicom_port, got {self.dicom_tls_port} for both"
            )
        if self.tls_certificate is None and (self.dicom_tls_port is not None or self.tls_key is not None):
            raise ValueError("tls_certificate: expected a PEM file with dicom_tls_port or tls_key, got none")

    def _check_ports(self) -> None:
        """Two servers of ours on one port: the second would end again and again."""
        ours = (
            ("dicom_port", self.bind, self.dicom_port),
            ("dicom_tls_port", self.bind, self.dicom_tls_port),
            ("web_port", self.web_bind, self.web_port),
            ("metrics_port", self.metrics_bind, self.metrics_port),
        )
        for (name, bind, port), (other, other_bind, other_port) in combinations(ours, 2):
            if port and port == other_port and (bind == other_bind or is_every_address(bind, other_bind)):
                raise ValueError(f"{other}: expected another port than {name}, got {port} for both")

    def _check_mail(self) -> None:
        if (self.mail_server is None) != (not self.mail_to):
            raise ValueError("mail_to: expected mail_server and mail_to together, got only one of them")
        if self.mail_user is not None and self.mail_security == "none":
            raise ValueError(
                "mail_security: expected starttls or tls with mail_user: a password must not go in clear; got none"
            )

    def _check_identity_provider(self) -> None:
        if self.web_oidc_issuer is None:
            return
        if self.web_url is None or self.web_oidc_client_id is None:
            raise ValueError("web_oidc_issuer: expected web_url and web_oidc_client_id with it, got not both")
        if not (self.web_oidc_viewers or self.web_oidc_operators or self.web_oidc_admins):
            raise ValueError(
                "web_oidc_viewers: expected the groups that may use the page, here or as web_oidc_operators or "
                "web_oidc_admins, got none"
            )

    @property
    def tls_files(self) -> TlsFiles:
        """The node's own certificate and key, and the CAs that it trusts."""
        return TlsFiles(*map(_absolute, (self.tls_certificate, self.tls_key, self.tls_ca)))

    @property
    def dicom_destinations(self) -> tuple[Destination, ...]:
        """The destinations that are called by DICOM."""
        return tuple(destination for destination in self.destinations if isinstance(destination, Destination))

    @property
    def holds_copies(self) -> bool:
        """Whether this STORAGE has only what was fetched: that of the machine that receives is the truth."""
        return self.object_store is not None and self.work == "analyse"

    def report_addresses(self) -> dict[str, Destination]:
        """Where senders take reports of storage commitment, by AE title: peers with a port for them, destinations."""
        peers = {
            peer.ae_title: Destination(name="peer", ae_title=peer.ae_title, host=peer.address, port=peer.report_port)
            for peer in self.peers
            if peer.report_port is not None and peer.address is not None
        }
        return {**{destination.ae_title: destination for destination in self.dicom_destinations}, **peers}

    def client_tls(self, destination: AnyDestination) -> ClientTls | None:
        """How to call a destination over TLS; None when it is called without."""
        if not destination.uses_tls:
            return None
        own = destination if destination.tls_certificate is not None else self
        ca = destination.tls_ca or self.tls_ca
        files = TlsFiles(*map(_absolute, (own.tls_certificate, own.tls_key, ca)))
        return ClientTls(files, destination.tls_check_name)

    def destination(self, name: str) -> AnyDestination | None:
        """The destination of that name, or None when the settings no longer hold it."""
        return next((destination for destination in self.destinations if destination.name == name), None)


def _absolute(path: Path | None) -> Path | None:
    return None if path is None else path.absolute()


def load_settings(config: Path | None = None, **overrides: Any) -> Settings:
    """Read environment and TOML file once.

    Args:
        config: TOML file; None for environment and defaults only.
        overrides: values of the command line.

    Raises:
        ConfigurationError: names the setting, what was expected and what came.
    """
    of_file = _read_toml(config) if config is not None else {}
    try:
        return Settings(**{**of_file, **_of_environment(), **overrides})
    except ValidationError as error:
        raise ConfigurationError(_explain(error, config)) from error


def _of_environment() -> dict[str, str]:
    """The settings that the environment gives, by field name; names of variables may have any case."""
    given = {name.lower(): value for name, value in os.environ.items()}
    prefix = ENVIRONMENT_PREFIX.lower()
    return {name: given[prefix + name] for name in Settings.model_fields if prefix + name in given}


def settings_of(values: Mapping[str, Any]) -> Settings:
    """Settings of these values and the defaults, without the environment.

    Raises:
        ConfigurationError: names the setting, what was expected and what came.
    """
    try:
        return Settings(**values)
    except ValidationError as error:
        raise ConfigurationError(_explain(error, None)) from error


def unknown_variables(environment: Mapping[str, str] | None = None) -> list[str]:
    """Environment variables with our prefix that no setting reads: mostly typing errors."""
    known = {ENVIRONMENT_PREFIX + name.upper() for name in Settings.model_fields}
    known |= {"WMH_NODE_CONFIG", "WMH_NODE_TEST_DATA", "WMH_NODE_SUPERVISED"}
    return sorted(
        name
        for name in (os.environ if environment is None else environment)
        if name.upper().startswith(ENVIRONMENT_PREFIX)
        and name.upper() not in known
        and not name.upper().startswith(SECRET_PREFIX)
    )


def sources(config: Path | None = None) -> dict[str, str]:
    """Where the value of each setting comes from: "environment", the file's path, or "default".

    Raises:
        ConfigurationError: the file cannot be read.
    """
    of_file = {} if config is None else _read_toml(config)
    given = _of_environment()
    return {
        name: "environment" if name in given else str(config) if name in of_file else "default"
        for name in Settings.model_fields
    }


def redacted(settings: Settings) -> dict[str, Any]:
    """Settings as plain values for `config show`: no password of a URL, no path of a webhook."""
    values = settings.model_dump(mode="json")
    values["database_url"] = re.sub(r"(://[^:/@]*):[^@]*@", r"\1:***@", settings.database_url)
    if settings.webhook_url is not None:
        values["webhook_url"] = re.sub(r"^(https?://[^/?]+).*", r"\1/***", settings.webhook_url)
    return values


def texts_of(settings: Settings) -> dict[str, str]:
    """`redacted`, each value as the environment takes it; "" for one that is not set."""
    lists = {"destinations": compact(settings.destinations), "peers": compact(settings.peers)}
    return {name: _text_of(value) for name, value in {**redacted(settings), **lists}.items()}


def _text_of(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case list():
            return ", ".join(map(str, value))
        case float():
            return f"{value:.15g}"
        case _:
            return str(value)


def _read_toml(config: Path) -> dict[str, Any]:
    try:
        raw = config.read_bytes()
        if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
            raise ConfigurationError(f"{config} is not valid TOML: it is UTF-16 text; save it as UTF-8 in your editor")
        values = tomllib.loads(raw.decode("utf-8-sig"))  # Windows editors put a byte order mark before it
    except OSError as error:
        raise ConfigurationError(f"cannot read the settings file {config}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        what = f"byte {error.start + 1} is no UTF-8 text; save it as UTF-8 in your editor"
        raise ConfigurationError(f"{config} is not valid TOML: {what}") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{config} is not valid TOML: {error}") from error
    return {key.lower(): value for key, value in values.items()}


def _explain(error: ValidationError, config: Path | None) -> str:
    return "; ".join(_explain_one(problem, config) for problem in error.errors())


def _explain_one(problem: Any, config: Path | None) -> str:
    location: tuple[Any, ...] = problem["loc"]
    message = str(problem["msg"]).removeprefix("Value error, ")
    if not location:
        return message
    field = str(location[0])
    parts = [part for part in location[1:] if part not in DESTINATION_KINDS]
    inner = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts)
    where = _where(field + inner, config)
    if problem["type"] == "path_type":
        message = "expected a path"
    if problem["type"] == "extra_forbidden":
        known = Settings.model_fields if len(location) == 1 else fields_of_destinations()
        return f"{where}: unknown setting{did_you_mean(str(location[-1]), known)}"
    came = "" if "came" in message or "got" in message else f", got {shown(problem.get('input'))}"
    expected = message if message.startswith("expected") else f"expected: {message[0].lower()}{message[1:]}"
    return f"{where}: {expected}{came}"


def _where(place: str, config: Path | None) -> str:
    field = re.split(r"[.\[]", place)[0]
    variable = ENVIRONMENT_PREFIX + field.upper()
    if config is not None and variable not in os.environ:
        return f"{place} in {config}"
    return variable + place[len(field) :]


def parse_destination(text: str, name: str | None = None) -> Destination:
    """A DICOM peer: `NAME=AET@HOST:PORT`, or `AET@HOST:PORT` when the caller gives a name or the AE title will do as
    one; behind it options, see `dicom_node.node.destinations`.

    Raises:
        ConfigurationError: another form, a bad AE title or a port out of range.
    """
    try:
        return Destination(**split_destination(text, name))
    except (ValueError, ValidationError) as error:
        raise ConfigurationError(
            f"expected [NAME=]AET@HOST:PORT[+OPTION...], got {text!r}: {_first_line(error)}"
        ) from error


def _first_line(error: Exception) -> str:
    if isinstance(error, ValidationError):
        return _explain(error, None).replace(ENVIRONMENT_PREFIX, "").lower()
    return str(error)


def compact(items: Iterable[AnyDestination | Peer]) -> str:
    """Destinations or peers in the compact form that the environment takes."""
    return ", ".join(str(item) for item in items)
