"""A power cut at any moment takes nothing that was acknowledged, whatever the disk had written by then."""

from __future__ import annotations

import pytest
from soak.soak import power_cuts

from dicom_node.receive import store


def test_nothing_acknowledged_depends_on_what_was_not_flushed(tmp_path):
    """New objects, and objects that are sent again."""
    operations, lost = power_cuts(tmp_path, 4)
    assert operations > 20
    assert lost == []


@pytest.mark.parametrize("left_out", ["sync_file", "sync_folder"])
def test_a_flush_that_is_left_out_is_found(tmp_path, monkeypatch, left_out):
    """The recorder sees what a missing flush would cost."""
    monkeypatch.setattr(store, left_out, lambda _: None)
    _, lost = power_cuts(tmp_path, 2)
    assert lost
