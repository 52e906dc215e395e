"""An installation with a registry, and small bundles to register."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.databases import sqlite_url, with_schema
from support.models import tiny_bundle

from db.engine import Database, open_database
from db.models import ModelTable
from dicom_node.models.adding import add_model
from dicom_node.models.choice import registry_choice, store_of
from dicom_node.node.settings import Settings


@dataclass(frozen=True)
class Installation:
    """Settings, database and store of a node, with a way to register and promote."""

    settings: Settings
    database: Database
    table: ModelTable

    def add(self, bundle: Path) -> str:
        """Register a bundle; its digest."""
        return add_model(bundle, None, store_of(self.settings), self.table, "alice@lab").digest

    def promote(self, bundle: Path) -> str:
        """Register a bundle and make it live; its digest."""
        digest = self.add(bundle)
        self.table.promote(digest, "alice@lab", self.table.live_digest())
        return digest

    def damage(self, digest: str) -> Callable[[], None]:
        """Change a byte of a stored bundle; gives what puts it back."""
        file = store_of(self.settings).folder_of(digest) / "member-1.npz"
        whole = file.read_bytes()
        file.chmod(0o644)
        file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        return lambda: (file.write_bytes(whole), None)[1]

    def choice(self, digest: str | None) -> object:
        """A registered model, or the shipped one, as something to load."""
        return registry_choice(self.settings, digest)


@pytest.fixture
def installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Installation]:
    """A node on which nothing was registered yet."""
    for name in ("MODEL", "STORAGE", "DATABASE_URL"):
        monkeypatch.delenv(f"WMH_NODE_{name}", raising=False)
    url = sqlite_url(tmp_path)
    with_schema(url)
    with closing(open_database(url)) as database:
        settings = Settings(storage=tmp_path / "storage", database_url=url, runtime="openvino")
        yield Installation(settings, database, ModelTable(database))


@pytest.fixture(scope="session")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Three bundles of one architecture: a and b see bright pixels, `wild` says anything."""
    folder = tmp_path_factory.mktemp("bundles")
    return {
        "a": tiny_bundle(folder / "a", members=1),
        "b": tiny_bundle(folder / "b", members=2),
        "wild": tiny_bundle(folder / "wild", members=1, kind="random"),
    }


@pytest.fixture
def copy_of(tmp_path: Path, bundles: dict[str, Path]) -> Callable[[str], Path]:
    """A bundle, to change."""
    return lambda name: Path(shutil.copytree(bundles[name], tmp_path / f"copy-{name}"))
