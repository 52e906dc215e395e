"""What processes count."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from dicom_node.node.metrics import FOLDER_VARIABLE, peer_label


@pytest.mark.parametrize(("calling", "label"), [("MR1", "MR1"), ("SOMEONE", "other"), (None, "other")])
def test_only_configured_peers_are_labels(calling: str | None, label: str) -> None:
    """A stranger cannot make series by calling under many names."""
    assert peer_label(calling, {"MR1", "MR2"}) == label


def test_several_processes_count_into_one_answer(tmp_path: Path) -> None:
    """What two processes counted, one of them dead since, is one sum for whoever is asked."""
    command = "from dicom_node.node import metrics; metrics.instance_received('MR1', 'new')"
    for _ in range(2):
        subprocess.run([sys.executable, "-c", command], check=True, env={**os.environ, FOLDER_VARIABLE: str(tmp_path)})
    registry = CollectorRegistry()
    MultiProcessCollector(registry, path=str(tmp_path))
    assert b'wmh_instances_received_total{outcome="new",peer="MR1"} 2.0' in generate_latest(registry)
