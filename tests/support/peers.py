"""Real peer programs: skipped with their name on a workstation, a failure under CI=true."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import NoReturn

import pytest

# Debian puts Orthanc in /usr/sbin and the PostgreSQL server programs in a versioned folder: no user's PATH has them.
_EXTRA_PLACES = ["/usr/sbin", *map(str, sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True))]
NODE_PEERS = Path(__file__).resolve().parents[2] / ".node-peers"


def peer(program: str) -> str:
    """Absolute path of a peer program.

    Never a script of Python: pynetdicom installs `storescu`, `storescp`, `findscu`, ... beside the interpreter, which
    are not DCMTK's programs of these names, and a `PATH` may begin there.
    """
    _skip_in_quick_runs()
    places = [*os.environ.get("PATH", os.defpath).split(os.pathsep), *_EXTRA_PLACES]
    candidates = (shutil.which(program, path=place) for place in places if place)
    found = next(
        (candidate for candidate in candidates if candidate is not None and not _is_python_script(candidate)), None
    )
    if found is None:
        missing(f"peer program {program} is not installed (make peers)")
    return found


def node_peer(name: str) -> Path:
    """Folder of a JavaScript peer that deploy/scripts/install-node-peers fetches: `dcmjs`, `playwright-core`, `ohif`.

    `ohif` is the built viewer (its index.html is in the folder); the others are packages for `require`.
    """
    _skip_in_quick_runs()
    folder = NODE_PEERS / "ohif" if name == "ohif" else NODE_PEERS / "node_modules" / name
    if not folder.is_dir():
        missing(f"JavaScript peer {name} is not installed (make peers)")
    return folder


def missing(message: str) -> NoReturn:
    """What a test needs is not here: skip it, or fail under CI=true."""
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)


def _skip_in_quick_runs() -> None:
    """`make quick` asks for no peer, whether it is installed or not."""
    if os.environ.get("WMH_NODE_TEST_PEERS") == "none":
        pytest.skip("make quick leaves peers out")


def _is_python_script(path: str) -> bool:
    with Path(path).open("rb") as stream:
        first = stream.readline(256)
    return first.startswith(b"#!") and b"python" in first
