"""Make tests/data/release-0.1.0.tar.xz: a database and a storage that the code of release 0.1.0 has made.

    python tests/support/make_release_0_1_0.py

Takes that release out of git, installs it without its dependencies (this environment has them) beside everything else,
and lets its `serve` receive and analyse synthetic series. Nothing listens where its destination should be. What the
release itself says about its jobs is kept beside them.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[2]
FIXTURE = REPOSITORY / "tests" / "data" / "release-0.1.0.tar.xz"
RELEASE = "0e13df5"  # the last commit of 0.1.0: the next one begins 0.2.0
_WAIT_SECONDS = 1200.0
_ENDED = {"delivering", "rejected", "cancelled"}


class Release:
    """The installed release, with its own settings and nothing of this environment's."""

    def __init__(self, folder: Path) -> None:
        source, self.code = folder / "source", folder / "code"
        source.mkdir()
        archive = subprocess.run(
            ["git", "archive", RELEASE], cwd=REPOSITORY, capture_output=True, check=True, timeout=60
        ).stdout
        subprocess.run(["tar", "-x", "-C", str(source)], input=archive, check=True, timeout=60)
        pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation"]
        subprocess.run([*pip, "--target", str(self.code), str(source)], check=True, timeout=280)
        self.storage = folder / "storage"
        self.model = folder / "model"
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("WMH_NODE_")}
        self.environment |= {
            "PYTHONPATH": f"{self.code}{os.pathsep}{source / 'tests'}",
            "WMH_NODE_STORAGE": str(self.storage),
            "WMH_NODE_MODEL": str(self.model),
            "WMH_NODE_DICOM_PORT": "11989",
            "WMH_NODE_DESTINATIONS": "pacs=PACS@127.0.0.1:1",
            "WMH_NODE_QUIET_SECONDS_INCOMPLETE": "3",
        }
        program = (
            f"from pathlib import Path; from support.models import tiny_bundle; tiny_bundle(Path({str(self.model)!r}))"
        )
        subprocess.run([sys.executable, "-c", program], env=self.environment, check=True, cwd=folder, timeout=280)
        self._folder = folder

    def run(self, *arguments: object) -> str:
        """What a command of the release prints."""
        command = [sys.executable, "-m", "dicom_node.cli", *map(str, arguments)]
        return subprocess.run(
            command, env=self.environment, cwd=self._folder, check=True, capture_output=True, text=True, timeout=280
        ).stdout

    @contextlib.contextmanager
    def serving(self) -> Iterator[None]:
        """`wmh-node serve` while the block lasts."""
        command = [sys.executable, "-m", "dicom_node.cli", "serve"]
        with subprocess.Popen(command, env=self.environment, cwd=self._folder) as node:
            try:
                yield
            finally:
                node.send_signal(signal.SIGTERM)
                node.wait(60)


def jobs_of(release: Release) -> list[dict[str, Any]]:
    """The jobs as the release lists them."""
    found: list[dict[str, Any]] = json.loads(release.run("jobs", "list", "--json"))
    return found


def _send(release: Release, folder: Path, slices: int, seed: int) -> None:
    """Send so many slices of a drawn head."""
    release.run("phantom", "--out", folder, "--slices", 12, "--matrix", 64, "--seed", seed)
    for file in sorted(folder.iterdir())[slices:]:
        file.unlink()
    for _ in range(60):
        with contextlib.suppress(subprocess.CalledProcessError):
            release.run("send", folder, "--to", "WMHNODE@127.0.0.1:11989")
            return
        time.sleep(2)
    raise SystemExit("the receiver did not come up")


def _wait_for(release: Release, count: int) -> list[dict[str, Any]]:
    deadline = time.monotonic() + _WAIT_SECONDS
    while time.monotonic() < deadline:
        jobs = jobs_of(release)
        if len(jobs) == count and {job["state"] for job in jobs} <= _ENDED:
            return jobs
        time.sleep(2)
    raise SystemExit(f"expected {count} jobs that go no further, got {jobs_of(release)}")


def digests_of(storage: Path) -> dict[str, str]:
    """SHA-256 of every received and every written object, by path."""
    return {
        str(path.relative_to(storage)): hashlib.sha256(path.read_bytes()).hexdigest()
        for part in ("inbox", "outbox")
        for path in sorted((storage / part).rglob("*"))
        if path.is_file()
    }


def main() -> None:
    """Make the file."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        release = Release(folder)
        release.run("db", "upgrade")
        with release.serving():
            _send(release, folder / "first", 12, seed=1)
            _send(release, folder / "too-few", 3, seed=3)
            _send(release, folder / "second", 12, seed=2)
            waiting = [job["id"] for job in _wait_for(release, 3) if job["state"] == "delivering"]
            release.run("jobs", "cancel", max(waiting), "--by", "alice")
            jobs = jobs_of(release)
        for picture in release.storage.rglob("overlay.png"):  # half of the file's size, and sent to no destination
            picture.unlink()
        (release.storage / "expected.json").write_text(
            json.dumps(
                {
                    "version": release.run("--version").split()[-1],
                    "jobs": jobs,
                    "audit": json.loads(release.run("jobs", "audit", "--json")),
                    "digests": digests_of(release.storage),
                },
                indent=1,
            )
        )
        shutil.rmtree(release.storage / "run", ignore_errors=True)
        FIXTURE.parent.mkdir(exist_ok=True)
        with tarfile.open(FIXTURE, "w:xz", preset=9) as archive:
            archive.add(release.storage, "storage")
    print(f"{FIXTURE}: {FIXTURE.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
