"""One HTTP client for a web destination: its login, its TLS rules, and failures in words."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final
from urllib.parse import urlsplit

import httpx2

from dicom_node.deliver.stow.answer_limits import LONGEST_SECONDS, MOST_BYTES, AnswerTooLong, limit_answer
from dicom_node.node.destinations import FhirDestination, WebDestination, secret_of
from dicom_node.node.errors import ConfigurationError, DeliveryError
from dicom_node.node.no_connection import no_connection
from dicom_node.node.tls import ClientTls, client_context

# Seconds: to connect, and for silence while an object goes out or an answer comes in.
_TIMEOUT: Final = httpx2.Timeout(60.0, connect=10.0)
_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True)
class WebCall:
    """The server to call, and how. `tls`: None over http."""

    destination: WebDestination | FhirDestination
    tls: ClientTls | None

    @contextlib.contextmanager
    def client(self, most_bytes: int = MOST_BYTES, longest_seconds: float = LONGEST_SECONDS) -> Iterator[httpx2.Client]:
        """A client with the login of the destination; the secret is read now.

        No proxy and no password file of the environment counts, and no redirect is followed: results and secrets go to
        the address of the settings only. Of an answer no more is read than it may need.

        Args:
            most_bytes, longest_seconds: what an answer may need.

        Raises:
            ConfigurationError: there is no secret or no certificate for the login.
        """
        with httpx2.Client(
            auth=self._login(),
            verify=True if self.tls is None else client_context(self.tls),
            timeout=_TIMEOUT,
            trust_env=False,
            follow_redirects=False,
            headers={"Accept-Encoding": "identity"},
            event_hooks={"response": [partial(limit_answer, most_bytes=most_bytes, longest_seconds=longest_seconds)]},
        ) as client:
            yield client

    def no_answer(self, error: httpx2.HTTPError) -> str:
        """Why there is no answer, and what to look at."""
        parts = urlsplit(self.destination.url)
        host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
        if isinstance(error, AnswerTooLong):
            return f"{host}:{port}: {error}"
        cause: BaseException | None = error
        while cause is not None:
            if "CERTIFICATE_VERIFY_FAILED" in str(cause) or "SSL" in type(cause).__name__:
                return f"TLS with {host}:{port} failed: is tls_ca the CA of its certificate, does it name {host}?"
            if isinstance(cause, OSError):
                return no_connection(cause, host, port)
            cause = cause.__cause__ or cause.__context__
        if isinstance(error, httpx2.ConnectTimeout):
            return no_connection(TimeoutError(), host, port)
        if isinstance(error, httpx2.TimeoutException):
            return f"{host}:{port} was silent for {_TIMEOUT.read:g} s"
        return f"{host}:{port} ended the connection, or its answer is no HTTP"

    def _login(self) -> httpx2.Auth | None:
        match self.destination.login:
            case "basic":
                user, separator, password = secret_of(self.destination).partition(":")
                if not separator:
                    raise ConfigurationError(f"destination {self.destination.name}: its secret is not USER:PASSWORD")
                return httpx2.BasicAuth(user, password)
            case "bearer":
                return _Bearer(secret_of(self.destination))
            case "mtls" if self.tls is None or self.tls.files.certificate is None:
                raise ConfigurationError(
                    f"destination {self.destination.name}: +mtls needs a certificate: set tls_certificate and tls_key"
                )
            case _:
                return None


class _Bearer(httpx2.Auth):
    """RFC 6750 2.1."""

    def __init__(self, token: str) -> None:
        self._token = token

    def auth_flow(self, request: httpx2.Request) -> Iterator[httpx2.Request]:  # type: ignore[override]
        """Add the header."""
        request.headers["Authorization"] = f"Bearer {self._token}"
        yield request


def trouble_words(status: int, destination: WebDestination | FhirDestination) -> str:
    """What an HTTP status says that is not about the object, and what to do about it."""
    service = "FHIR" if isinstance(destination, FhirDestination) else "DICOMweb"
    return f"HTTP {status}: " + {
        401: f"it does not accept our login: check the secret of +{destination.login}",
        403: "our login may not store there: give its user that right",
        404: f"there is no {service} service at that address: check the path of the URL",
        405: "it takes nothing at that address: check the path of the URL",
        408: "it waited too long for us",
        429: "it asks us to wait",
        503: "it is busy, or down for maintenance",
        507: "it has no room left",
    }.get(status, _class_words(status))


def _class_words(status: int) -> str:
    if 300 <= status < 400:
        return "it sends us elsewhere, which we do not follow: write the new address in the settings"
    return "a fault of the server: its log says more" if status >= 500 else "it does not take our request"


def require_ok(answer: httpx2.Response, destination: WebDestination | FhirDestination) -> None:
    """Raise for a status that is no success.

    Raises:
        DeliveryError: with what to do.
    """
    if answer.status_code >= 300:
        raise DeliveryError(f"{destination.name}: {trouble_words(answer.status_code, destination)}")
