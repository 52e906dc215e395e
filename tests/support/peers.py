"""Real peer programs: skipped with their name on a workstation, a failure under CI=true."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

# Debian puts Orthanc in /usr/sbin and the PostgreSQL server programs in a versioned folder: no user's PATH has them.
_EXTRA_PLACES = ["/usr/sbin", *map(str, sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True))]


def peer(program: str) -> str:
    """Absolute path of a peer program."""
    found = shutil.which(program) or shutil.which(program, path=os.pathsep.join(_EXTRA_PLACES))
    if found is None:
        message = f"peer program {program} is not installed (make peers)"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    return found
