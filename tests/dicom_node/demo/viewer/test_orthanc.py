"""Orthanc as the viewer runs it, and what is said when a part is missing."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.dicom_series import small_scan, write_scan
from support.node import run_cli
from support.peers import peer
from support.processes import free_port, listens

from dicom_node.deliver.send import send_files
from dicom_node.demo.viewer import orthanc as room
from dicom_node.demo.viewer.orthanc import find_orthanc, run_orthanc
from dicom_node.demo.viewer.run import find_parts
from dicom_node.node.destinations import Destination
from dicom_node.node.errors import ViewerError

CONFIGURATION = Path(__file__).parents[4] / "deploy" / "viewer"


@pytest.mark.peer("Orthanc")
def test_it_takes_from_its_peers_only(tmp_path: Path) -> None:
    """A caller that is named is stored, and read back to the byte; one that is not is refused; both ports close with
    the block."""
    peer("Orthanc")
    files = write_scan(small_scan(slices=2), tmp_path / "scan")
    dicom_port, http_port = free_port(), free_port()
    known = {"sender": ("SCANNER", free_port())}
    log = tmp_path / "orthanc.log"
    with run_orthanc(find_orthanc(), CONFIGURATION, tmp_path / "db", log, dicom_port, http_port, known) as orthanc:
        pacs = Destination(name="pacs", ae_title=orthanc.ae_title, host="127.0.0.1", port=dicom_port)
        assert not any(outcome.ok for outcome in send_files(files, pacs, calling_ae_title="STRANGER"))
        assert all(outcome.ok for outcome in send_files(files, pacs, calling_ae_title="SCANNER"))
        (series,) = orthanc.find("Series", Modality="MR")
        assert series
        assert orthanc.instance("1.2.3") is None
        orthanc.require_alive()
        orthanc.process.terminate()
        orthanc.process.wait(30)
        with pytest.raises(ViewerError, match=r"ended on its own.*orthanc\.log"):
            orthanc.require_alive()
    assert not listens(dicom_port)
    assert not listens(http_port)


def test_what_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without OHIF, without the configuration, without Orthanc and without its plugin: which one, and how to get it."""
    with pytest.raises(ViewerError, match=r"OHIF.*index\.html.*make peers"):
        find_parts(tmp_path, CONFIGURATION)
    (tmp_path / "index.html").touch()
    with pytest.raises(ViewerError, match=r"app-config\.js.*deploy/viewer"):
        find_parts(tmp_path, tmp_path)
    monkeypatch.setattr(room, "_PLACES", (str(tmp_path),))
    with pytest.raises(ViewerError, match=r"Orthanc is not installed.*make peers"):
        find_parts(tmp_path, CONFIGURATION)
    (tmp_path / "Orthanc").touch(mode=0o755)
    monkeypatch.setattr(room, "_PLUGIN_FOLDERS", (str(tmp_path),))
    with pytest.raises(ViewerError, match="orthanc-dicomweb"):
        find_parts(tmp_path, CONFIGURATION)


def test_missing_parts_end_the_command(tmp_path: Path) -> None:
    """`wmh-node viewer` says what is missing in one line, and exits 1."""
    done = run_cli("viewer", "--ohif", tmp_path, "--configuration", CONFIGURATION, code=1)
    assert "make peers" in done.stderr
