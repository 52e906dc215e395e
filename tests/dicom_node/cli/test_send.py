"""`wmh-node send`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.dcmtk import PACS_AE_TITLE, storescp
from support.node import run_cli
from support.phantoms import phantom_files
from support.processes import free_port
from support.receiver import ReceiverProcess

from dicom_node.demo.phantom.phantom import PhantomSpec
from dicom_node.receive.receiver_settings import AllowedPeer


@pytest.fixture(scope="module")
def series(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A small phantom series, with files beside it that are no DICOM."""
    return phantom_files(PhantomSpec(slices=12, matrix=128), tmp_path_factory.mktemp("series"))


@pytest.mark.peer("storescp")
def test_a_folder_goes_to_a_real_scp(series: list[Path], tmp_path: Path) -> None:
    """Every DICOM file of a folder arrives at DCMTK's storescp; what is no DICOM stays."""
    port = free_port()
    with storescp(tmp_path / "got", port, tmp_path / "log"):
        done = run_cli("send", series[0].parent, "--to", f"{PACS_AE_TITLE}@127.0.0.1:{port}", "--json")
    assert json.loads(done.stdout)["sent"] == len(series)
    assert len(list((tmp_path / "got").iterdir())) == len(series)


def test_a_refusal_is_said_once_and_is_no_missing_answer(series: list[Path], tmp_path: Path) -> None:
    """A receiver that does not know the caller is one line, whatever the number of files, with what to do; `--from`
    calls by a name that it knows, and one that cannot be an AE title is a usage error."""
    with ReceiverProcess(tmp_path / "node", peers=(AllowedPeer("MR1", "127.0.0.1"),)) as receiver:
        to = f"WMHNODE@127.0.0.1:{receiver.port}"
        done = run_cli("send", series[0].parent, "--to", to, code=1)
        said = " ".join(done.stderr.split())
        assert said.count("does not know our AE title WMHNODE: add it there") == 1, said
        assert f"and {len(series) - 1} more" in said
        assert "no answer" not in said
        run_cli("send", series[0].parent, "--to", to, "--from", "MR1")
        wrong = run_cli("send", series[0], "--to", to, "--from", "a\\b", code=2)
        assert "--from: expected an AE title" in " ".join(wrong.stderr.split())


def test_no_peer_there_is_exit_1(series: list[Path]) -> None:
    """A peer that does not answer ends with exit 1 and says so for each file."""
    done = run_cli("send", series[0], "--to", f"X@127.0.0.1:{free_port()}", "--json", code=1)
    answer = json.loads(done.stdout)
    assert answer["sent"] == 0
    assert answer["failed"][0]["status"] is None


def test_usage_errors(series: list[Path], tmp_path: Path) -> None:
    """A malformed address, a missing path and a file that is no DICOM end with exit 2."""
    (tmp_path / "text").write_text("x" * 500)
    run_cli("send", series[0], "--to", "nonsense", code=2)
    run_cli("send", tmp_path / "absent", "--to", "A@127.0.0.1:104", code=2)
    run_cli("send", tmp_path / "text", "--to", "A@127.0.0.1:104", code=2)
