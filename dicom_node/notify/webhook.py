"""A webhook: one POST of a CloudEvent (CloudEvents 1.0, JSON), signed as Standard Webhooks says.

The signature is HMAC-SHA-256 over `ID.TIMESTAMP.BODY`, in the header `webhook-signature: v1,BASE64`; ID and TIMESTAMP
are in `webhook-id` and `webhook-timestamp`. Receivers check it, refuse old timestamps, and know a repetition by its ID.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import httpx2

from dicom_node.node.errors import ConfigurationError
from dicom_node.node.no_connection import no_connection
from dicom_node.node.secret_values import secret_value
from dicom_node.node.settings import Settings
from dicom_node.node.tls import ClientTls, TlsFiles, client_context
from dicom_node.notify.errors import NotTaken
from dicom_node.notify.message import Message

_TIMEOUT: Final = httpx2.Timeout(30.0, connect=10.0)
_ENCODED_SECRET: Final = "whsec_"  # noqa: S105 - the prefix of a secret in base64


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class WebhookChannel:
    """An HTTP server that takes events, see the module."""

    url: str
    secret_file: Path | None = None
    ca: Path | None = None
    now: Callable[[], datetime] = _now
    name: str = "webhook"

    @classmethod
    def of(cls, settings: Settings) -> WebhookChannel:
        """From the settings, which have a webhook."""
        assert settings.webhook_url is not None
        return cls(settings.webhook_url, settings.webhook_secret_file, settings.notify_tls_ca)

    def check(self) -> str:
        """What it would use, in words; connects to nothing.

        Raises:
            ConfigurationError: the secret or the CA cannot be read.
        """
        self._key()
        self._tls()
        return f"a webhook at {self._where()}"

    def send(self, message: Message) -> str | None:
        """POST the message.

        Raises:
            NotTaken: the answer is no success, or there is none.
            ConfigurationError: the secret or the CA cannot be read.
        """
        body = json.dumps(message.event, ensure_ascii=False).encode()
        stamp = str(int(self.now().timestamp()))
        headers = {
            "Content-Type": "application/cloudevents+json; charset=utf-8",
            "webhook-id": message.event_id,
            "webhook-timestamp": stamp,
            "webhook-signature": f"v1,{signature(self._key(), message.event_id, stamp, body)}",
        }
        try:
            # No proxy of the environment, no redirect: the message goes to the address of the settings only.
            # The answer's body is not read: only its status counts, and a body may never end.
            with (
                httpx2.Client(verify=self._tls(), timeout=_TIMEOUT, trust_env=False, follow_redirects=False) as client,
                client.stream("POST", self.url, content=body, headers=headers) as answer,
            ):
                status = answer.status_code
        except httpx2.InvalidURL as error:
            raise ConfigurationError("webhook: expected a URL in WMH_NODE_WEBHOOK_URL, got another text") from error
        except httpx2.HTTPError as error:
            raise NotTaken(self._words(error)) from error
        if not 200 <= status < 300:
            raise NotTaken(f"{self._where()} answered HTTP {status}: {_status_words(status)}")
        return None

    def _key(self) -> bytes:
        value = secret_value("webhook", "webhook", self.secret_file, "WMH_NODE_WEBHOOK_URL", "the shared secret")
        if not value.startswith(_ENCODED_SECRET):
            return value.encode()
        try:
            return base64.b64decode(value.removeprefix(_ENCODED_SECRET), validate=True)
        except binascii.Error as error:
            raise ConfigurationError(
                "webhook: expected base64 behind whsec_ in its secret, got another text"
            ) from error

    def _tls(self) -> bool | ssl.SSLContext:
        return client_context(ClientTls(TlsFiles(ca=self.ca))) if self.url.startswith("https:") else True

    def _where(self) -> str:
        parts = urlsplit(self.url)  # without the path, which is often the secret of a webhook
        return f"{parts.hostname}:{parts.port or (443 if parts.scheme == 'https' else 80)}"

    def _words(self, error: httpx2.HTTPError) -> str:
        parts = urlsplit(self.url)
        host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
        cause: BaseException | None = error
        while cause is not None:
            if "CERTIFICATE_VERIFY_FAILED" in str(cause) or "SSL" in type(cause).__name__:
                return f"TLS with {host}:{port} failed: is WMH_NODE_NOTIFY_TLS_CA its CA, does it name {host}?"
            if isinstance(cause, OSError):
                return no_connection(cause, host, port, "the webhook's server")
            cause = cause.__cause__ or cause.__context__
        if isinstance(error, httpx2.TimeoutException):
            return f"{host}:{port} did not answer in time: is the webhook's server busy?"
        return f"{host}:{port} ended the connection, or its answer is no HTTP"


def signature(key: bytes, event_id: str, timestamp: str, body: bytes) -> str:
    """Base64 of the HMAC-SHA-256 of an event."""
    signed = event_id.encode() + b"." + timestamp.encode() + b"." + body
    return base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def _status_words(status: int) -> str:
    known = {
        401: "it does not accept the signature: check the secret on both sides",
        403: "it does not accept the signature: check the secret on both sides",
        404: "there is nothing at that path: check WMH_NODE_WEBHOOK_URL",
        410: "the webhook was removed: check WMH_NODE_WEBHOOK_URL",
        429: "it asks us to wait",
    }
    if 300 <= status < 400:
        return "it sends us elsewhere, which we do not follow: write the new address in WMH_NODE_WEBHOOK_URL"
    return known.get(status, "a fault of the server" if status >= 500 else "it does not take our request")
