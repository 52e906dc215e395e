"""A real Orthanc as the PACS, in its own folder on free loopback ports."""

from __future__ import annotations

import base64
import json
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.peers import peer
from support.processes import free_port, listens, program, until

from dicom_node.node.tls import TlsFiles

AE_TITLE = "ORTHANC"
DICOM_WEB = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")

# Sends every MR series on once nothing new came for StableAge seconds, as a routing rule in a hospital does.
AUTOROUTING = """
function OnStableSeries(series, tags, metadata)
  if tags['Modality'] == 'MR' then
    RestApiPost('/modalities/wmhnode/store', series)
  end
end
"""


@dataclass(frozen=True)
class Orthanc:
    """A running Orthanc."""

    http_port: int
    dicom_port: int
    login: str = ""  # NAME:PASSWORD, where HTTP asks for one

    def _request(self, path: str, data: bytes | None = None, method: str = "GET") -> urllib.request.Request:
        request = urllib.request.Request(f"http://127.0.0.1:{self.http_port}{path}", data, method=method)
        if self.login:
            request.add_header("Authorization", f"Basic {base64.b64encode(self.login.encode()).decode()}")
        return request

    def get(self, path: str) -> Any:
        """JSON answer of the REST API."""
        return json.loads(self.get_bytes(path))

    def get_bytes(self, path: str) -> bytes:
        """Raw answer of the REST API."""
        with urllib.request.urlopen(self._request(path), timeout=60) as answer:
            return answer.read()

    def post(self, path: str, body: Any) -> Any:
        """POST JSON, answer JSON."""
        with urllib.request.urlopen(self._request(path, json.dumps(body).encode(), "POST"), timeout=120) as answer:
            return json.loads(answer.read() or b"null")

    def delete(self, path: str) -> None:
        """DELETE of the REST API."""
        with urllib.request.urlopen(self._request(path, method="DELETE"), timeout=60):
            pass

    def find(self, level: str, **query: str) -> list[str]:
        """Orthanc ids found by DICOM keywords."""
        return self.post("/tools/find", {"Level": level, "Query": query})


@contextmanager
def orthanc(
    folder: Path,
    modalities: Mapping[str, tuple[str, int]],
    *,
    lua: str | None = None,
    dicom_port: int | None = None,
    tls: TlsFiles | None = None,
    users: Mapping[str, str] | None = None,
    decodes: bool = True,
) -> Iterator[Orthanc]:
    """Run Orthanc while the block lasts.

    Args:
        folder: for its configuration, database and log.
        modalities: symbolic name -> (AE title, loopback port).
        lua: a script to load.
        dicom_port: where it listens; free port by default.
        users: when set, HTTP asks for one of these names and its password.
        decodes: without, it stores compressed images and cannot give their pixels.
        tls: when set, it takes and makes connections over TLS only, and both sides show certificates.
    """
    executable = peer("Orthanc")
    folder.mkdir(parents=True, exist_ok=True)
    login = next((f"{name}:{password}" for name, password in (users or {}).items()), "")
    running = Orthanc(free_port(), dicom_port or free_port(), login)
    scripts = []
    if lua is not None:
        (folder / "routing.lua").write_text(lua)
        scripts = [str(folder / "routing.lua")]
    configuration = {
        "Name": "test",
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "storage"),
        "DicomAet": AE_TITLE,
        "DicomPort": running.dicom_port,
        "HttpPort": running.http_port,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": bool(users),
        "RegisteredUsers": dict(users or {}),
        "OverwriteInstances": True,
        "StableAge": 1,
        "LuaScripts": scripts,
        "BuiltinDecoderTranscoderOrder": "Before" if decodes else "Disabled",
        "Plugins": [str(DICOM_WEB)] if DICOM_WEB.exists() else [],
        "DicomModalities": {
            name: {"AET": ae_title, "Host": "127.0.0.1", "Port": port, "UseDicomTls": tls is not None}
            | {"AllowStorageCommitment": True}
            for name, (ae_title, port) in modalities.items()
        },
    }
    if tls is not None:
        configuration |= {
            "DicomTlsEnabled": True,
            "DicomTlsCertificate": str(tls.certificate),
            "DicomTlsPrivateKey": str(tls.key),
            "DicomTlsTrustedCertificates": str(tls.ca),
            "DicomTlsRemoteCertificateRequired": True,
        }
    (folder / "orthanc.json").write_text(json.dumps(configuration))
    log = folder / "orthanc.log"
    with program([executable, str(folder / "orthanc.json")], log, running.http_port):
        until(lambda: listens(running.dicom_port), "Orthanc's DICOM port", 30, log)
        yield running
