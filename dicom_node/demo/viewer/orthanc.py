"""Orthanc as the PACS: a separate process in a separate folder, for callers on this machine only."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from dicom_node.node.errors import ViewerError
from dicom_node.serve.ports import wait_until_listening

_HOST: Final = "127.0.0.1"
# Debian keeps programs of services out of users' PATH.
_PLACES: Final = (*os.environ.get("PATH", os.defpath).split(os.pathsep), "/usr/sbin")
_PLUGIN_FOLDERS: Final = ("/usr/share/orthanc/plugins", "/usr/lib/orthanc", "/usr/local/share/orthanc/plugins")
# DICOMweb is what OHIF speaks; GDCM decodes what scanners compress, and is not needed for the rest.
_DICOM_WEB_PLUGIN: Final = "libOrthancDicomWeb.so"
_GDCM_PLUGIN: Final = "libOrthancGdcm.so"
_START_SECONDS: Final = 30.0
_STOP_SECONDS: Final = 30.0
_ANSWER_SECONDS: Final = 120.0


@dataclass(frozen=True)
class OrthancParts:
    """Where Orthanc and its plugins are installed."""

    program: Path
    plugins: tuple[Path, ...]


@dataclass(frozen=True)
class Orthanc:
    """A running Orthanc.

    Attributes:
        ae_title: of its storage SCP.
        dicom_port, http_port: on this machine.
        process: of which we are the parent.
        log_file: what to read when it has ended.
    """

    ae_title: str
    dicom_port: int
    http_port: int
    process: subprocess.Popen[bytes] = field(repr=False)
    log_file: Path

    def require_alive(self) -> None:
        """Raise when it has ended.

        Raises:
            ViewerError: says where its log is.
        """
        if self.process.poll() is not None:
            raise ViewerError(f"Orthanc ended on its own; see {self.log_file}")

    def find(self, level: str, **query: str) -> list[str]:
        """Orthanc's ids of what matches these DICOM keywords; `level` is "Study", "Series" or "Instance".

        Raises:
            ViewerError: it does not answer.
        """
        found: list[str] = json.loads(self._ask("/tools/find", {"Level": level, "Query": query}))
        return found

    def instance(self, sop_instance_uid: str) -> bytes | None:
        """The file of an instance as Orthanc keeps it; None when it has none.

        Raises:
            ViewerError: it does not answer.
        """
        ids = self.find("Instance", SOPInstanceUID=sop_instance_uid)
        return self._ask(f"/instances/{ids[0]}/file") if ids else None

    def _ask(self, path: str, body: Any = None) -> bytes:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://{_HOST}:{self.http_port}{path}", data)
        try:
            with urllib.request.urlopen(request, timeout=_ANSWER_SECONDS) as answer:  # noqa: S310
                content: bytes = answer.read()
        except (OSError, urllib.error.URLError) as error:
            raise ViewerError(f"Orthanc does not answer {path}: {error}") from error
        return content


def find_orthanc() -> OrthancParts:
    """Orthanc with DICOMweb, as installed.

    Raises:
        ViewerError: names what is missing and how to install it.
    """
    program = next((path for place in _PLACES if (path := shutil.which("Orthanc", path=place))), None)
    if program is None:
        raise ViewerError("Orthanc is not installed; on Debian: make peers, or apt install orthanc orthanc-dicomweb")
    plugins = [_plugin(name) for name in (_DICOM_WEB_PLUGIN, _GDCM_PLUGIN)]
    if plugins[0] is None:
        raise ViewerError("Orthanc's DICOMweb plugin is not installed; on Debian: apt install orthanc-dicomweb")
    return OrthancParts(Path(program), tuple(plugin for plugin in plugins if plugin is not None))


def _plugin(name: str) -> Path | None:
    return next((path for folder in _PLUGIN_FOLDERS if (path := Path(folder) / name).exists()), None)


@contextmanager
def run_orthanc(
    parts: OrthancParts,
    configuration: Path,
    folder: Path,
    log_file: Path,
    dicom_port: int,
    http_port: int,
    modalities: Mapping[str, tuple[str, int]],
) -> Iterator[Orthanc]:
    """Run Orthanc while the block lasts.

    Args:
        parts: what is installed.
        configuration: folder with orthanc.json and, when it shall route, routing.lua.
        folder: for its database; its log goes to `log_file`.
        dicom_port, http_port: where it listens.
        modalities: its name of a peer -> (AE title, port on this machine): peers that it answers and sends to.

    Raises:
        ViewerError: it did not start.
    """
    folder.mkdir(parents=True, exist_ok=True)
    settings = json.loads((configuration / "orthanc.json").read_text("utf-8"))
    lua = configuration / "routing.lua"
    settings |= {
        "StorageDirectory": str(folder),
        "IndexDirectory": str(folder),
        "DicomPort": dicom_port,
        "HttpPort": http_port,
        "Plugins": [str(plugin) for plugin in parts.plugins],
        "LuaScripts": [str(lua)] if lua.exists() else [],
        "DicomModalities": {
            name: {"AET": ae_title, "Host": _HOST, "Port": port} for name, (ae_title, port) in modalities.items()
        },
    }
    file = folder / "orthanc.json"
    file.write_text(json.dumps(settings, indent=2), "utf-8")
    with log_file.open("wb") as log:
        process = subprocess.Popen(
            [parts.program, file], stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
        )
    try:
        for port in (http_port, dicom_port):
            if not wait_until_listening(_HOST, port, _START_SECONDS, lambda: process.poll() is not None):
                raise ViewerError(f"Orthanc did not start; see {log_file}")
        yield Orthanc(settings["DicomAet"], dicom_port, http_port, process, log_file)
    finally:
        _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
