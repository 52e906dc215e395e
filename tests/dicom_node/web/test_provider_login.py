"""Logging in at an identity provider (OpenID Connect), against oidc-provider-mock over HTTP."""

from __future__ import annotations

import base64
import hashlib
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet, OctKey, RSAKey
from oidc_provider_mock import User, run_server_in_thread
from starlette.testclient import TestClient
from support.clock import ManualClock
from support.databases import sqlite_url, with_schema
from support.processes import free_port

from db.accounts import AccountTable
from db.audit import audit_entries
from db.engine import Database, open_database
from db.records import AccountRole
from dicom_node.node.errors import ConfigurationError, LoginError
from dicom_node.node.settings import Settings, settings_of
from dicom_node.web.app import build_app
from dicom_node.web.people.identity_provider import BACK, provider_of, verified_claims
from dicom_node.web.people.passwords import hash_password
from dicom_node.web.people.secrets import digest_of, new_secret
from dicom_node.web.site import Site

PAGE = "http://127.0.0.1:8080"
PEOPLE = {
    "reader": ["radiology"],
    "operator": ["radiology", "pacs"],
    "admin": ["it"],
    "stranger": ["kitchen"],
    "no-groups": [],
}


@dataclass(frozen=True)
class Clinic:
    """A page without any account, beside a provider that knows some people."""

    site: Site
    issuer: str

    def browser(self) -> TestClient:
        """A browser in front of the page."""
        return TestClient(build_app(self.site), base_url=PAGE, follow_redirects=False)

    def sent_back(self, browser: TestClient, subject: str, action: str = "authorize") -> str:
        """Log in at the provider; the path and query that it sends the browser back to."""
        there = browser.get("/login/provider").headers["location"]
        assert there.startswith(self.issuer)
        answer = httpx2.post(there, data={"sub": subject, "action": action}, follow_redirects=False)
        back = urlsplit(answer.headers["location"])
        assert f"{back.scheme}://{back.netloc}{back.path}" == PAGE + BACK
        return f"{back.path}?{back.query}"

    def logged_in(self, subject: str) -> TestClient:
        """A browser whose person came back."""
        browser = self.browser()
        answer = browser.get(self.sent_back(browser, subject))
        assert answer.status_code == 200, answer.text
        return browser


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    """The provider; the numbers of its people are their names with a digit, as a hospital's are."""
    people = [
        User(sub=f"{name}-1", claims={"preferred_username": name, "groups": groups}) for name, groups in PEOPLE.items()
    ]
    people.append(User(sub="reader-2", claims={"preferred_username": "reader", "groups": ["radiology"]}))
    people.append(User(sub="odd-1", claims={"preferred_username": "<b>odd</b>", "groups": ["radiology"]}))
    with run_server_in_thread(require_nonce=True, user_claims=people) as server:
        yield f"http://127.0.0.1:{server.server_port}"


@pytest.fixture
def clinic(issuer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Clinic]:
    """See `Clinic`."""
    monkeypatch.setenv("WMH_NODE_SECRET_OIDC", "a shared secret")
    url = sqlite_url(tmp_path)
    with_schema(url)
    database = open_database(url)
    yield Clinic(_site(tmp_path, database, _settings(tmp_path, issuer)), issuer)
    database.close()


def _settings(folder: Path, issuer: str, **more: Any) -> Settings:
    return settings_of(
        {
            "storage": folder, "database_url": sqlite_url(folder), "web_url": PAGE, "web_oidc_issuer": issuer,
            "web_oidc_client_id": "wmh-node", "web_oidc_viewers": "radiology", "web_oidc_operators": ["pacs"],
            "web_oidc_admins": "it, board", **more,
        }
    )  # fmt: skip


def _site(folder: Path, database: Database, settings: Settings) -> Site:
    return Site(settings=settings, sources={}, database=database, health=list, test_destination=lambda _: [])


@pytest.mark.parametrize("name", ["reader", "operator", "admin"])
def test_a_person_logs_in_with_the_role_of_their_groups(clinic: Clinic, name: str) -> None:
    """There and back opens a session; the account is made, with the strongest role of its groups."""
    role = AccountRole("viewer" if name == "reader" else name)
    browser = clinic.logged_in(f"{name}-1")
    assert f"{name} <span" in browser.get("/").text
    assert browser.get("/settings").status_code == (200 if role is AccountRole.ADMIN else 403)
    (account,) = clinic.site.accounts.list()
    assert (account.name, account.role, account.password_hash) == (name, role, None)
    assert account.subject is not None and name not in account.subject


def test_the_session_comes_by_a_page_and_not_by_a_redirect(clinic: Clinic) -> None:
    """A redirect that began at another site comes without strict cookies: the answer is a page that goes on by itself;
    the session's cookie is strict and closed to scripts, and the login's is gone."""
    browser = clinic.browser()
    begun = browser.get("/login/provider").headers["set-cookie"].lower()
    assert "samesite=lax" in begun and "httponly" in begun
    answer = browser.get(clinic.sent_back(browser, "reader-1"))
    assert 'http-equiv="refresh"' in answer.text
    cookies = [cookie.lower() for cookie in answer.headers.get_list("set-cookie")]
    assert any("samesite=strict" in cookie and "httponly" in cookie for cookie in cookies)
    assert "wmh-node-login" not in browser.cookies


def test_without_a_group_of_ours_there_is_no_account(clinic: Clinic) -> None:
    """Who is in no group of the settings, or in none at all, gets words and neither account nor session."""
    for name in ("stranger", "no-groups"):
        browser = clinic.browser()
        answer = browser.get(clinic.sent_back(browser, f"{name}-1"))
        assert answer.status_code == 403 and "in no group that may use this page" in answer.text
        assert browser.get("/").status_code == 303
    assert clinic.site.accounts.list() == []


def test_an_account_is_one_persons_for_ever(clinic: Clinic) -> None:
    """Another person of the provider with the same name, and a person with the name of an account with a password, do
    not get into it."""
    clinic.logged_in("reader-1")
    clinic.site.accounts.add("operator", hash_password("correct horse battery"), AccountRole.VIEWER, "test")
    for subject in ("reader-2", "operator-1"):
        browser = clinic.browser()
        answer = browser.get(clinic.sent_back(browser, subject))
        assert answer.status_code == 403 and "account of another person" in answer.text
        assert browser.get("/").status_code == 303


def test_a_password_never_fits_an_account_of_the_provider(clinic: Clinic) -> None:
    """The form of local accounts does not open it, whatever is typed."""
    clinic.logged_in("reader-1")
    for password in ("", "None", "correct horse battery"):
        answer = clinic.browser().post("/login", data={"name": "reader", "password": password})
        assert answer.status_code == 401


def test_a_role_follows_the_groups_at_the_next_login(clinic: Clinic, tmp_path: Path, issuer: str) -> None:
    """Less at the provider is less here; the change is recorded."""
    clinic.logged_in("operator-1")
    with_less = _settings(tmp_path, issuer, web_oidc_operators=[])
    replace(clinic, site=_site(tmp_path, clinic.site.database, with_less)).logged_in("operator-1")
    (account,) = clinic.site.accounts.list()
    assert account.role is AccountRole.VIEWER


def _token_of(clinic: Clinic, name: str) -> str:
    secret = new_secret()
    clinic.site.accounts.add_token(name, "script", digest_of(secret), "test")
    return secret


def _asked_with(clinic: Clinic, secret: str) -> int:
    headers = {"Authorization": f"Bearer {secret}"}
    return clinic.browser().get("/api/v1/jobs", headers=headers).status_code


def test_a_lost_group_ends_tokens(clinic: Clinic, tmp_path: Path, issuer: str) -> None:
    """Who comes back without a group has neither sessions nor tokens any more; the audit says so."""
    browser = clinic.logged_in("reader-1")
    secret = _token_of(clinic, "reader")
    assert _asked_with(clinic, secret) == 200
    without = replace(
        clinic, site=_site(tmp_path, clinic.site.database, _settings(tmp_path, issuer, web_oidc_viewers=["others"]))
    )
    again = without.browser()
    assert again.get(without.sent_back(again, "reader-1")).status_code == 403
    assert _asked_with(clinic, secret) == 401
    assert browser.get("/").status_code == 303
    assert clinic.site.accounts.tokens() == []
    assert any(entry.action == "end access" for entry in audit_entries(clinic.site.database))


def test_a_token_counts_as_long_as_its_person_logs_in(tmp_path: Path) -> None:
    """After its days without a login a token of the provider's account counts no more, and again after one; one of a
    local account has no such end."""
    clock, url = ManualClock(), sqlite_url(tmp_path)
    with_schema(url)
    with closing(open_database(url, clock)) as database:
        table = AccountTable(database)
        table.add("local", "hash", AccountRole.VIEWER, "test")
        assert table.enter("person", AccountRole.VIEWER, "a" * 64) is not None
        for name, digest in (("local", "1" * 64), ("person", "2" * 64)):
            table.add_token(name, "script", digest, "test")
        assert table.holder("2" * 64, 30) is None  # no login yet
        table.open_session("person", "3" * 64, 60, 60, "test")
        clock.pass_seconds(30 * 86_400 - 1)
        assert table.holder("2" * 64, 30) is not None
        clock.pass_seconds(2)
        assert table.holder("2" * 64, 30) is None
        assert table.holder("1" * 64, 30) is not None
        table.open_session("person", "4" * 64, 60, 60, "test")
        assert table.holder("2" * 64, 30) is not None


def test_an_answer_counts_in_the_browser_that_asked_only(clinic: Clinic) -> None:
    """A link with another person's code (login CSRF), another state, and a second use of a code open nothing."""
    asked = clinic.browser()
    back = clinic.sent_back(asked, "reader-1")
    other = clinic.browser()
    assert other.get(back).status_code == 403
    other.get("/login/provider")
    assert other.get(back).status_code == 403
    assert asked.get(back).status_code == 200
    asked.cookies.clear()
    assert asked.get(back).status_code == 403


def test_a_browser_without_the_cookie_belongs_to_no_login(clinic: Clinic) -> None:
    """An attacker who derives state, nonce and verifier from an empty secret, and sends another person the address with
    their own code, logs no person in."""
    assert clinic.site.provider is not None
    there = clinic.site.provider.address_for("")
    answer = httpx2.post(there, data={"sub": "reader-1", "action": "authorize"}, follow_redirects=False)
    back = urlsplit(answer.headers["location"])
    browser = clinic.browser()
    answer = browser.get(f"{back.path}?{back.query}")
    assert answer.status_code == 403 and "begun elsewhere" in answer.text
    assert browser.get("/").status_code == 303
    assert clinic.site.accounts.list() == []


def test_the_verifier_that_is_sent_fits_the_challenge(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    """PKCE (RFC 7636): the token is asked for with the text whose sha256 went before, and a new one for each login."""
    sent = []
    original = httpx2.Client.post
    monkeypatch.setattr(
        httpx2.Client, "post", lambda self, url, **more: (sent.append(more.get("data")), original(self, url, **more))[1]
    )
    challenges = []
    for _ in range(2):
        browser = clinic.browser()
        there = parse_qs(urlsplit(browser.get("/login/provider").headers["location"]).query)
        assert there["code_challenge_method"] == ["S256"]
        browser = clinic.browser()
        back = clinic.sent_back(browser, "reader-1")
        assert browser.get(back).status_code == 200
        challenges.append(there["code_challenge"][0])
    assert len(set(challenges)) == 2
    verifiers = [fields["code_verifier"] for fields in sent if fields and "code_verifier" in fields]
    assert len(verifiers) == 2 and all(len(verifier) == 43 for verifier in verifiers)


def test_what_the_provider_calls_a_person_must_be_a_name(clinic: Clinic) -> None:
    """A name with markup makes no account."""
    browser = clinic.browser()
    answer = browser.get(clinic.sent_back(browser, "odd-1"))
    assert answer.status_code == 403 and "<b>odd" not in answer.text
    assert clinic.site.accounts.list() == []


def test_a_login_that_was_broken_off_is_said(clinic: Clinic) -> None:
    """The provider's refusal is a sentence on the login page, without the provider's own text."""
    browser = clinic.browser()
    answer = browser.get(clinic.sent_back(browser, "reader-1", "deny"))
    assert answer.status_code == 403 and "The identity provider refused the login" in answer.text


def test_a_provider_that_is_away_leaves_the_local_accounts(clinic: Clinic, tmp_path: Path) -> None:
    """The login page says what does not answer, and the form of local accounts is still there."""
    away = _settings(tmp_path, f"http://127.0.0.1:{free_port()}")
    browser = replace(clinic, site=_site(tmp_path, clinic.site.database, away)).browser()
    answer = browser.get("/login/provider")
    assert answer.status_code == 403 and "does not answer" in answer.text and 'name="password"' in answer.text


def test_a_server_that_is_no_provider_is_said(clinic: Clinic, tmp_path: Path, issuer: str) -> None:
    """Another path and another issuer name the setting to look at."""
    for wrong in (f"{issuer}/jwks", issuer.replace("127.0.0.1", "localhost") + "/"):
        site = _site(tmp_path, clinic.site.database, _settings(tmp_path, wrong))
        answer = replace(clinic, site=site).browser().get("/login/provider")
        if "localhost" in wrong:  # the mock takes its name from the request, so that this one fits
            assert answer.status_code == 303
        else:
            assert answer.status_code == 403 and "does not answer" in answer.text


@pytest.mark.parametrize(
    ("changed", "is_taken"),
    [
        ({}, True),
        ({"op_tos_uri": "http://id.example/terms"}, True),
        ({"token_endpoint": "http://id.example/token"}, False),
        ({"jwks_uri": "HTTP://id.example/jwks"}, False),
        ({"authorization_endpoint": "javascript:alert(1)"}, False),
    ],
)
def test_the_addresses_that_are_used_have_tls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: dict[str, str], is_taken: bool
) -> None:
    """A document that leads codes and secrets to an address without TLS is refused; what is not used may be plain."""
    monkeypatch.setenv("WMH_NODE_SECRET_OIDC", "a shared secret")
    known = {
        "issuer": "https://id.example", "authorization_endpoint": "https://id.example/authorize",
        "token_endpoint": "https://id.example/token", "jwks_uri": "https://id.example/jwks", **changed,
    }  # fmt: skip
    monkeypatch.setattr(
        httpx2.HTTPTransport, "handle_request", lambda _self, _request: httpx2.Response(200, json=known)
    )
    provider = provider_of(_settings(tmp_path, "https://id.example"))
    assert provider is not None
    if is_taken:
        assert provider.address_for(new_secret()).startswith("https://id.example/authorize?")
    else:
        with pytest.raises(LoginError, match="without TLS"):
            provider.address_for(new_secret())


def test_a_provider_that_is_silent_does_not_hold_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of strangers who begin logins at a provider that does not answer, a few wait; the others have words at once."""
    monkeypatch.setenv("WMH_NODE_SECRET_OIDC", "a shared secret")
    go_on, waiting = threading.Event(), threading.Semaphore(0)

    def silent(_self: object, _request: httpx2.Request) -> httpx2.Response:
        waiting.release()
        go_on.wait(60)
        return httpx2.Response(503)

    monkeypatch.setattr(httpx2.HTTPTransport, "handle_request", silent)
    provider = provider_of(_settings(tmp_path, "https://id.example"))
    assert provider is not None
    with ThreadPoolExecutor(8) as pool:
        try:
            begun = [pool.submit(provider.address_for, new_secret()) for _ in range(8)]
            for _ in begun:
                assert waiting.acquire(timeout=60)
            with pytest.raises(LoginError, match="try again in a minute"):
                provider.address_for(new_secret())
        finally:
            go_on.set()
    for one in begun:
        with pytest.raises(LoginError, match="does not answer"):
            one.result()


def test_without_a_secret_the_reason_is_in_the_log_only(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    """A setting that is missing is no stranger's business."""
    monkeypatch.delenv("WMH_NODE_SECRET_OIDC")
    answer = clinic.browser().get("/login/provider")
    assert answer.status_code == 403 and "SECRET" not in answer.text and "not set up" in answer.text


def test_without_a_provider_there_are_no_such_pages(clinic: Clinic, tmp_path: Path) -> None:
    """The pages of the provider's login, and its button, are there with the setting only."""
    site = _site(tmp_path, clinic.site.database, settings_of({"storage": tmp_path, "web_url": PAGE}))
    browser = replace(clinic, site=site).browser()
    assert [browser.get(path).status_code for path in ("/login/provider", BACK)] == [404, 404]
    assert "/login/provider" not in browser.get("/login").text
    login = clinic.browser().get("/login").text
    assert "/login/provider" in login and "There is no account yet" not in login


KEY = RSAKey.generate_key(2048, {"kid": "one"})
KEYS = KeySet([RSAKey.import_key(KEY.as_dict(private=False))])


def _token(key: Any = KEY, alg: str = "RS256", **changed: Any) -> str:
    claims = {"iss": "https://id", "aud": "us", "sub": "1", "nonce": "n", "iat": time.time(), "exp": time.time() + 60}
    claims = {name: value for name, value in {**claims, **changed}.items() if value is not None}
    return jwt.encode({"alg": alg, "kid": "one"}, claims, key, algorithms=[alg])


def _unsigned() -> str:
    head, body, _ = _token().split(".")
    none = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=").decode()
    assert head != none
    return f"{none}.{body}."


FORGED = {
    "another key": lambda: _token(RSAKey.generate_key(2048, {"kid": "one"})),
    "no signature": _unsigned,
    "a public key as a shared secret": lambda: _token(OctKey.import_key(hashlib.sha256(b"key").digest()), "HS256"),
    "another issuer": lambda: _token(iss="https://evil"),
    "another client": lambda: _token(aud="them"),
    "ours among others, for another": lambda: _token(aud=["us", "them"], azp="them"),
    "another login": lambda: _token(nonce="m"),
    "no nonce": lambda: _token(nonce=None),
    "too old": lambda: _token(exp=time.time() - 600),
    "without an end": lambda: _token(exp=None),
    "without a subject": lambda: _token(sub=None),
    "no token at all": lambda: "x.y",
    "nothing": lambda: "",
}


@pytest.mark.parametrize("kind", FORGED)
def test_a_forged_token_opens_nothing(kind: str) -> None:
    """Signature, issuer, client, login and time of a token are all checked (OpenID Connect Core 3.1.3.7)."""
    with pytest.raises(LoginError):
        verified_claims(FORGED[kind](), KEYS, "https://id", "us", "n")


def test_a_right_token_passes() -> None:
    """What the test above changes is what makes it fail."""
    assert verified_claims(_token(), KEYS, "https://id", "us", "n")["sub"] == "1"
    assert verified_claims(_token(exp=time.time() - 60), KEYS, "https://id", "us", "n")["sub"] == "1"  # clocks


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"web_oidc_issuer": "http://id.example"}, "https"),
        ({"web_oidc_issuer": "https://user@id.example"}, "issuer"),
        ({"web_oidc_client_id": None}, "web_oidc_client_id"),
        ({"web_url": None}, "web_url"),
        ({"web_oidc_viewers": [], "web_oidc_operators": [], "web_oidc_admins": []}, "groups"),
        ({"web_oidc_scope": "profile"}, "openid"),
    ],
)
def test_settings_that_do_not_fit_are_named(tmp_path: Path, values: dict[str, Any], named: str) -> None:
    """A provider without TLS, client, address or groups stops the start, with the setting's name."""
    with pytest.raises(ConfigurationError, match=named):
        _settings(tmp_path, "https://id.example", **values)


def test_the_secret_of_a_login_cannot_be_derived_from_what_is_sent(clinic: Clinic) -> None:
    """State, nonce and challenge differ and do not hold the cookie's secret."""
    assert clinic.site.provider is not None
    secret = new_secret()
    there = parse_qs(urlsplit(clinic.site.provider.address_for(secret)).query)
    values = [there[name][0] for name in ("state", "nonce", "code_challenge")]
    assert len(set(values)) == 3 and all(secret not in value for value in values)
