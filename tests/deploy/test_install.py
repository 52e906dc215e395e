"""install.sh, run for real into an empty root."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest
from support.deployment import DEPLOY, ROLES
from support.peers import peer

from dicom_node.node.settings import load_settings

INSTALL = DEPLOY / "install.sh"
SETTINGS = "etc/wmh-node/wmh-node.toml"

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="makes a user and folders of root")


def install(root: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the script for a system in `root`."""
    command = ["bash", str(INSTALL), "--root", str(root), *options]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An empty system."""
    peer("systemd-sysusers")
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    root.chmod(0o755)  # systemd-tmpfiles refuses to walk through folders of others
    return root


def contents(root: Path) -> dict[str, tuple[int, bytes]]:
    """Files with their mode and bytes; systemd's own backups and locks aside."""
    return {
        str(path.relative_to(root)): (stat.S_IMODE(path.lstat().st_mode), path.read_bytes())
        for path in sorted(root.rglob("*"))
        if path.is_file() and not path.name.endswith("-") and not path.name.startswith(".")
    }


@pytest.mark.peer("shellcheck")
def test_shellcheck_finds_no_fault() -> None:
    """shellcheck says nothing about the scripts of deploy/."""
    scripts = [INSTALL, *sorted((DEPLOY / "scripts").iterdir())]
    done = subprocess.run([peer("shellcheck"), *map(str, scripts)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


@needs_root
def test_a_bare_root_gets_user_folders_settings_and_units(root: Path) -> None:
    """After one run there are the user, the folders with their modes, the settings and the enabled units."""
    done = install(root, "--files-only")
    assert done.returncode == 0, done.stderr
    assert "wmh-node" in [line.split(":")[0] for line in (root / "etc/passwd").read_text().splitlines()]
    user = next(line.split(":") for line in (root / "etc/passwd").read_text().splitlines() if line[:9] == "wmh-node:")
    storage = (root / "var/lib/wmh-node").stat()
    assert (storage.st_uid, stat.S_IMODE(storage.st_mode)) == (int(user[2]), 0o750)
    assert stat.S_IMODE((root / "etc/credstore").stat().st_mode) == 0o700
    settings = (root / SETTINGS).stat()
    assert (settings.st_uid, settings.st_gid, stat.S_IMODE(settings.st_mode)) == (0, int(user[3]), 0o640)
    wanted = root / "etc/systemd/system/wmh-node.target.wants"
    assert sorted(path.name for path in wanted.iterdir()) == sorted(f"wmh-node-{role}.service" for role in ROLES)
    assert (root / "etc/systemd/system/multi-user.target.wants/wmh-node.target").is_symlink()


@needs_root
def test_a_second_run_changes_nothing_and_keeps_the_settings(root: Path) -> None:
    """The script is idempotent: what an administrator wrote stays, and every other file is the same."""
    assert install(root, "--files-only").returncode == 0
    (root / SETTINGS).write_text('ae_title = "MINE"\n')
    before = contents(root)
    done = install(root, "--files-only")
    assert done.returncode == 0, done.stderr
    assert contents(root) == before


@needs_root
def test_removal_keeps_settings_and_data(root: Path) -> None:
    """--remove takes units and program away; settings and what was received stay."""
    assert install(root, "--files-only").returncode == 0
    received = root / "var/lib/wmh-node/inbox"
    received.write_bytes(b"an instance")
    done = install(root, "--remove")
    assert done.returncode == 0, done.stderr
    assert received.exists()
    assert (root / SETTINGS).exists()
    left = (root / "etc/systemd/system").rglob("wmh-node*")
    assert [path for path in left if not path.is_dir()] == []


def test_a_wrong_option_changes_nothing(tmp_path: Path) -> None:
    """An unknown option is a usage error, exit 2, before anything is made."""
    done = install(tmp_path, "--nonsense")
    assert done.returncode == 2
    assert "usage:" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_settings_that_are_installed_are_valid() -> None:
    """The commented settings file is one that this version reads, and listens on the loopback address alone."""
    settings = load_settings(DEPLOY / "wmh-node.toml")
    assert settings.bind == "127.0.0.1"
    assert str(settings.storage) == "/var/lib/wmh-node"


def test_every_commented_setting_exists() -> None:
    """What the file offers behind a `#` are settings of this version too."""
    text = (DEPLOY / "wmh-node.toml").read_text()
    names = {line.removeprefix("# ").split(" = ")[0] for line in text.splitlines() if " = " in line}
    known = set(type(load_settings(DEPLOY / "wmh-node.toml")).model_fields)
    assert {name for name in names if name.isidentifier()} <= known
