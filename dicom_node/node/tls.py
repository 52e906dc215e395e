"""DICOM over TLS, for the receiver and for the sender: which files, which rules, and failures as text.

The rules are those of the BCP 195 RFC 8996, 9325 TLS Secure Transport Connection Profile (PS3.15 B.12): TLS 1.2 or 1.3,
cipher suites with forward secrecy and authenticated encryption, no compression, no renegotiation. They also meet the
older Non-Downgrading BCP 195 profile (B.10), the default of DCMTK.

Needs the standard library only: the receiver loads it.
"""

from __future__ import annotations

import ssl
import stat
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from dicom_node.node.errors import ConfigurationError
from dicom_node.node.logger import get_logger

_LOG = get_logger()

# RFC 9325 4.2; the suites of TLS 1.3 are all of this kind. Level 2: RSA keys of 2048 bits or more, no SHA-1.
_CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20:@SECLEVEL=2"
_LOOK_SECONDS: Final = 1.0

# X509_V_ERR_CERT_NOT_YET_VALID and X509_V_ERR_CERT_HAS_EXPIRED of OpenSSL.
_NOT_YET_VALID: Final = 9
_EXPIRED: Final = 10


@dataclass(frozen=True)
class TlsFiles:
    """PEM files of one side.

    Attributes:
        certificate: our certificate, followed by those between it and the CA that the peers know.
        key: its private key, not encrypted; None when it is in `certificate`.
        ca: trusted certificates, of CAs or of single devices.
    """

    certificate: Path | None = None
    key: Path | None = None
    ca: Path | None = None


@dataclass(frozen=True)
class ClientTls:
    """How to call a peer.

    Attributes:
        files: certificate and key are shown to a peer that asks for them; without `ca` the system's CAs count.
        check_name: whether the peer's certificate has to name the host that we call.
    """

    files: TlsFiles
    check_name: bool = True


@dataclass(frozen=True)
class CertificateFacts:
    """What a certificate says about itself; `not_after` is its last moment, in UTC."""

    subject: str
    names: tuple[str, ...]
    not_after: datetime

    def days_left(self, now: datetime | None = None) -> int:
        """Whole days until it expires."""
        return (self.not_after - (now or datetime.now(UTC))).days


def server_context(files: TlsFiles) -> ssl.SSLContext:
    """The receiver's rules. With `ca`, a peer has to show a certificate that it vouches for.

    Raises:
        ConfigurationError: a file cannot be read or is not what it should be, or certificate and key do not match.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _harden(context)
    # Associations are few and long: resuming sessions would save little, and tickets weaken forward secrecy.
    context.options |= ssl.OP_NO_TICKET
    context.num_tickets = 0
    _load_own(context, files)
    if files.ca is not None:
        _load_ca(context, files.ca)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def client_context(tls: ClientTls) -> ssl.SSLContext:
    """The sender's rules: the peer's certificate is always checked.

    Raises:
        ConfigurationError: as `server_context`.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    _harden(context)
    context.check_hostname = tls.check_name
    if tls.files.certificate is not None:
        _load_own(context, tls.files)
    if tls.files.ca is not None:
        _load_ca(context, tls.files.ca)
    else:
        context.load_default_certs()
    return context


class ServerContext:
    """The receiver's context, read again when its files have changed: certificates are renewed while we run.

    Raises:
        ConfigurationError: at construction, as `server_context`; later the last good files stay in use.
    """

    def __init__(self, files: TlsFiles) -> None:
        self._files = files
        self._lock = threading.Lock()
        self._stamps = _stamps(files)
        self._context = server_context(files)
        self._looked_at = time.monotonic()

    def current(self) -> ssl.SSLContext:
        """The context for a new connection."""
        with self._lock:
            if time.monotonic() - self._looked_at >= _LOOK_SECONDS:
                self._looked_at = time.monotonic()
                self._follow()
            return self._context

    def _follow(self) -> None:
        stamps = _stamps(self._files)
        if stamps == self._stamps:
            return
        self._stamps = stamps
        try:
            self._context = server_context(self._files)
        except ConfigurationError as error:
            _LOG.error("changed TLS files are not used", reason=str(error))
        else:
            _LOG.info("changed TLS files are in use")


def inspect(files: TlsFiles, *, as_server: bool) -> CertificateFacts:
    """Try our certificate and key on ourselves, in memory, by the same rules, and say what the certificate says.

    Args:
        files: certificate and key; `ca` does not count.
        as_server: whether they are shown to peers that call us, or to peers that we call.

    Raises:
        ConfigurationError: a file is missing or wrong, the two do not match, the certificate has expired, is not valid
            yet, or may not be used in this role.
    """
    assert files.certificate is not None
    own = TlsFiles(files.certificate, files.key, files.certificate)
    server = server_context(own)
    client = client_context(ClientTls(own, check_name=False))
    if as_server:
        server.verify_mode = ssl.CERT_NONE
    else:
        client.verify_mode = ssl.CERT_NONE
    try:
        certificates = _try_out(server, client)
    except ssl.SSLCertVerificationError as error:
        raise ConfigurationError(f"TLS certificate {files.certificate} {_unfit(error)}") from error
    except ssl.SSLError as error:
        raise ConfigurationError(f"TLS certificate {files.certificate} cannot be used: {words_of(error)}") from error
    return _facts(certificates[1] if as_server else certificates[0])


def readable_by_all(path: Path) -> bool:
    """Whether every user of this machine may read a file, which a private key should not allow."""
    return bool(path.stat().st_mode & stat.S_IROTH)


# OpenSSL's reason -> what it means here. "alert" is what the peer said before it left.
_WORDS: Final = {
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "the peer showed no certificate, and tls_ca asks for one",
    "UNSUPPORTED_PROTOCOL": "the peer offers no TLS version from 1.2 on",
    "NO_SHARED_CIPHER": "no cipher suite in common: expected ECDHE with AES-GCM or ChaCha20 (RFC 9325)",
    "WRONG_VERSION_NUMBER": "the peer does not speak TLS on this port",
    "TLSV1_ALERT_UNKNOWN_CA": "the peer does not know the CA of our certificate",
    "SSLV3_ALERT_BAD_CERTIFICATE": "the peer does not accept our certificate",
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": "the peer does not accept our certificate",
    "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE": "the peer does not accept our certificate for this use",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "the peer reports that our certificate has expired",
    "SSLV3_ALERT_CERTIFICATE_REVOKED": "the peer reports that our certificate was revoked",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "the peer requires a certificate from us, and we showed none",
    "SSLV3_ALERT_HANDSHAKE_FAILURE": "the peer refuses: no cipher suite in common, or it requires a certificate "
    "from us",
    "TLSV1_ALERT_PROTOCOL_VERSION": "the peer does not speak TLS 1.2 or newer",
    "TLSV1_ALERT_DECRYPT_ERROR": "the peer could not verify our signature",
}


def words_of(error: OSError) -> str:
    """Why a handshake failed."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the peer's certificate is not accepted: {error.verify_message}"
    if isinstance(error, ssl.SSLError) and error.reason:
        return _WORDS.get(error.reason, error.reason.lower().replace("_", " "))
    return error.strerror or str(error) or type(error).__name__


def _harden(context: ssl.SSLContext) -> None:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    # One device's certificate may be trusted without its CA: in DICOM many are self-signed.
    context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN


def _load_own(context: ssl.SSLContext, files: TlsFiles) -> None:
    certificate, key = files.certificate, files.key
    if certificate is None:
        raise ConfigurationError("tls_certificate: expected the PEM file of our certificate, got none")
    require_readable("TLS certificate", certificate)
    if key is not None:
        require_readable("TLS key", key)

    def no_password() -> str:
        raise ConfigurationError(f"TLS key {key or certificate} is encrypted: expected one without a password")

    try:
        context.load_cert_chain(certificate, key, no_password)
    except ssl.SSLError as error:
        raise ConfigurationError(_why_not_loaded(certificate, key, error)) from error


def _why_not_loaded(certificate: Path, key: Path | None, error: ssl.SSLError) -> str:
    if error.reason == "KEY_VALUES_MISMATCH":
        return f"TLS key {key or certificate} does not belong to the certificate {certificate}"
    if error.reason in ("EE_KEY_TOO_SMALL", "CA_MD_TOO_WEAK", "CA_KEY_TOO_SMALL"):
        return f"TLS certificate {certificate} is too weak: expected RSA of 2048 bits or more, or EC, and SHA-256"
    names = str(certificate) if key is None else f"{certificate} and {key}"
    return f"TLS: expected a PEM certificate and its private key, got {names}: {error.reason or 'nothing usable'}"


def _load_ca(context: ssl.SSLContext, ca: Path) -> None:
    require_readable("TLS CA file", ca)
    try:
        context.load_verify_locations(ca)
    except ssl.SSLError as error:
        raise ConfigurationError(f"TLS CA file {ca}: expected PEM certificates, found none") from error


def require_ca(path: Path) -> None:
    """Raise ConfigurationError unless a file holds certificates that may be trusted; for TLS that is not Python's."""
    _load_ca(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), path)


def require_readable(what: str, path: Path) -> None:
    """Raise ConfigurationError unless the file can be read by this user; the ssl module does not name it."""
    try:
        with path.open("rb") as file:
            file.read(1)
    except OSError as error:
        raise ConfigurationError(f"{what} {path} cannot be read: {error.strerror}") from error


def _stamps(files: TlsFiles) -> list[tuple[int, int] | None]:
    return [_stamp(path) for path in (files.certificate, files.key, files.ca) if path is not None]


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ino


def _try_out(server: ssl.SSLContext, client: ssl.SSLContext) -> tuple[Any, Any]:
    """A handshake in memory; returns what server and client report about the other's certificate."""
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = (server.wrap_bio(up, down, server_side=True), client.wrap_bio(down, up))
    left = [ends[1], ends[0]]
    while left:
        end = left.pop(0)
        try:
            end.do_handshake()
        except ssl.SSLWantReadError:
            left.append(end)
    return ends[0].getpeercert(), ends[1].getpeercert()


def _unfit(error: ssl.SSLCertVerificationError) -> str:
    if error.verify_code == _EXPIRED:
        return "has expired: peers will refuse it"
    if error.verify_code == _NOT_YET_VALID:
        return "is not valid yet: check its dates and this machine's clock"
    return f"will be refused by peers: {error.verify_message}"


def _facts(certificate: Any) -> CertificateFacts:
    subject = ", ".join(f"{key}={value}" for part in certificate.get("subject", ()) for key, value in part)
    names = tuple(value for _kind, value in certificate.get("subjectAltName", ()))
    not_after = datetime.fromtimestamp(ssl.cert_time_to_seconds(certificate["notAfter"]), UTC)
    return CertificateFacts(subject, names, not_after)
