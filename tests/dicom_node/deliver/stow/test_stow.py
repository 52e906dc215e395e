"""STOW-RS and QIDO-RS, with Orthanc's DICOMweb plugin, and with a server that answers as a test says."""

from __future__ import annotations

import http.server
import io
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from support.databases import sqlite_url, with_schema
from support.mr import mr_series, summary_page
from support.orthanc import orthanc
from support.proving import proving

from dicom_node.deliver.send import SendOutcome
from dicom_node.deliver.stow import RefusedSyntaxes, WebCall, store_files
from dicom_node.node.destinations import WebDestination
from dicom_node.node.errors import ConfigurationError
from dicom_node.node.settings import load_settings

pytestmark = pytest.mark.slow

EXPLICIT = "1.2.840.10008.1.2.1"
JPEG_LS = "1.2.840.10008.1.2.4.80"
RLE = "1.2.840.10008.1.2.5"

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


def _send(url: str, file: Path, refused: RefusedSyntaxes | None = None, **options: Any) -> SendOutcome:
    destination = WebDestination(name="web", url=url, **options)
    (outcome,) = store_files([file], WebCall(destination, None), lambda _outcome: True, refused)
    return outcome


def _object_in(body: bytes) -> pydicom.Dataset:
    """The one object of a body, behind the headers of its part."""
    return pydicom.dcmread(io.BytesIO(body.partition(b"\r\n\r\n")[2].rpartition(b"\r\n--")[0]))


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


@pytest.mark.peer("Orthanc")
def test_orthanc_takes_pages_compressed(tmp_path: Path) -> None:
    """With `+compressed` Orthanc holds a page as JPEG-LS under its UIDs, with the same pixels, and QIDO-RS proves the
    delivery; without, and all that is no page, it holds the file."""
    url = sqlite_url(tmp_path)
    with_schema(url)
    with orthanc(tmp_path / "orthanc", {}) as server:
        address = f"http://127.0.0.1:{server.http_port}/dicom-web"
        plain = WebDestination(name="plain", url=address)
        web = WebDestination(name="web", url=address, verify=True, compress="pages")
        with proving(tmp_path, url, {"plain": plain, "web": web}) as node:
            page = summary_page(tmp_path / "outbox" / "summary.dcm")
            (image,) = mr_series(tmp_path / "outbox", 1, matrix=512)
            job_id = node.deliver([image, page], "web")
            assert node.deliverer.deliver_once()
            assert node.prover.prove_once()
            assert node.standing(job_id) == (["committed"], "done")
            sent = pydicom.dcmread(page)
            (known,) = server.find("Instance", SOPInstanceUID=str(sent.SOPInstanceUID))
            stored = pydicom.dcmread(io.BytesIO(server.get_bytes(f"/instances/{known}/file")))
            assert stored.file_meta.TransferSyntaxUID == JPEG_LS
            assert np.array_equal(stored.pixel_array, sent.pixel_array)
            del stored.PixelData, sent.PixelData
            assert stored == sent
            (other,) = set(server.get("/instances")) - {known}
            assert server.get_bytes(f"/instances/{other}/file") == image.read_bytes()
            server.delete(f"/instances/{known}")
            node.deliver([page], "plain")
            assert node.deliverer.deliver_once()
            assert server.get_bytes(f"/instances/{known}/file") == page.read_bytes()


@pytest.mark.parametrize(
    ("code", "failed"),
    [(415, None), (409, 0x0122), (202, 0xC122), (400, None), (500, None), (None, None)],
    ids=["415", "409", "202", "400", "500", "hangs up"],
)
def test_a_server_that_does_not_take_them_compressed(tmp_path: Path, code: int | None, failed: int | None) -> None:
    """It gets the page as it is, at once, and pages of later sets in no transfer syntax that it did not take."""
    page = summary_page(tmp_path / "summary.dcm")
    got: list[str] = []

    def answer(_path: str, body: bytes) -> Answer:
        sent = _object_in(body)
        uid, syntax = str(sent.SOPInstanceUID), str(sent.file_meta.TransferSyntaxUID)
        got.append(syntax)
        if syntax == EXPLICIT:
            return 200, {}, _named("00081199", uid)
        if code is None:
            raise ConnectionAbortedError
        return code, {}, {} if failed is None else _named("00081198", uid, t00081197=failed)

    refused = RefusedSyntaxes()
    with _web(answer) as (url, seen):
        assert all(_send(url, page, refused, compress="pages").ok for _set in range(3))
    assert got == [JPEG_LS, EXPLICIT, RLE, EXPLICIT, EXPLICIT]
    said = [headers["Content-Type"].partition("transfer-syntax=")[2].partition(";")[0] for headers in seen]
    assert said == [JPEG_LS, "", RLE, "", ""]


@pytest.mark.peer("Orthanc")
def test_a_server_that_stores_pages_and_cannot_decode_them(tmp_path: Path) -> None:
    """An Orthanc without decoders takes JPEG-LS and RLE and gives no pixels: with `+verify` it is asked, the page
    follows as it is, and later pages go so at once; one that decodes is asked once."""
    refused = RefusedSyntaxes()
    with orthanc(tmp_path / "blind", {}, decodes=False) as server:
        url = f"http://127.0.0.1:{server.http_port}/dicom-web"
        syntaxes = []
        for number in range(3):
            page = summary_page(tmp_path / f"{number}.dcm")
            assert _send(url, page, refused, compress="pages", verify=True).ok
            (known,) = server.find("Instance", SOPInstanceUID=str(pydicom.dcmread(page).SOPInstanceUID))
            assert server.get_bytes(f"/instances/{known}/file") == page.read_bytes()
            syntaxes.append((refused.has("web", JPEG_LS), refused.has("web", RLE)))
        assert syntaxes == [(True, False), (True, True), (True, True)]
    with orthanc(tmp_path / "seeing", {}) as server:
        url = f"http://127.0.0.1:{server.http_port}/dicom-web"
        assert _send(
            url, summary_page(tmp_path / "seen.dcm"), seen := RefusedSyntaxes(), compress="pages", verify=True
        ).ok
        assert (seen.has("web", JPEG_LS), seen.is_decoded("web", JPEG_LS)) == (False, True)


@pytest.mark.parametrize("code", [401, 404, 429, 503])
def test_what_is_no_matter_of_the_transfer_syntax(tmp_path: Path, code: int) -> None:
    """A login, an address or load that stops a compressed page stops the plain one too: it is asked once, and remembers
    nothing."""
    page, refused = summary_page(tmp_path / "summary.dcm"), RefusedSyntaxes()
    with _web(lambda _path, _body: (code, {}, {})) as (url, seen):
        assert not _send(url, page, refused, compress="pages").ok
    assert len(seen) == 1
    assert not refused.has("web", JPEG_LS)


def test_an_object_that_is_refused_in_every_form(tmp_path: Path) -> None:
    """A refusal of the object itself says nothing about the transfer syntax."""
    page, refused = summary_page(tmp_path / "summary.dcm"), RefusedSyntaxes()
    with _web(lambda _path, _body: (409, {}, {})) as (url, seen):
        assert _send(url, page, refused, compress="pages").status == 0xA900
    assert len(seen) == 2
    assert not refused.has("web", JPEG_LS)


def test_pages_go_compressed_to_web_servers_only_where_that_is_set_up() -> None:
    """`+compressed` is an option of web destinations, off by default; a DICOM peer, which negotiates, has none."""
    (web,) = load_settings(destinations="web=https://pacs.example/dicom-web").destinations
    assert isinstance(web, WebDestination) and web.compress == "none"
    (web,) = load_settings(destinations="web=https://pacs.example/dicom-web+compressed").destinations
    assert isinstance(web, WebDestination) and web.compress == "pages"
    assert str(web) == "web=https://pacs.example/dicom-web+compressed"
    with pytest.raises(ConfigurationError, match="that one is for a web destination"):
        load_settings(destinations="pacs=PACS@127.0.0.1:104+compressed")
