"""The model store, with real bundles on a real disk."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from support.flushes import Flushes
from support.models import tiny_bundle

from dicom_node.models.store import ModelStore, Stored
from segmentation.bundle import load_bundle
from segmentation.errors import BadBundle

_NOBODY = 65534
_SUPPORT = Path(__file__).resolve().parents[2] / "support"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A bundle, with a file beside it that is none of its own."""
    folder = tiny_bundle(tmp_path / "source", members=1)
    (folder / "notes.txt").write_text("not part of the bundle")
    return folder


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    """An empty store."""
    return ModelStore(tmp_path / "models", "here")


def _spoil(file: Path) -> None:
    """Change one byte of a file, read-only or not."""
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.chmod(0o644)
    file.write_bytes(content)


def test_a_bundle_is_kept_by_its_digest(store: ModelStore, source: Path, tmp_path: Path) -> None:
    """The files of the bundle and no others lie under its digest, read-only, and load as what was added."""
    added = store.add(source)
    digest = load_bundle(source).identity.digest
    folder = tmp_path / "models" / digest
    assert added.stored is Stored.COPIED
    assert {path.name for path in folder.iterdir()} == {path.name for path in source.iterdir()} - {"notes.txt"}
    assert added.size_bytes == sum(path.stat().st_size for path in folder.iterdir())
    assert [path.name for path in folder.iterdir() if path.stat().st_mode & 0o222] == []
    assert store.load(digest).identity == load_bundle(source).identity
    assert list((tmp_path / "models" / "unfinished").iterdir()) == []


@pytest.mark.parametrize("mode", [0o755, 0o750, 0o2770])
def test_added_under_another_account(store: ModelStore, source: Path, tmp_path: Path, mode: int) -> None:
    """Whatever account and umask a bundle is added with, its folder is for those who may read the storage: owner, group
    and mode are the storage's. A copy that is there already is put right by adding it again."""
    owner = _NOBODY if os.geteuid() == 0 else os.geteuid()
    os.chown(tmp_path, owner, -1)
    tmp_path.chmod(mode)
    before = os.umask(0o077)
    try:
        folder = store.folder_of(store.add(source).bundle.identity.digest)
        found = {path: path.stat() for path in (folder.parent, folder)}
        folder.chmod(0o700)
        assert store.add(source).stored is Stored.THERE
    finally:
        os.umask(before)
    assert {(stat.S_IMODE(found_file.st_mode), found_file.st_uid) for found_file in found.values()} == {(mode, owner)}
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o444}
    assert stat.S_IMODE(folder.stat().st_mode) == mode


@contextmanager
def _unprivileged() -> Iterator[None]:
    """Not root, who may read everything."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(_NOBODY)
    try:
        yield
    finally:
        os.seteuid(before)


def test_not_for_this_account(source: Path) -> None:
    """A stored bundle that this account may not read is reported as that, not as damage: with owner and mode, who
    asks, and what to do."""
    with TemporaryDirectory() as folder:  # pytest's own are for their user alone
        Path(folder).chmod(0o755)
        store = ModelStore(Path(folder) / "models", "here")
        digest = store.add(source).bundle.identity.digest
        for shut in (store.folder_of(digest), Path(folder) / "models"):
            shut.chmod(0o000)
            with _unprivileged(), pytest.raises(BadBundle) as told:
                store.load(digest)
            shut.chmod(0o755)
            assert f"{shut} belongs to user {os.geteuid()}" in str(told.value)
            assert "with mode 0000; this process is user" in str(told.value)
            assert "damaged" not in str(told.value)


def test_again(store: ModelStore, source: Path, tmp_path: Path) -> None:
    """The same bundle again leaves the copy as it is, and says that it was there."""
    digest = store.add(source).bundle.identity.digest
    inodes = {path: path.stat().st_ino for path in (tmp_path / "models" / digest).iterdir()}
    assert store.add(source).stored is Stored.THERE
    assert {path: path.stat().st_ino for path in (tmp_path / "models" / digest).iterdir()} == inodes


def test_several_at_once(store: ModelStore, source: Path, tmp_path: Path) -> None:
    """Several that add the same bundle at once all succeed, and one copy is there."""
    with ThreadPoolExecutor(4) as pool:
        added = list(pool.map(lambda _: store.add(source), range(4)))
    digest = added[0].bundle.identity.digest
    assert sorted(found_file.stored for found_file in added) == [Stored.COPIED, *[Stored.THERE] * 3]
    assert {path.name for path in (tmp_path / "models").iterdir()} == {digest, "unfinished", ".lock"}


@pytest.mark.parametrize("name", ["member-1.npz", "graph.json", "MODEL_CARD.md"])
def test_changed_bytes_are_refused(store: ModelStore, source: Path, tmp_path: Path, name: str) -> None:
    """A bundle with a changed byte is refused with the file's name, and nothing of it is kept."""
    _spoil(source / name)
    with pytest.raises(BadBundle, match=rf"{name}: expected sha256"):
        store.add(source)
    assert not (tmp_path / "models").exists()


def test_damage_in_the_store(store: ModelStore, source: Path) -> None:
    """A copy that was changed, or lost a file, is not loaded: the error says what and what to do. Adding the bundle
    again replaces it."""
    digest = store.add(source).bundle.identity.digest
    for harm in (_spoil, Path.unlink):
        harm(store.folder_of(digest) / "member-1.npz")
        with pytest.raises(BadBundle, match=rf"model {digest[:12]} is damaged.*member-1.npz.*models add FOLDER"):
            store.load(digest)
        assert store.add(source).stored is Stored.REPAIRED
        assert store.load(digest).identity.digest == digest


def test_not_in_the_store(store: ModelStore) -> None:
    """A model whose folder is not there is named, with what to do."""
    with pytest.raises(BadBundle, match=r"aaaaaaaaaaaa is not in the model store: `wmh-node models add FOLDER`"):
        store.load("a" * 64)


def test_another_bundle_in_its_place(store: ModelStore, source: Path, tmp_path: Path) -> None:
    """A whole bundle under the digest of another is not taken for it."""
    digest = store.add(source).bundle.identity.digest
    shutil.rmtree(store.folder_of(digest))
    tiny_bundle(store.folder_of(digest), members=2)
    with pytest.raises(BadBundle, match=f"expected digest {digest}"):
        store.load(digest)


def test_on_disk_before_it_counts(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files and their folder are flushed before the rename that makes the bundle count, and its name after it."""
    flushes = Flushes(monkeypatch)
    models = tmp_path.resolve() / "new" / "models"
    store = ModelStore(models)
    folder = store.folder_of(store.add(source).bundle.identity.digest)
    at = flushes.events.index(("renamed", str(folder)))
    before, after = flushes.events[:at], flushes.events[at:]
    (made,) = [path for what, path in before if what == "made" and Path(path).parent == models / "unfinished"]
    assert {("flushed", f"{made}/{path.name}") for path in folder.iterdir()} <= set(before)
    assert ("flushed", made) in before
    assert ("flushed", str(models)) in after
    assert set(flushes.made_and_not_flushed()) == {made}  # it moves, and its new place was flushed


@pytest.mark.parametrize("point", ["copied", "flushed", "checked", "renamed"])
@pytest.mark.slow
def test_killed_while_adding(store: ModelStore, source: Path, tmp_path: Path, point: str) -> None:
    """Kill -9 at any step leaves the whole bundle or nothing; adding it again completes it and clears up."""
    command = [sys.executable, str(_SUPPORT / "dying_add.py"), str(tmp_path / "models"), str(source), point]
    died = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    assert died.returncode == -signal.SIGKILL, died.stderr
    digest = load_bundle(source).identity.digest
    kept = {path.name for path in (tmp_path / "models").iterdir()} - {"unfinished", ".lock"}
    assert kept == ({digest} if point == "renamed" else set())
    assert store.add(source).stored is (Stored.THERE if point == "renamed" else Stored.COPIED)
    assert store.load(digest).identity.digest == digest
    assert list((tmp_path / "models" / "unfinished").iterdir()) == []


def test_killed_while_replacing(store: ModelStore, source: Path, tmp_path: Path) -> None:
    """Kill -9 between taking a damaged copy away and putting the whole one there: adding it again completes it."""
    digest = store.add(source).bundle.identity.digest
    _spoil(store.folder_of(digest) / "member-1.npz")
    command = [sys.executable, str(_SUPPORT / "dying_add.py"), str(tmp_path / "models"), str(source), "renamed"]
    assert subprocess.run(command, capture_output=True, timeout=280, check=False).returncode == -signal.SIGKILL
    assert not store.folder_of(digest).exists()
    assert store.add(source).stored is Stored.COPIED
    assert store.load(digest).identity.digest == digest
    assert list((tmp_path / "models" / "unfinished").iterdir()) == []
