"""The viewer's web server, over real connections."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from support.processes import free_port

from dicom_node.demo.viewer.web import Site, serve_site


class _Asked(BaseHTTPRequestHandler):
    """In place of Orthanc: repeats what it was asked."""

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        text = f"{self.command} {self.path} {self.headers['Host']} {self.headers['Accept']} ".encode() + body
        self.send_response(206)
        self.send_header("Content-Type", "multipart/related; boundary=x")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_args: object) -> None:
        pass


@dataclass(frozen=True)
class Served:
    """A site and the server behind it."""

    port: int
    orthanc: ThreadingHTTPServer

    def ask(self, path: str, method: str = "GET", body: bytes | None = None, **headers: str) -> tuple[int, dict, bytes]:
        """Status, headers in lower case, body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, content


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """A viewer of two files."""
    ohif = tmp_path / "ohif"
    (ohif / "assets").mkdir(parents=True)
    (ohif / "index.html").write_text("<html>page</html>")
    (ohif / "assets" / "code.js").write_text("let code;")
    (ohif / "app-config.js").write_text("of the package")
    (tmp_path / "secret.txt").write_text("not to be served")
    (tmp_path / "ours.js").write_text("window.config = 'ours';")
    orthanc = ThreadingHTTPServer(("127.0.0.1", 0), _Asked)
    thread = threading.Thread(target=orthanc.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    port = free_port()
    with serve_site(Site(ohif, tmp_path / "ours.js", orthanc.server_address[1]), port):
        yield Served(port, orthanc)
    orthanc.shutdown()
    orthanc.server_close()
    thread.join()


def test_pages_and_files(served: Served) -> None:
    """Every address that is no file is the viewer's page; a missing file is missing; the configuration is ours."""
    for page in ("/", "/viewer?StudyInstanceUIDs=1.2", "/segmentation"):
        assert served.ask(page)[2] == b"<html>page</html>"
    status, headers, body = served.ask("/assets/code.js")
    assert (status, body) == (200, b"let code;")
    assert "javascript" in headers["content-type"]
    assert served.ask("/assets/gone.js")[0] == 404
    assert served.ask("/app-config.js")[2] == b"window.config = 'ours';"


@pytest.mark.parametrize("path", ["/", "/assets/code.js", "/gone.js", "/dicom-web/studies"])
def test_every_answer_isolates_the_page(served: Served, path: str) -> None:
    """The page may share memory between its threads, asks no other machine, and is not kept from npm's 1985 on."""
    headers = served.ask(path)[1]
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert headers["cross-origin-embedder-policy"] == "require-corp"
    assert headers["content-security-policy"].startswith("default-src 'self'")
    assert headers["cache-control"] == "no-cache"


def test_dicomweb_passes_through(served: Served) -> None:
    """Question, Host (of which Orthanc makes addresses), body, status and type come through as they are."""
    host = f"127.0.0.1:{served.port}"
    status, headers, body = served.ask("/dicom-web/studies?limit=1", Accept="application/dicom+json")
    assert (status, headers["content-type"]) == (206, "multipart/related; boundary=x")
    assert body == f"GET /dicom-web/studies?limit=1 {host} application/dicom+json ".encode()
    assert served.ask("/dicom-web/studies", "POST", b"12345", Accept="a")[2].endswith(b" a 12345")


def test_orthanc_away(served: Served) -> None:
    """An Orthanc that does not answer is reported as such."""
    served.orthanc.shutdown()
    served.orthanc.server_close()
    assert served.ask("/dicom-web/studies")[0] == 502


@pytest.mark.parametrize(
    "path", ["/../secret.txt", "/..%2fsecret.txt", "/assets/../../secret.txt", "/%2e%2e/secret.txt"]
)
def test_nothing_outside_the_folder(served: Served, path: str) -> None:
    """No address leads out of OHIF's folder."""
    assert b"not to be served" not in served.ask(path)[2]


def test_other_names_are_refused(served: Served) -> None:
    """A page of another site that lets its own name lead to this machine gets nothing; files take no POST."""
    assert served.ask("/", Host="evil.example")[0] == 403
    assert served.ask("/dicom-web/studies", Host=f"evil.example:{served.port}")[0] == 403
    assert served.ask("/", Host=f"localhost:{served.port}")[0] == 200
    assert served.ask("/index.html", "POST", b"x")[0] == 405
