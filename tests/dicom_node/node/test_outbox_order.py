"""A result set is on disk before the outbox says so: without this test a flush could be lost unnoticed."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.flushes import Flushes

from dicom_node.node.outbox import Outbox


def test_a_published_result_set_is_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files and their folder are flushed before the rename that makes them visible, and the new name after it."""
    folder = tmp_path.resolve() / "new" / "outbox"
    flushes = Flushes(monkeypatch)
    outbox = Outbox(folder)
    assert flushes.made_and_not_flushed() == []
    with outbox.workplace(7) as workplace:
        for name in ("seg.dcm", "sr.dcm"):
            (workplace / name).write_bytes(b"whole")
        published = outbox.publish(7, workplace, ["seg.dcm", "sr.dcm"])
        before = flushes.events[: flushes.events.index(("renamed", str(published)))]
        after = flushes.events[len(before) :]
        assert {("flushed", str(workplace / name)) for name in ("seg.dcm", "sr.dcm")} <= set(before)
        assert ("flushed", str(workplace)) in before
        assert ("flushed", str(published.parent)) in after
        assert str(published.parent) not in flushes.made_and_not_flushed()
