"""The web server of the viewer: OHIF's built files, and Orthanc's DICOMweb under the same origin.

Python's own server is enough for one person on one machine, and one part less to install than nginx.
"""

from __future__ import annotations

import http.client
import shutil
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

_HOST: Final = "127.0.0.1"
_DICOM_WEB: Final = "/dicom-web/"
_APP_CONFIG: Final = "/app-config.js"
_ANSWER_SECONDS: Final = 120
# OHIF's decoders share memory between threads, which browsers allow only in such isolated pages (HTML: COOP, COEP).
# The policy of contents keeps the browser from asking any other machine for anything.
_HEADERS: Final = (
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Embedder-Policy", "require-corp"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Content-Security-Policy", "default-src 'self' data: blob: 'unsafe-inline' 'unsafe-eval'"),
    ("X-Content-Type-Options", "nosniff"),
    ("Cache-Control", "no-cache"),  # npm dates every file 1985: browsers would keep the page for years
)
# Of one connection only, not to be passed on (RFC 9110 7.6.1).
_HOP_BY_HOP: Final = frozenset({"connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"})


@dataclass(frozen=True)
class Site:
    """What the server serves.

    Attributes:
        ohif: folder with OHIF's built viewer (index.html in it).
        app_config: the file with the address of OHIF's images.
        orthanc_port: of Orthanc's HTTP server on this machine.
    """

    ohif: Path
    app_config: Path
    orthanc_port: int


@contextmanager
def serve_site(site: Site, port: int) -> Iterator[None]:
    """Serve on the loopback address while the block lasts.

    Raises:
        OSError: the port is taken.
    """
    server = ThreadingHTTPServer((_HOST, port), partial(_Handler, site=site))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(SimpleHTTPRequestHandler):
    """One connection: a file of OHIF, or a question that Orthanc answers."""

    protocol_version = "HTTP/1.1"
    server_version = "wmh-node"

    def __init__(self, *args: Any, site: Site, **kwargs: Any) -> None:
        self._site = site
        super().__init__(*args, directory=str(site.ohif), **kwargs)

    def do_GET(self) -> None:
        """A file, the page of the viewer for an address that is none, or DICOMweb."""
        self._answer(super().do_GET)

    def do_HEAD(self) -> None:
        """As GET, without the body."""
        self._answer(super().do_HEAD)

    def do_POST(self) -> None:
        """DICOMweb only: OHIF stores what a reader drew."""
        self._answer(lambda: self.send_error(HTTPStatus.METHOD_NOT_ALLOWED))

    def end_headers(self) -> None:
        """Add what every answer carries."""
        for name, value in _HEADERS:
            self.send_header(name, value)
        super().end_headers()

    def translate_path(self, path: str) -> str:
        """The file of an address; every address without one is a page of the viewer, which sorts it out itself."""
        address = urlsplit(path).path
        if address == _APP_CONFIG:
            return str(self._site.app_config)
        file = Path(super().translate_path(path))
        is_page = not file.is_file() and not file.suffix
        return str(self._site.ohif / "index.html" if is_page else file)

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing: addresses hold UIDs of studies."""

    def _answer(self, from_files: Any) -> None:
        if not self._is_addressed_here():
            self.send_error(HTTPStatus.FORBIDDEN, "this viewer answers only at its own address")
        elif self.path.startswith(_DICOM_WEB):
            self._ask_orthanc()
        else:
            from_files()

    def _is_addressed_here(self) -> bool:
        """Whether the browser asked for this machine by name: another site could let its own name lead to us."""
        port = self.connection.getsockname()[1]
        return self.headers.get("Host") in {f"{_HOST}:{port}", f"localhost:{port}"}

    def _ask_orthanc(self) -> None:
        """Pass question and answer through; Host too, of which Orthanc makes the addresses of bulk data."""
        orthanc = http.client.HTTPConnection(_HOST, self._site.orthanc_port, timeout=_ANSWER_SECONDS)
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length) if length else None
        headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOP_BY_HOP}
        with closing(orthanc):
            try:
                orthanc.request(self.command, self.path, body, headers)
                answer = orthanc.getresponse()
            except (OSError, http.client.HTTPException):
                self.send_error(HTTPStatus.BAD_GATEWAY, "Orthanc does not answer")
                return
            self._pass_on(answer)

    def _pass_on(self, answer: http.client.HTTPResponse) -> None:
        self.send_response_only(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in _HOP_BY_HOP:
                self.send_header(name, value)
        if answer.length is None:  # chunked: its end is the end of the connection
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        if self.command != "HEAD":
            shutil.copyfileobj(answer, self.wfile)
