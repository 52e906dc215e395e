"""When the role `deliver` fetches studies of cohorts."""

from __future__ import annotations

from pathlib import Path

import pytest

from dicom_node.node.disk import DiskUse
from dicom_node.node.held_deliveries import hold_deliveries, release_deliveries
from dicom_node.node.settings import Settings
from dicom_node.serve.fetching import may_fetch


def test_a_full_disk_is_left_to_live_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Above DISK_HIGH no study is begun, so that a cohort never takes the room of the scans of today."""
    settings = Settings(storage=tmp_path)
    for percent, may in ((50.0, True), (95.0, True), (95.1, False)):
        monkeypatch.setattr(DiskUse, "percent", property(lambda _self, percent=percent: percent))
        assert may_fetch(settings) is may, percent
    monkeypatch.undo()
    assert not may_fetch(Settings(storage=tmp_path / "away"))


def test_a_restored_node_fetches_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not before a person has let it."""
    monkeypatch.setattr(DiskUse, "percent", property(lambda _self: 1.0))
    hold_deliveries(tmp_path)
    assert not may_fetch(Settings(storage=tmp_path))
    release_deliveries(tmp_path)
    assert may_fetch(Settings(storage=tmp_path))
