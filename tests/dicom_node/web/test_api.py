"""The API for scripts: tokens, answers as its document says, and nothing of a patient."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import jsonschema
from support.page_node import PageNode

from dicom_node.web.app import build_app
from dicom_node.web.people.secrets import digest_of, new_secret

Browse = Callable[..., Any]


def test_answers_are_as_the_document_says(node: PageNode, browser: Browse) -> None:
    """Each path answers what the OpenAPI document promises, for good and bad requests, and names no patient."""
    secret = new_secret()
    node.site.accounts.add_token("viewer", "a script", digest_of(secret), "test")
    client = browser().client
    document = client.get("/api/v1/openapi.json").json()
    asked = {
        "/overview": ["/overview", "/overview?days=2"],
        "/jobs": [
            "/jobs", "/jobs?limit=2", "/jobs?limit=100000", "/jobs?state=done&code=x&scanner=%00&uid=1.2",
            "/jobs?since=2001-01-01&until=2001-01-02", "/jobs?state=lost", "/jobs?since=yesterday", "/jobs?before=-1",
            "/jobs?limit=0", "/jobs?before=99999999999", "/jobs?sttae=done", "/jobs?limit=1&limit=2",
        ],
        "/jobs/{job}": [
            f"/jobs/{node.jobs['late']}", f"/jobs/{node.jobs['rejected']}", "/jobs/999", "/jobs/x", "/jobs/1?x=1",
        ],
        "/worklist": ["/worklist", "/worklist?limit=1&before=2", "/worklist?limit=-1"],
        "/cohorts": ["/cohorts", "/cohorts?state=done"],
        "/cohorts/{cohort}": [
            "/cohorts/1", "/cohorts/1?limit=1&after=2", "/cohorts/1?state=failed", "/cohorts/1?state=lost",
            "/cohorts/1?after=0", "/cohorts/999", "/cohorts/x",
        ],
        "/reviews": ["/reviews", "/reviews?limit=1", "/reviews?before=x"],
    }  # fmt: skip
    assert asked.keys() == {path for path, methods in document["paths"].items() if "get" in methods}
    for path, requests in asked.items():
        promised = document["paths"][path]["get"]["responses"]
        seen = set()
        for request in requests:
            answer = client.get(f"/api/v1{request}", headers={"Authorization": f"Bearer {secret}"})
            (schema,) = (content["schema"] for content in promised[str(answer.status_code)]["content"].values())
            jsonschema.validate(answer.json(), schema)
            assert "Zwetschge" not in answer.text
            seen.add(str(answer.status_code))
        assert seen == promised.keys() - {"401", "503"}, path
    rows = client.get("/api/v1/cohorts/1?limit=2", headers={"Authorization": f"Bearer {secret}"}).json()
    assert ([row["row"] for row in rows["studies"]], rows["after"], rows["waiting"]) == ([2, 3], 3, 1)
    misspelt = client.get("/api/v1/jobs?sttae=done", headers={"Authorization": f"Bearer {secret}"})
    assert "sttae: no such parameter" in misspelt.json()["detail"] and "did you mean state?" in misspelt.text
    listed = client.get("/api/v1/jobs?limit=2", headers={"Authorization": f"Bearer {secret}"}).json()
    following = client.get(f"/api/v1/jobs?before={listed['before']}", headers={"Authorization": f"bearer {secret}"})
    assert [job["id"] for job in following.json()["jobs"]] == sorted(node.jobs.values(), reverse=True)[2:]


def test_only_tokens_open_the_api(node: PageNode, browser: Browse) -> None:
    """Without a token, with a wrong or a revoked one, or with a session's cookie alone, every path answers 401."""
    secret = new_secret()
    node.site.accounts.add_token("viewer", "revoked", digest_of(secret), "test")
    node.site.accounts.remove_token(digest_of(secret)[:8], "test")
    client = browser("admin").client
    for words in ("", "Bearer wrong", f"Bearer {secret}", "x"):
        for path in ("/overview", "/jobs", "/jobs/1", "/worklist", "/reviews", "/cohorts", "/cohorts/1"):
            answer = client.get(f"/api/v1{path}", headers={"Authorization": words})
            assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
        assert client.post("/api/v1/jobs/1/review", headers={"Authorization": words}).status_code == 401
    assert client.post("/api/v1/jobs").status_code == 405


def _asked(node: PageNode, path: str, headers: dict[str, str], received: list[dict[str, Any]]) -> int:
    """Status of a POST of which just these messages come (ASGI); asking for more fails."""
    statuses: list[int] = []
    messages = iter(received)

    async def receive() -> Any:
        return next(messages)

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "http",
        "path": path, "raw_path": path.encode(), "root_path": "", "query_string": b"", "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8080),
        "headers": [(b"host", b"127.0.0.1:8080")]
        + [(name.lower().encode(), value.encode()) for name, value in headers.items()],
    }  # fmt: skip
    asyncio.run(build_app(node.site)(scope, receive, send))
    return statuses[0]


def test_a_token_is_asked_for_before_the_body(node: PageNode, browser: Browse) -> None:
    """Without a token not a byte of a body is taken; with one a large body is refused, and a caller that goes away in
    its middle is no error of the node."""
    secret = new_secret()
    node.site.accounts.add_token("operator", "a large body", digest_of(secret), "test")
    client = browser().client
    authorised = {"Authorization": f"Bearer {secret}"}
    assert client.post("/api/v1/jobs/1/review", content=b"x" * 30_000).status_code == 401
    assert client.post("/api/v1/jobs/1/review", content=b"x" * 30_000, headers=authorised).status_code == 413
    gone = _asked(node, "/api/v1/jobs/1/review", authorised, [{"type": "http.disconnect"}])
    assert gone == 400
    assert _asked(node, "/api/v1/jobs/1/review", {}, []) == 401  # nothing is there to be received
