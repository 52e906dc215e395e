"""The outbox."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dicom_node.node.errors import ResultError
from dicom_node.node.outbox import Outbox

# Writes one file of a result set, says where, and waits to be killed.
_HALF = """
import sys, time
from pathlib import Path
from dicom_node.node.outbox import Outbox
with Outbox(Path(sys.argv[1]), sys.argv[2]).workplace(3) as workplace:
    (workplace / "seg.dcm").write_bytes(b"half")
    print(workplace, flush=True)
    time.sleep(600)
"""


def half_written(folder: Path, host: str) -> tuple[subprocess.Popen[str], Path]:
    """A worker process in the middle of writing, and its workplace."""
    command = [sys.executable, "-c", _HALF, str(folder), host]
    worker = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert worker.stdout is not None
    return worker, Path(worker.stdout.readline().strip())


def unfinished(folder: Path) -> list[Path]:
    """What lies in the folder of what is being written."""
    return list((folder / "unfinished").iterdir())


def test_a_failed_attempt_leaves_nothing(tmp_path: Path) -> None:
    """An attempt that fails while writing leaves no half result set."""
    outbox = Outbox(tmp_path)
    with pytest.raises(ValueError, match="no"), outbox.workplace(7) as workplace:
        (workplace / "seg.dcm").write_bytes(b"half")
        raise ValueError("no")
    assert outbox.of_job(7) is None
    assert unfinished(tmp_path) == []


def test_a_second_attempt_replaces_nothing(tmp_path: Path) -> None:
    """Publishing twice leaves both result sets whole, and the later one is the job's: the first may be on its way."""
    outbox = Outbox(tmp_path)
    folders = []
    for content in (b"one", b"two"):
        with outbox.workplace(7) as workplace:
            (workplace / "seg.dcm").write_bytes(content)
            folders.append(outbox.publish(7, workplace, ["seg.dcm"]))
    assert [(folder / "seg.dcm").read_bytes() for folder in folders] == [b"one", b"two"]
    assert outbox.of_job(7) == folders[1]
    outbox.withdraw(folders[1])
    assert outbox.of_job(7) == folders[0]
    assert unfinished(tmp_path) == []


def test_half_a_result_set_is_not_published(tmp_path: Path) -> None:
    """A workplace that has lost a file, or all of them, is an error that says so, and nothing is published."""
    outbox = Outbox(tmp_path)
    with outbox.workplace(8) as workplace:
        (workplace / "sr.dcm").write_bytes(b"sr")
        with pytest.raises(ResultError, match=r"expected seg\.dcm, sr\.dcm; found sr\.dcm"):
            outbox.publish(8, workplace, ["seg.dcm", "sr.dcm"])
        (workplace / "sr.dcm").unlink()
        workplace.rmdir()
        with pytest.raises(ResultError, match="found nothing"):
            outbox.publish(8, workplace, ["sr.dcm"])
    assert outbox.of_job(8) is None


def test_leftovers_of_the_dead_are_cleared(tmp_path: Path) -> None:
    """What a killed worker left is cleared at the next start; what a living one writes is not."""
    worker, workplace = half_written(tmp_path, "here")
    outbox = Outbox(tmp_path, "here")
    outbox.clear_unfinished()
    assert (workplace / "seg.dcm").exists()
    worker.kill()
    worker.wait()
    with outbox.workplace(4) as living:
        Outbox(tmp_path, "here").clear_unfinished()
        assert living.exists()
        assert not workplace.exists()
    assert unfinished(tmp_path) == []


def test_what_another_machine_writes_stays(tmp_path: Path) -> None:
    """On an outbox that machines share, a starting worker clears nothing of another machine, whose locks it may not
    see; unless it has lain there for more than a week."""
    worker, workplace = half_written(tmp_path, "there")
    worker.kill()
    worker.wait()
    Outbox(tmp_path, "here").clear_unfinished()
    assert (workplace / "seg.dcm").exists()
    old = time.time() - 8 * 86_400
    os.utime(workplace.with_name(f"{workplace.name}.lock"), (old, old))
    Outbox(tmp_path, "here").clear_unfinished()
    assert unfinished(tmp_path) == []


def test_what_is_held_is_kept_and_never_the_jobs_result(tmp_path: Path) -> None:
    """A held set is kept under held/<job>, the newest one only, until the job has a right one; it is no result."""
    outbox = Outbox(tmp_path)
    for content in (b"one", b"two"):
        with outbox.workplace(7) as workplace:
            (workplace / "seg.dcm").write_bytes(content)
            held = outbox.quarantine(7, workplace)
    assert held == tmp_path / "held" / "7"
    assert (held / "seg.dcm").read_bytes() == b"two"
    assert outbox.of_job(7) is None
    assert unfinished(tmp_path) == []
    outbox.release(7)
    assert not held.exists()
