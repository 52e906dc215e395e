"""STOW-RS and QIDO-RS, with Orthanc's DICOMweb plugin, and with a server that answers as a test says."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pydicom
import pytest
from support.databases import sqlite_url, with_schema
from support.mr import mr_series
from support.orthanc import orthanc
from support.proving import proving

from dicom_node.deliver.send import SendOutcome
from dicom_node.deliver.stow import WebCall, store_files
from dicom_node.node.destinations import WebDestination
from dicom_node.node.errors import ConfigurationError

pytestmark = pytest.mark.slow

Answer = tuple[int, dict[str, str], Any]


@contextmanager
def _web(answer: Callable[[str, bytes], Answer]) -> Iterator[tuple[str, list[dict[str, str]]]]:
    """A server on loopback; gives its URL and the headers of the requests."""
    seen: list[dict[str, str]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            seen.append(dict(self.headers))
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status, headers, said = answer(self.path, body)
            raw = json.dumps(said).encode()
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(raw))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/dicom-web", seen
    finally:
        server.shutdown()
        server.server_close()


def _named(sequence: str, uid: str, **reason: int) -> dict[str, Any]:
    item: dict[str, Any] = {"00081155": {"vr": "UI", "Value": [uid]}}
    item |= {tag.lstrip("t"): {"vr": "US", "Value": [number]} for tag, number in reason.items()}
    return {sequence: {"vr": "SQ", "Value": [item]}}


def _send(url: str, file: Path, **options: Any) -> SendOutcome:
    destination = WebDestination(name="web", url=url, **options)
    (outcome,) = store_files([file], WebCall(destination, None), lambda _outcome: True)
    return outcome


@pytest.mark.parametrize(
    ("code", "headers", "said", "status", "words", "wait"),
    [
        (200, {}, lambda uid: _named("00081199", uid), 0x0000, "", 0),
        (200, {}, lambda uid: _named("00081199", uid, t00081196=0xB007), 0xB007, "does not match its SOP class", 0),
        (202, {}, lambda uid: _named("00081198", uid, t00081197=0xA700), 0xA700, "out of resources", 0),
        (202, {}, lambda uid: {}, None, "does not say that the object is stored", 0),
        (200, {}, lambda uid: _named("00081198", uid), 0xA900, "", 0),  # listed as failed, without a reason
        (200, {}, lambda uid: "<html>log in first", None, "does not say that the object is stored", 0),
        (409, {}, lambda uid: _named("00081198", uid, t00081197=0x0110), 0xA900, "0x0110 processing failure", 0),
        (409, {}, lambda uid: [], 0xA900, "refused, without a reason", 0),
        (400, {}, lambda uid: {}, 0xC000, "a fault of ours", 0),
        (401, {}, lambda uid: {}, None, "check the secret of +none", 0),
        (403, {}, lambda uid: {}, None, "give its user that right", 0),
        (404, {}, lambda uid: {}, None, "check the path of the URL", 0),
        (307, {"Location": "http://127.0.0.1:9/"}, lambda uid: {}, None, "sends us elsewhere", 0),
        (429, {"Retry-After": "90"}, lambda uid: {}, None, "asks us to wait", 90),
        (503, {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}, lambda uid: {}, None, "busy", 0),
        (500, {}, lambda uid: "<html>", None, "a fault of the server", 0),
    ],
)
@pytest.mark.slow
def test_answers(
    tmp_path: Path, code: int, headers: dict[str, str], said: Any, status: int | None, words: str, wait: float
) -> None:
    """Each answer means for its object what the table says; what is not about the object never counts as refused."""
    (file,) = mr_series(tmp_path, 1)
    uid = str(pydicom.dcmread(file).SOPInstanceUID)
    with _web(lambda _path, _body: (code, headers, said(uid))) as (url, _seen):
        outcome = _send(url, file)
    assert (outcome.status, outcome.wait_seconds, outcome.answered) == (status, wait, True)
    assert words in outcome.detail
    assert outcome.ok == (status in (0x0000, 0xB007))


def test_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret comes from a file or the environment, goes to the server, and is in no word of ours; without one nothing
    is sent."""
    (file,) = mr_series(tmp_path, 1)
    (tmp_path / "token").write_text("s3cret-token\n")
    with _web(lambda _path, _body: (401, {}, {})) as (url, seen):
        outcome = _send(url, file, login="bearer", secret_file=tmp_path / "token")
        assert seen[-1]["Authorization"] == "Bearer s3cret-token"
        monkeypatch.setenv("WMH_NODE_SECRET_WEB", "user:pass:word")
        outcome = _send(url, file, login="basic")
        assert seen[-1]["Authorization"] == "Basic dXNlcjpwYXNzOndvcmQ="
        assert "pass" not in outcome.detail
        monkeypatch.delenv("WMH_NODE_SECRET_WEB")
        outcome = _send(url, file, login="basic")
        assert len(seen) == 2
        assert "set WMH_NODE_SECRET_WEB to USER:PASSWORD" in outcome.detail
    with pytest.raises(ConfigurationError, match=r"no secret for \+bearer"):
        from dicom_node.node.destinations import secret_of

        secret_of(WebDestination(name="web", url="https://pacs/x", login="bearer"))


def test_no_server(tmp_path: Path) -> None:
    """A server that does not run is named with what to look at; the object was not sent."""
    (file,) = mr_series(tmp_path, 1)
    outcome = _send("http://127.0.0.1:9/dicom-web", file)
    assert outcome.detail == "connection refused by 127.0.0.1:9: is the PACS running, does the firewall allow it?"
    assert not outcome.lost


@pytest.mark.peer("Orthanc")
def test_orthanc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What Orthanc's DICOMweb plugin stores is the file, byte for byte, with a login; QIDO-RS proves it, and an object
    that is gone is sent again; a wrong password is said as such, and nothing is given up."""
    url = sqlite_url(tmp_path)
    with_schema(url)
    with orthanc(tmp_path / "orthanc", {}, users={"node": "pass"}) as server:
        web = WebDestination(
            name="web", url=f"http://127.0.0.1:{server.http_port}/dicom-web", login="basic", verify=True
        )
        monkeypatch.setenv("WMH_NODE_SECRET_WEB", "node:wrong")
        with proving(tmp_path, url, {"web": web}) as node:
            files = mr_series(tmp_path / "outbox", 2)
            job_id = node.deliver(files, "web")
            assert node.deliverer.deliver_once()
            (row,) = node.rows(job_id)
            assert str(row.state) == "pending"
            assert "HTTP 401: it does not accept our login: check the secret of +basic" in (row.reason or "")
            monkeypatch.setenv("WMH_NODE_SECRET_WEB", "node:pass")
            job_id = node.deliver(files, "web")
            assert node.deliverer.deliver_once()
            assert node.prover.prove_once()
            assert node.standing(job_id) == (["committed"], "done")
        stored = [server.get_bytes(f"/instances/{instance}/file") for instance in server.get("/instances")]
        assert sorted(stored) == sorted(file.read_bytes() for file in files)
