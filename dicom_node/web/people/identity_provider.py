"""Logging in at the hospital's identity provider: OpenID Connect Core 1.0, authorization code with PKCE (RFC 7636).

Between the two requests of a login the node keeps nothing: the browser's cookie holds a random secret, from which
`state`, `nonce` and the code verifier are derived. An answer that belongs to no such cookie is refused.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx2
from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.httpx_client import OAuth2Client
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from db.records import AccountRole
from dicom_node.node.errors import ConfigurationError, LoginError
from dicom_node.node.no_connection import no_connection
from dicom_node.node.secret_values import secret_value
from dicom_node.node.settings import Settings
from dicom_node.node.tls import ClientTls, TlsFiles, client_context
from dicom_node.web.people.passwords import require_name
from dicom_node.web.people.secrets import same

BACK: Final = "/login/provider/back"
"""Path of the page that the provider sends the browser back to."""

_TIMEOUT: Final = httpx2.Timeout(10.0)
# Signatures that only the provider can make: neither none nor a shared secret (RFC 8725 3.1).
_ALGORITHMS: Final = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
_ADDRESSES: Final = ("authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint")
_AT_ONCE: Final = 8
_CLOCKS_APART_SECONDS: Final = 120
_STRONGEST_FIRST: Final = (AccountRole.ADMIN, AccountRole.OPERATOR, AccountRole.VIEWER)


@dataclass(frozen=True)
class ProviderRules:
    """What the settings say of the provider.

    Attributes:
        issuer: URL, as in the provider's tokens.
        secret: reads the client's secret.
        back: URL of `BACK`, as people reach this page.
        ca: PEM file; None: the CAs of the system.
        groups: role -> names of groups whose members have it.
        groups_claim, name_claim: where a token names the groups and the account.
    """

    issuer: str
    client_id: str
    secret: Callable[[], str]
    back: str
    scope: str
    ca: Path | None
    groups: Mapping[AccountRole, frozenset[str]]
    groups_claim: str
    name_claim: str

    def role_of(self, groups: frozenset[str]) -> AccountRole | None:
        """The strongest role of these groups; None: no role."""
        return next((role for role in _STRONGEST_FIRST if groups & self.groups[role]), None)


@dataclass(frozen=True)
class Person:
    """A person whose login the provider vouches for.

    Attributes:
        name: of the account.
        subject: sha256 of issuer and subject, which stay when a name changes hands.
    """

    name: str
    subject: str
    role: AccountRole


class NoGroup(LoginError):
    """The provider vouches for a person who is in no group that may use the page. `subject`: as of `Person`."""

    def __init__(self, words: str, subject: str) -> None:
        self.subject = subject
        super().__init__(words)


class IdentityProvider:
    """The provider of one page. Each login asks it for its addresses and keys, so that no old key counts."""

    def __init__(self, rules: ProviderRules) -> None:
        self._rules = rules
        self._turns = threading.BoundedSemaphore(_AT_ONCE)

    @property
    def host(self) -> str:
        """Its host, to name it on the page."""
        return urlsplit(self._rules.issuer).hostname or ""

    def address_for(self, secret: str) -> str:
        """Where the browser goes to log in.

        Args:
            secret: new, and kept in the browser's cookie until it comes back.

        Raises:
            LoginError: the provider does not answer, or not as one does.
        """
        with self._turn(), self._client() as client, self._errors_in_words():
            url, _ = client.create_authorization_url(
                _known(client, self._rules.issuer)["authorization_endpoint"],
                state=_derived(secret, "state"),
                nonce=_derived(secret, "nonce"),
                code_verifier=_derived(secret, "verifier"),
            )
        return str(url)

    def person_of(self, secret: str, query: Mapping[str, str]) -> Person:
        """Who came back.

        Args:
            secret: of the browser's cookie; "" without one.
            query: of the address that the provider sent the browser to.

        Raises:
            LoginError: it is no answer to our request, the provider says no, or the person has no role here.
        """
        if "code" not in query:
            raise LoginError("The identity provider refused the login: it was broken off there, or is not allowed.")
        # A browser without the cookie has an empty secret, and what derives from that is known to all.
        if not secret or not same(_derived(secret, "state"), query.get("state", "")):
            raise LoginError("This login was begun elsewhere, or too long ago: begin it again.")
        with self._turn(), self._client() as client, self._errors_in_words():
            known = _known(client, self._rules.issuer)
            always = known.get("authorization_response_iss_parameter_supported") is True  # RFC 9207, 2.4 and 3
            if query.get("iss", None if always else known["issuer"]) != known["issuer"]:
                raise LoginError("The answer is another identity provider's: begin the login again.")
            token = client.fetch_token(
                known["token_endpoint"], code=query["code"], code_verifier=_derived(secret, "verifier")
            )
            found: Any = _json(client.request("GET", known["jwks_uri"], withhold_token=True))
            keys = KeySet.import_key_set(found)
            claims = verified_claims(
                str(token.get("id_token", "")), keys, known["issuer"], self._rules.client_id, _derived(secret, "nonce")
            )
            if self._rules.groups_claim not in claims and "userinfo_endpoint" in known:
                said = _json(client.get(known["userinfo_endpoint"]))
                if said.get("sub") == claims["sub"]:  # OpenID Connect Core 5.3.2
                    claims = {**said, **claims}
        return self._person(known["issuer"], claims)

    def _person(self, issuer: str, claims: Mapping[str, Any]) -> Person:
        name = str(claims.get(self._rules.name_claim, ""))
        try:
            require_name(name)
        except ConfigurationError as error:
            raise LoginError(
                f"The identity provider's claim {self._rules.name_claim} is no name for an account here: {error}. "
                "WMH_NODE_WEB_OIDC_NAME_CLAIM chooses another claim."
            ) from error
        subject = hashlib.sha256(f"{issuer}\n{claims['sub']}".encode()).hexdigest()
        groups = claims.get(self._rules.groups_claim, ())
        names = frozenset(map(str, groups if isinstance(groups, list | tuple) else [groups]))
        role = self._rules.role_of(names)
        if role is None:
            raise NoGroup(
                f"{name} is known to the identity provider, but in no group that may use this page. Its administrator "
                "has to add a group, or the node's settings have to name one (WMH_NODE_WEB_OIDC_VIEWERS).",
                subject,
            )
        return Person(name, subject, role)

    def _client(self) -> OAuth2Client:
        rules = self._rules
        is_encrypted = rules.issuer.startswith("https:")
        return OAuth2Client(
            client_id=rules.client_id,
            client_secret=rules.secret(),
            redirect_uri=rules.back,
            scope=rules.scope,
            code_challenge_method="S256",
            verify=client_context(ClientTls(TlsFiles(ca=rules.ca))) if is_encrypted else True,
            timeout=_TIMEOUT,
            trust_env=False,  # no proxy of the environment: codes and secrets go to the addresses of the provider only
            follow_redirects=False,
        )

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Who asks before a login is a stranger: a provider that is slow must not hold all threads of the page."""
        if not self._turns.acquire(blocking=False):
            raise LoginError("Many people log in at this moment: try again in a minute.")
        try:
            yield
        finally:
            self._turns.release()

    def _errors_in_words(self) -> _ErrorsInWords:
        return _ErrorsInWords(self._rules.issuer)


def provider_of(settings: Settings) -> IdentityProvider | None:
    """The provider of the settings; None without one."""
    if settings.web_oidc_issuer is None:
        return None
    return IdentityProvider(
        ProviderRules(
            issuer=settings.web_oidc_issuer,
            client_id=str(settings.web_oidc_client_id),
            secret=lambda: secret_value(
                "identity provider", "oidc", settings.web_oidc_secret_file, "WMH_NODE_WEB_OIDC_ISSUER",
                "the secret of this client",
            ),
            back=f"{settings.web_url}{BACK}",
            scope=settings.web_oidc_scope,
            ca=settings.web_oidc_tls_ca,
            groups={
                AccountRole.ADMIN: frozenset(settings.web_oidc_admins),
                AccountRole.OPERATOR: frozenset(settings.web_oidc_operators),
                AccountRole.VIEWER: frozenset(settings.web_oidc_viewers),
            },
            groups_claim=settings.web_oidc_groups_claim,
            name_claim=settings.web_oidc_name_claim,
        )
    )  # fmt: skip


def verified_claims(id_token: str, keys: KeySet, issuer: str, client_id: str, nonce: str) -> dict[str, Any]:
    """The claims of an ID token (OpenID Connect Core 3.1.3.7).

    Raises:
        LoginError: not signed by the provider, not for this client, not for this login, or too old.
    """
    try:
        claims: dict[str, Any] = dict(jwt.decode(id_token, keys, algorithms=_ALGORITHMS).claims)
        jwt.JWTClaimsRegistry(
            leeway=_CLOCKS_APART_SECONDS,
            iss={"essential": True, "value": issuer},
            aud={"essential": True, "value": client_id},
            exp={"essential": True},
            iat={"essential": True},
            sub={"essential": True},
            nonce={"essential": True, "value": nonce},
        ).validate(claims)
    except (JoseError, ValueError) as error:
        raise LoginError(
            "The identity provider's token is not valid here: is the clock right, and the client id of the settings?"
        ) from error
    if claims.get("azp", client_id) != client_id:
        raise LoginError("The identity provider's token is for another client than this page's.")
    return claims


class _ErrorsInWords:
    """Turns what the libraries raise into a `LoginError` that says what to look at."""

    def __init__(self, issuer: str) -> None:
        parts = urlsplit(issuer)
        self._host, self._port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)

    def __enter__(self) -> None:
        """Nothing to do."""

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        """Raise the error in words."""
        if isinstance(error, OAuthError):
            raise LoginError(
                "The identity provider does not take this page's request: check client id, secret and redirect URI."
            ) from error
        if isinstance(error, httpx2.HTTPError | httpx2.InvalidURL):
            raise LoginError(f"The identity provider does not answer: {self._why(error)}.") from error
        if isinstance(error, KeyError | ValueError | JoseError):
            raise LoginError(
                f"{self._host} does not answer as an identity provider does: check WMH_NODE_WEB_OIDC_ISSUER."
            ) from error

    def _why(self, error: BaseException) -> str:
        cause: BaseException | None = error
        while cause is not None:
            if "CERTIFICATE_VERIFY_FAILED" in str(cause):
                return f"TLS with {self._host}:{self._port} failed: is WMH_NODE_WEB_OIDC_TLS_CA its CA"
            if isinstance(cause, OSError):
                return no_connection(cause, self._host, self._port, "the identity provider").rstrip("?.")
            cause = cause.__cause__ or cause.__context__
        return f"{self._host}:{self._port} was silent, or its answer is no HTTP"


def _known(client: OAuth2Client, issuer: str) -> dict[str, Any]:
    """Its addresses (OpenID Connect Discovery 1.0, 4)."""
    address = issuer.rstrip("/") + "/.well-known/openid-configuration"
    known = _json(client.request("GET", address, withhold_token=True))
    if str(known["issuer"]).rstrip("/") != issuer.rstrip("/"):
        raise LoginError("The identity provider names itself otherwise: check WMH_NODE_WEB_OIDC_ISSUER.")
    # Only those that are used: others, such as that of its terms of service, may be whatever they are.
    used = [str(known[name]) for name in _ADDRESSES if name in known]
    if issuer.startswith("https:") and not all(address.startswith("https:") for address in used):
        raise LoginError("The identity provider names an address without TLS: its administrator has to mend that.")
    return known


def _json(answer: httpx2.Response) -> dict[str, Any]:
    answer.raise_for_status()
    document = answer.json()
    if not isinstance(document, dict):
        raise ValueError("expected a JSON object")  # noqa: TRY004 - as what json raises
    return document


def _derived(secret: str, what: str) -> str:
    """43 characters of base64url that say nothing of the secret, as RFC 7636 4.1 takes them for a verifier."""
    made = hmac.new(secret.encode(), f"wmh-node {what}".encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(made).rstrip(b"=").decode()
