"""What every test process needs before the first import."""

from __future__ import annotations

import os
import shutil
import tempfile

import pytest
from hypothesis import HealthCheck, settings
from support.once import FOLDER_VARIABLE

# As `segmentation.runtimes.tensorflow` does, which a test process may import when TensorFlow is loaded already.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

# Nothing is timed in a test: Hypothesis would fail one on a busy machine.
settings.register_profile("node", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("node")


def pytest_configure(config: pytest.Config) -> None:
    """Make the folder of `support.once` in the first process of the run, which outlives the others."""
    if FOLDER_VARIABLE not in os.environ:
        folder = os.environ[FOLDER_VARIABLE] = tempfile.mkdtemp(prefix="wmh-once-")
        config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
