"""`wmh-node setup`: questions, what is tried, and the file."""

from __future__ import annotations

import os
import pty
import select
import socket
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from click.testing import Result
from support.dcmtk import storescp
from support.node import clean_environment
from support.processes import free_port
from typer.testing import CliRunner

from dicom_node.cli.main import build_app
from dicom_node.node.settings import load_settings


def _run(*arguments: object, code: int = 0) -> Result:
    done = CliRunner().invoke(build_app("setup"), ["setup", *map(str, arguments)], env={"WMH_NODE_CONFIG": None})
    assert done.exit_code == code, done.output
    return done


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "etc" / "wmh-node.toml"


@pytest.mark.peer("storescp")
def test_options_are_tried_and_written(file: Path, tmp_path: Path) -> None:
    """With options nothing is asked: a real PACS is called, the folder is written to, and `serve` can read the file."""
    pacs, ours = free_port(), free_port()
    (tmp_path / "pacs").mkdir()
    with storescp(tmp_path / "pacs", pacs, tmp_path / "log"):
        done = _run(
            "--out", file, "--yes", "--ae-title", "LESION7", "--listen", f"127.0.0.1:{ours}",
            "--peers", "SCANNER1@127.0.0.1, PACS", "--destinations", f"pacs=PACS@127.0.0.1:{pacs}",
            "--storage", tmp_path / "storage", "--database", "sqlite",
        )  # fmt: skip
    assert "answers C-ECHO" in done.output and "takes files" in done.output
    settings = load_settings(file)
    assert (settings.ae_title, settings.dicom_port, settings.storage) == ("LESION7", ours, tmp_path / "storage")
    assert [str(peer) for peer in settings.peers] == ["SCANNER1@127.0.0.1", "PACS"]
    assert [str(destination) for destination in settings.destinations] == [f"pacs=PACS@127.0.0.1:{pacs}"]
    assert list((tmp_path / "storage").iterdir()) == []
    assert file.stat().st_mode & 0o007 == 0
    comments = [line for line in file.read_text().splitlines() if line.startswith("# ")]
    assert len(comments) > 8 and '# database_url = "postgresql:///wmh_node"' in comments


@pytest.mark.parametrize(
    ("option", "answer", "words", "code"),
    [
        ("--destinations", "pacs=PACS@127.0.0.1:1", "is the PACS running", 1),
        ("--storage", "/proc/wmh-node", "choose another folder", 1),
        ("--database", "postgresql://wmh@127.0.0.1:1/wmh", "127.0.0.1", 1),
        ("--peers", "SCANNER@no-such-host.invalid", "does not resolve", 1),
        ("--ae-title", "A TITLE THAT IS TOO LONG", "1 to 16 printable characters", 2),
        ("--listen", "somewhere", "expected PORT or ADDRESS:PORT", 2),
        ("--database", "postgresql://wmh:s3cret@db/wmh", "without a password", 2),
    ],
)
def test_what_does_not_work_writes_nothing(
    option: str, answer: str, words: str, code: int, file: Path, tmp_path: Path
) -> None:
    """A wrong answer, or one that does not work, is named with the next step; no file is written; no password shown."""
    answers = {"--listen": f"127.0.0.1:{free_port()}", "--storage": str(tmp_path / "storage"), option: answer}
    done = _run("--out", file, "--yes", *(word for pair in answers.items() for word in pair), code=code)
    assert words in done.output.replace("\n", " ") and "s3cret" not in done.output
    assert not file.exists()


def test_a_port_that_is_taken_is_named(file: Path, tmp_path: Path) -> None:
    """A port on which another program listens is no answer; --untested writes it anyway."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        answers = ["--listen", f"127.0.0.1:{other.getsockname()[1]}", "--storage", tmp_path / "storage"]
        assert "cannot listen on" in _run("--out", file, "--yes", *answers, code=1).output
        _run("--out", file, "--yes", "--untested", *answers)
    assert load_settings(file).bind == "127.0.0.1"


def test_settings_that_were_there_stay(file: Path, tmp_path: Path) -> None:
    """Another run changes what it is asked for; other settings, tables of destinations and the file's rights stay."""
    file.parent.mkdir()
    file.write_text(
        'AE_TITLE = "OLD"\nquiet_seconds = 5\nmail_to = ["a@hospital.example"]\nmail_server = "smtp"\npurge = false\n'
        '[[destinations]]\nname = "pacs"\nae_title = "PACS"\nhost = "10.0.0.5"\nport = 2762\ntls = true\n'
        'tls_ca = "/etc/ca \\"1\\".pem"\n'
    )
    file.chmod(0o600)
    _run("--out", file, "--yes", "--untested", "--storage", tmp_path, "--ae-title", "NEW")
    values = tomllib.loads(file.read_text())
    assert (values["ae_title"], values["quiet_seconds"], values["purge"]) == ("NEW", 5, False)
    assert values["destinations"][0]["tls_ca"] == '/etc/ca "1".pem'
    assert file.stat().st_mode & 0o777 == 0o600
    load_settings(file)


def test_a_person_is_asked_until_an_answer_works(file: Path, tmp_path: Path) -> None:
    """On a terminal the six questions come with defaults, and a wrong answer is asked again."""
    ours, storage = free_port(), tmp_path / "storage"
    replies = ["LESION7", "nowhere", f"127.0.0.1:{ours}", "", "", str(storage), ""]
    leader, follower = pty.openpty()
    command = [sys.executable, "-m", "dicom_node.cli", "setup", "--out", str(file)]
    with subprocess.Popen(command, stdin=follower, stdout=follower, stderr=follower, env=clean_environment()) as asked:
        os.close(follower)
        said = _converse(leader, replies)
        assert asked.wait(60) == 0, said
    os.close(leader)
    assert "expected PORT or ADDRESS:PORT" in said and "is written" in said
    settings = load_settings(file)
    assert (settings.ae_title, settings.dicom_port, settings.storage) == ("LESION7", ours, storage)


def _converse(terminal: int, replies: list[str]) -> str:
    """Answer each prompt ("...]: ") with the next reply; everything that was said, until the end."""
    said, answered = "", 0
    while select.select([terminal], [], [], 120)[0]:
        try:
            piece = os.read(terminal, 4096)
        except OSError:  # the other end is closed
            break
        said += piece.decode(errors="replace")
        while answered < len(replies) and said.count("]: ") > answered:
            os.write(terminal, f"{replies[answered]}\n".encode())
            answered += 1
    return said
