"""A FHIR R4 server on loopback: it validates with fhir.resources and keeps what transactions create and update."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from fhir.resources.R4B import get_fhir_model_class
from pydantic import ValidationError

Answer = tuple[int, dict[str, str], Any]


def outcome(text: str, severity: str = "error", **more: Any) -> dict[str, Any]:
    """An OperationOutcome with one issue."""
    issue = {"severity": severity, "code": "processing", "diagnostics": text, **more}
    return {"resourceType": "OperationOutcome", "issue": [issue]}


@dataclass
class FhirStore:
    """What the server holds: `resources` in the order of their creation, and the requests that it has read."""

    answer: Callable[[bytes], Answer | None] = lambda _body: None
    resources: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    versions: int = 0

    def all(self, kind: str) -> list[dict[str, Any]]:
        """The resources of one kind."""
        return [found for found in self.resources if found["resourceType"] == kind]

    def transaction(self, body: bytes) -> Answer:
        """Do what a Bundle asks, by http://hl7.org/fhir/R4/http.html, or refuse all of it."""
        try:
            bundle = get_fhir_model_class("Bundle").model_validate_json(body)
        except ValidationError as error:
            return 400, {}, outcome(str(error)[:300])
        assert bundle.type == "transaction"
        entries = json.loads(body)["entry"]
        return 200, {}, {
            "resourceType": "Bundle",
            "type": "transaction-response",
            "entry": [{"response": {"status": self._one(entry)}} for entry in entries],
        }  # fmt: skip

    def _one(self, entry: dict[str, Any]) -> str:
        request, resource = entry["request"], entry["resource"]
        kind, _, query = request["url"].partition("?")
        query = query or request["ifNoneExist"]
        assert kind == resource["resourceType"]
        system, value = parse_qs(query)["identifier"][0].split("|")
        found = [
            one
            for one in self.all(kind)
            if any((name["system"], name["value"]) == (system, value) for name in one["identifier"])
        ]
        assert len(found) < 2, "412"
        if found and request["method"] == "POST":
            return "200 OK"
        self.versions += 1
        if found:
            found[0].clear()
            found[0].update(resource)
            return "200 OK"
        self.resources.append(dict(resource))
        return "201 Created"


@contextmanager
def fhir_server(store: FhirStore) -> Iterator[str]:
    """Serve a store; gives the base URL."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            store.headers.append(dict(self.headers))
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self._say(*(store.answer(body) or store.transaction(body)))

        def do_GET(self) -> None:
            assert urlsplit(self.path).path == "/fhir/metadata"
            store.headers.append(dict(self.headers))
            rest = [{"mode": "server", "interaction": [{"code": "transaction"}]}]
            said = {"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1", "rest": rest}
            self._say(*(store.answer(b"") or (200, {}, said)))

        def _say(self, status: int, headers: dict[str, str], said: Any) -> None:
            raw = said if isinstance(said, bytes) else json.dumps(said).encode()
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
        yield f"http://127.0.0.1:{server.server_address[1]}/fhir"
    finally:
        server.shutdown()
        server.server_close()
