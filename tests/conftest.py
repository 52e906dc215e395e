"""What every test process needs before the first import."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from support.once import FOLDER_VARIABLE

# As `segmentation.runtimes.tensorflow` does, which a test process may import when TensorFlow is loaded already.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

# Nothing is timed in a test: Hypothesis would fail one on a busy machine.
settings.register_profile("node", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("node")

# xdist gives files to its processes in this order: those that take minutes first, so that none is alone at the end.
_LONGEST = ("faults", "integration", "e2e", "reports", "training", "packaging")


def pytest_configure(config: pytest.Config) -> None:
    """Make the folder of `support.once` in the first process of the run, which outlives the others."""
    if FOLDER_VARIABLE not in os.environ:
        folder = os.environ[FOLDER_VARIABLE] = tempfile.mkdtemp(prefix="wmh-once-")
        config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files stay whole: first the folders that take longest, then files with slow tests, then the others."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    here = Path(__file__).parent

    def place(item: pytest.Item) -> tuple[int, bool]:
        folder = item.path.relative_to(here).parts[0]
        return _LONGEST.index(folder) if folder in _LONGEST else len(_LONGEST), item.path not in slow

    items.sort(key=place)
