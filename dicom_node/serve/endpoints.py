"""/livez, /readyz, /health and /metrics over HTTP: no login and no writing, closed until METRICS_PORT is set."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Collection
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from db.engine import Database, open_database
from db.overview import overview
from db.records import Overview, RunningRole
from db.roles import RoleTable
from dicom_node.node.errors import ConfigurationError
from dicom_node.node.logger import get_logger
from dicom_node.node.metrics import FOLDER_VARIABLE
from dicom_node.node.settings import Settings
from dicom_node.serve.checks import NEEDED_ROLES, Level, NodeState, look_at_node
from dicom_node.serve.gauges import NodeGauges

log = get_logger()

# Longer than ALIVE_SECONDS: the age of a heartbeat that stopped is worth an alert before it is forgotten.
_REMEMBERED_SECONDS: Final = 3600.0
_REQUEST_SECONDS: Final = 10.0

# What a role needs before work may be sent to it; "serve" runs them all.
_NEEDED_BY: Final = {
    "receive": ("database", "storage"),
    "work": ("database", "storage", "work", "model"),
    "deliver": ("database", "storage"),
    "web": ("database", "storage"),
    "serve": ("database", "storage", *NEEDED_ROLES, "model"),
}


class Endpoints:
    """Answers while the block lasts; does nothing when the settings name no port.

    Args:
        role: whose readiness is asked for: receive, work, deliver, web or serve.
        settings: the node's.
        trouble: what keeps this process from its work, in words; None when nothing does.

    Raises:
        ConfigurationError: the port is taken.
    """

    def __init__(self, role: str, settings: Settings, trouble: Callable[[], str | None] = lambda: None) -> None:
        self._role = role
        self._settings = settings
        self._trouble = trouble
        self._server: _Server | None = None
        self._database: Database | None = None

    @property
    def port(self) -> int:
        """Where it listens; 0: nowhere."""
        return 0 if self._server is None else self._server.server_port

    def __enter__(self) -> Endpoints:
        if self._settings.metrics_port is None:
            return self
        address = (self._settings.metrics_bind, self._settings.metrics_port)
        try:
            self._server = _Server(address, self._answer)
        except OSError as error:
            raise ConfigurationError(
                f"cannot listen on {address[0]}:{address[1]} for health and metrics: {error.strerror}; set "
                "WMH_NODE_METRICS_BIND or WMH_NODE_METRICS_PORT, or stop the program that holds it"
            ) from error
        self._database = open_database(self._settings.database_url)
        self._gauges = NodeGauges(self._settings, self._read)
        threading.Thread(target=self._server.serve_forever, name="endpoints", daemon=True).start()
        log.info("health and metrics", bind=address[0], port=self._server.server_port)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
        if self._database is not None:
            self._database.close()

    def _answer(self, path: str) -> tuple[HTTPStatus, str, bytes]:
        """Status, content type and body of a request."""
        if path == "/livez":
            trouble = self._trouble()
            return _plain(trouble is None, trouble or "ok")
        if path == "/readyz":
            wrong = self._missing(look_at_node(self._settings), _NEEDED_BY[self._role])
            return _plain(not wrong, "; ".join(wrong) or "ok")
        if path == "/health":
            state = look_at_node(self._settings)
            status = HTTPStatus.SERVICE_UNAVAILABLE if state.level is Level.CRITICAL else HTTPStatus.OK
            return status, "application/json", json.dumps(_as_json(state)).encode()
        if path == "/metrics":
            return HTTPStatus.OK, CONTENT_TYPE_LATEST, self._metrics()
        return HTTPStatus.NOT_FOUND, "text/plain; charset=utf-8", b"/livez, /readyz, /health or /metrics\n"

    def _missing(self, state: NodeState, needed: Collection[str]) -> list[str]:
        wrong = [
            f"{check.name}: {check.words}"
            for check in state.checks
            if check.name in needed and (check.level is Level.CRITICAL or (check.name == "model" and not _held(state)))
        ]
        if not os.access(self._settings.storage, os.W_OK):
            wrong.append(f"storage: {self._settings.storage} cannot be written by this process's user")
        return wrong + [words for words in [self._trouble()] if words]

    def _read(self) -> tuple[Overview, list[RunningRole]]:
        assert self._database is not None
        found = overview(self._database, self._database.clock())
        return found, RoleTable(self._database).list(_REMEMBERED_SECONDS)

    def _metrics(self) -> bytes:
        registry = CollectorRegistry()
        registry.register(self._gauges)
        folder = os.environ.get(FOLDER_VARIABLE)
        if folder is not None and Path(folder).is_dir():
            MultiProcessCollector(registry, path=folder)  # type: ignore[no-untyped-call]
            return generate_latest(registry)
        return generate_latest(registry) + generate_latest(REGISTRY)


class _Server(ThreadingHTTPServer):
    """Answers GET; a request that takes long ends, and no error of one reaches another."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], answer: Callable[[str], tuple[HTTPStatus, str, bytes]]) -> None:
        class Handler(BaseHTTPRequestHandler):
            timeout = _REQUEST_SECONDS
            server_version = "wmh-node"
            sys_version = ""

            def do_GET(self) -> None:
                status, kind, body = answer(self.path.partition("?")[0])
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Cache-Control", "no-store")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *arguments: Any) -> None:
                """Say nothing: probes come every few seconds."""

        super().__init__(address, Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """One line, without a traceback: a client that went away is no error of ours."""
        log.debug("a request to health and metrics ended early")


def _plain(good: bool, words: str) -> tuple[HTTPStatus, str, bytes]:
    status = HTTPStatus.OK if good else HTTPStatus.SERVICE_UNAVAILABLE
    return status, "text/plain; charset=utf-8", f"{words}\n".encode()


def _held(state: NodeState) -> bool:
    return any(role.model_digest for role in state.roles)


def _as_json(state: NodeState) -> dict[str, Any]:
    return {
        "state": str(state.level),
        "checks": {check.name: {"state": str(check.level), "words": check.words} for check in state.checks},
    }
