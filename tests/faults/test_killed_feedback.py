"""Kill -9 between any two steps of attending to a correction: it is entered once, decided once, and never lost."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from support.feedback import AnalysedNode

from db.audit import audit_entries
from dicom_node.feedback.read import FeedbackReader

pytestmark = pytest.mark.slow

# Between entering and deciding a look only reads, so that these are all the moments there are.
_STEPS = (("receive", "before"), ("receive", "after"), ("decide", "before"), ("decide", "after"))


def _attend(storage: Path, point: str, when: str = "-") -> int:
    tests = Path(__file__).resolve().parents[1]
    environment = {**os.environ, "PYTHONPATH": f"{tests.parent}:{tests}"}
    command = [sys.executable, "-m", "support.dying_desk", str(storage), point, when]
    return subprocess.run(command, env=environment, cwd=tests, timeout=280, check=False).returncode


def test_killed_at_every_step(tmp_path: Path) -> None:
    """A worker dies at one step after the other; after each the correction is there, and at the end it is accepted,
    with one line in the audit."""
    with closing(FeedbackReader()) as reader:
        node = AnalysedNode(tmp_path, reader=reader)
        node.receive_series()
        node.analyse()
        file = tmp_path / "corrected.dcm"
        node.edited(node.corrected_mask()).save_as(file, enforce_file_format=True)
        node.receive([file])
        uids = {activity.series_instance_uid for activity in node.inbox.open_series()}
        for point, when in _STEPS:
            assert _attend(tmp_path, point, when) == -9, (point, when)
            entered = {row.series_instance_uid for row in node.feedback.list()}
            waiting = {activity.series_instance_uid for activity in node.inbox.open_series()}
            assert uids <= entered | waiting, (point, when)
        assert _attend(tmp_path, "none") == 0
        (one,) = node.feedback.list(everything=True)
        assert (str(one.state), one.job_id) == ("accepted", 1)
        assert (tmp_path / one.path).exists()
        assert [entry.action for entry in audit_entries(node.database)] == ["feedback accepted"]
        node.database.close()
