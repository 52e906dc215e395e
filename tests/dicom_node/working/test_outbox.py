"""The outbox."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dicom_node.working.outbox import Outbox


def test_a_failed_attempt_leaves_nothing(tmp_path: Path) -> None:
    """An attempt that fails while writing leaves no half result set in the job's folder."""
    outbox = Outbox(tmp_path)
    with pytest.raises(ValueError, match="no"), outbox.workplace(7) as workplace:
        (workplace / "seg.dcm").write_bytes(b"half")
        raise ValueError("no")
    assert not outbox.of_job(7).exists()
    assert list((tmp_path / "unfinished").iterdir()) == []


def test_a_second_attempt_replaces_the_first(tmp_path: Path) -> None:
    """Publishing twice leaves one result set, the later one."""
    outbox = Outbox(tmp_path)
    for content in (b"one", b"two"):
        with outbox.workplace(7) as workplace:
            (workplace / "seg.dcm").write_bytes(content)
            folder = outbox.publish(7, workplace)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {"seg.dcm": b"two"}


def test_leftovers_of_the_dead_are_cleared(tmp_path: Path) -> None:
    """What a killed worker left is cleared at the next start, what a living one writes is not."""
    outbox = Outbox(tmp_path)
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    for pid in (dead.pid, os.getpid()):
        (tmp_path / "unfinished" / f"3-{pid}").mkdir()
    outbox.clear_unfinished()
    assert [path.name for path in (tmp_path / "unfinished").iterdir()] == [f"3-{os.getpid()}"]
