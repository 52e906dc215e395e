"""Real DICOM of many vendors, none of it a usable FLAIR series: taken or turned away with a reason, never a crash."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.data import shared_data
from support.models import tiny_bundle
from support.node import AE_TITLE, Node
from support.processes import until

pytestmark = [pytest.mark.shared_data, pytest.mark.slow, pytest.mark.timeout(600)]


def test_every_file_of_the_shared_folder(tmp_path: Path) -> None:
    """Every file is refused by the receiver with a status, or its series ends with a reason; no process ends."""
    with Node(tmp_path / "node", "", tiny_bundle(tmp_path / "model"), quiet_seconds_incomplete=2) as node:
        folder = shared_data("dicom")
        done = node.cli("send", folder, "--to", f"{AE_TITLE}@127.0.0.1:{node.port}", "--json", code=None)
        answer = json.loads(done.stdout)
        assert answer["sent"] > 20
        for failed in answer["failed"]:
            assert failed["status"] is not None, f"no answer for {failed['path']}: {failed['detail']}"

        assert any((node.storage / "inbox").rglob("*.dcm"))

        def all_ended() -> bool:
            from db.engine import open_database
            from db.inbox import Inbox

            states = {str(job.state) for job in node.jobs.list()}
            return not Inbox(open_database(node.database_url)).open_series() and not states & {"queued", "running"}

        until(all_ended, "every series decided", 180, node.log)
        jobs = node.jobs.list()
        assert len(jobs) > 10
        for job in jobs:
            assert str(job.state) in ("rejected", "done"), f"{job.series_instance_uid}: {job.state} {job.reason}"
            if str(job.state) == "rejected":
                assert job.code
                assert job.reason
                assert job.code != "unexpected_error", job.reason
        log = node.log.read_text()
    assert "role ended" not in log, log[-3000:]
