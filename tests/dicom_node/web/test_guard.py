"""What stands before every page, tried on a page with real jobs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from starlette.testclient import TestClient
from support.page_node import PASSWORD, PageNode

from db.records import AccountRole
from dicom_node.web.app import ENTRIES, build_app

pytestmark = pytest.mark.slow

Browse = Callable[..., Any]


def _path(path: str, node: PageNode) -> str:
    filled = path.replace("{job}", str(node.jobs["late"])).replace("{name}", "pacs").replace("{digest}", "0" * 64)
    return filled.replace("{slice}", "1").replace("{page}", "1").replace("{cohort}", "1")


def test_every_page_needs_its_role(node: PageNode, browser: Browse) -> None:
    """Without a login every page leads to the login; an account of a lower role gets 403, for GET and POST alike."""
    outside = browser()
    people = {role: browser(str(role)) for role in AccountRole}
    tokens = {role: person.token() for role, person in people.items() if role is not AccountRole.ADMIN}
    needs_login = [entry for entry in ENTRIES if entry.role is not None]
    assert len(needs_login) > 15
    for entry in needs_login:
        path = _path(entry.path, node)
        answer = outside.client.request(entry.method, path)
        assert (answer.status_code, answer.headers["location"]) == (303, "/login"), path
        for role, token in tokens.items():
            if not role.may(entry.role):
                answer = people[role].client.request(entry.method, path, data={"token": token})
                assert answer.status_code == 403, (role, path)


def test_forms_need_the_token_of_the_session(node: PageNode, browser: Browse) -> None:
    """A form without the token, with another session's, or from another site changes nothing."""
    person, other = browser("operator"), browser("operator")
    path = f"/jobs/{node.jobs['failed']}/retry"
    before = node.setting.jobs.get(node.jobs["failed"])  # other files use this node too
    for data, headers in (
        ({}, {}),
        ({"token": other.token()}, {}),
        ({"token": person.token()}, {"sec-fetch-site": "cross-site"}),
    ):
        assert person.client.post(path, data=data, headers=headers).status_code == 403
    assert node.setting.jobs.get(node.jobs["failed"]) == before
    assert person.client.post("/logout", content=b"token=" + b"x" * 70_000).status_code == 413


def test_headers_of_every_answer(node: PageNode, browser: Browse) -> None:
    """No inline script or style, no frame, no type sniffing, nothing of a page in a cache."""
    person = browser("admin")
    for path in ("/", "/nowhere", "/static/style.css", f"/jobs/{node.jobs['late']}"):
        headers = person.client.get(path).headers
        assert "'unsafe" not in headers["content-security-policy"]
        assert "default-src 'none'" in headers["content-security-policy"]
        assert (headers["x-content-type-options"], headers["x-frame-options"]) == ("nosniff", "DENY")
        assert ("no-store" in headers["cache-control"]) != path.startswith("/static")
    assert "set-cookie" not in person.client.get("/").headers


def test_a_foreign_host_name_is_refused(node: PageNode) -> None:
    """A name that resolves to the loopback address reaches no page (DNS rebinding)."""
    client = TestClient(build_app(node.site), base_url="http://evil.example:8080", follow_redirects=False)
    answer = client.get("/login")
    assert (answer.status_code, "WMH_NODE_WEB_URL" in answer.text) == (421, True)


def test_cookie_of_the_session(node: PageNode, browser: Browse) -> None:
    """The session's cookie is out of reach of scripts and of other sites, and a session ends with the log-out."""
    client = browser().client
    answer = client.post("/login", data={"name": "viewer", "password": PASSWORD})
    words = answer.headers["set-cookie"].lower()
    assert "httponly" in words
    assert "samesite=strict" in words
    cookie = client.cookies["wmh-node"]
    stolen = browser()
    stolen.client.cookies.set("wmh-node", cookie)
    token = stolen.token()
    assert client.post("/logout", data={"token": token}).status_code == 303
    assert stolen.client.get("/").headers["location"] == "/login"


def test_an_account_is_locked_after_wrong_passwords(node: PageNode, browser: Browse) -> None:
    """Five wrong passwords lock the account, also for the right one, and give the same answer as an unknown name."""
    table = node.site.accounts
    account = table.find("viewer")
    table.add("guessed", account.password_hash, AccountRole.VIEWER, "test")
    client = browser().client
    answers = {client.post("/login", data={"name": "guessed", "password": "wrong"}).text for _ in range(5)}
    answers.add(client.post("/login", data={"name": "guessed", "password": PASSWORD}).text)
    answers.add(client.post("/login", data={"name": "no such", "password": PASSWORD}).text)
    assert len(answers) == 1
    table.unlock("guessed", "test")
    assert client.post("/login", data={"name": "guessed", "password": PASSWORD}).status_code == 303
    table.remove("guessed", "test")
    assert client.get("/").headers["location"] == "/login"


@pytest.mark.parametrize("key", ["", "wrong"])
def test_the_first_link_needs_its_secret(node: PageNode, browser: Browse, key: str) -> None:
    """The link of the log is the only way to the form that makes the first account, and makes no second one."""
    client = browser().client
    assert client.get(f"/first?key={key}").status_code == 404
    secret = node.site.first_link.open()
    assert client.get(f"/first?key={secret}").status_code == 200
    short = client.post("/first", data={"key": secret, "name": "x", "password": "short"})
    assert (short.status_code, "12 to 256 characters" in short.text) == (422, True)
    made = client.post("/first", data={"key": secret, "name": "x", "password": PASSWORD})
    assert (made.status_code, node.site.accounts.find("x")) == (409, None)  # there are accounts already
    assert client.get(f"/first?key={secret}").status_code == 404
