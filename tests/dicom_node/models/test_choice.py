"""Which model is used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from db.records import NewModel
from dicom_node.models.choice import Origin, choose_model, registered_choice, store_of
from dicom_node.node.errors import ModelError
from dicom_node.node.settings import Settings
from segmentation.bundle import load_bundle, reference_bundle
from segmentation.errors import BadBundle


def test_precedence(installation: Any, bundles: dict[str, Path]) -> None:
    """The shipped model before anything was promoted, then the live one; the setting MODEL wins over both."""
    assert choose_model(installation.settings).folder == reference_bundle()
    digest = installation.promote(bundles["a"])
    live = choose_model(installation.settings)
    assert (live.origin, live.digest) == (Origin.LIVE, digest)
    assert live.load().identity.digest == digest
    pinned = choose_model(installation.settings.model_copy(update={"model": bundles["b"]}))
    assert pinned.origin is Origin.PINNED
    assert pinned.load().identity == load_bundle(bundles["b"]).identity


def test_no_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a database the shipped model is used, and no database is made by asking."""
    monkeypatch.delenv("WMH_NODE_MODEL", raising=False)
    assert choose_model(Settings(storage=tmp_path / "storage")).origin is Origin.SHIPPED
    assert list(tmp_path.iterdir()) == []


def test_a_database_that_is_away(tmp_path: Path, bundles: dict[str, Path]) -> None:
    """A database that does not answer is no reason to take another model in silence, unless MODEL names one."""
    settings = Settings(storage=tmp_path, database_url="postgresql://node:s3cret@127.0.0.1:1/wmh")
    with pytest.raises(ModelError, match=r"the live model is unknown.*WMH_NODE_MODEL") as told:
        choose_model(settings)
    assert "s3cret" not in str(told.value)
    assert choose_model(settings.model_copy(update={"model": bundles["a"]})).origin is Origin.PINNED


def test_a_live_model_that_is_damaged(installation: Any, bundles: dict[str, Path]) -> None:
    """A damaged live model is not loaded: the error names it, the file, and both ways out."""
    digest = installation.promote(bundles["a"])
    installation.damage(digest)
    with pytest.raises(BadBundle, match=r"member-1\.npz.*models add FOLDER.*models rollback"):
        choose_model(installation.settings).load()


def test_a_registered_model_that_is_damaged(installation: Any, bundles: dict[str, Path]) -> None:
    """Of a damaged model that is not live no rollback is advised: it would take the healthy live one away."""
    installation.promote(bundles["a"])
    installation.damage(digest := installation.add(bundles["b"]))
    with pytest.raises(BadBundle, match=r"member-1\.npz.*models add FOLDER") as told:
        registered_choice(installation.settings, digest).load()
    assert "rollback" not in str(told.value)


def test_a_live_model_that_is_not_there(installation: Any) -> None:
    """A live model whose files are on another machine's storage is reported as that."""
    installation.table.add(NewModel("d" * 64, "elsewhere", "1.0.0", 1), "alice@lab")
    installation.table.promote("d" * 64, "alice@lab", None)
    with pytest.raises(BadBundle, match="not in the model store"):
        choose_model(installation.settings).load()
    assert not store_of(installation.settings).folder_of("d" * 64).exists()
