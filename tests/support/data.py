"""Where the shared data lies: WMH_NODE_TEST_DATA, else ../shared/data beside the checkout."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


def shared_data(*parts: str) -> Path:
    """Folder or file of the shared data; skips the test by name when the data is not on this machine."""
    root = Path(os.environ.get("WMH_NODE_TEST_DATA", REPOSITORY.parent / "shared" / "data"))
    path = root.joinpath(*parts)
    if not path.exists():
        if os.environ.get("CI") == "true":
            pytest.fail(f"shared data not found: {'/'.join(parts)} (set WMH_NODE_TEST_DATA)")
        pytest.skip(f"shared data not found: {'/'.join(parts)} (set WMH_NODE_TEST_DATA)")
    return path
