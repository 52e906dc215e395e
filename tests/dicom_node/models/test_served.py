"""The model that a worker serves, with real bundles, a real registry and a clock that moves on command."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from db.errors import DatabaseUnavailable
from dicom_node.models.choice import pinned_choice, registry_choice
from dicom_node.models.served import FIRST_RETRY_SECONDS, LONGEST_RETRY_SECONDS, ServedModel
from segmentation.errors import BadBundle

pytestmark = pytest.mark.slow


class Serving:
    """A served model with what it reported and how often it loaded."""

    def __init__(self, installation: Any) -> None:
        self.now = 0.0
        self.reports: list[str] = []
        self.loads: list[str | None] = []
        self.is_away = False
        settings = installation.settings
        self.model = ServedModel(
            choose=lambda: pinned_choice(settings) or registry_choice(settings, installation.table.live_digest()),
            open_choice=self._open,
            report=self._report,
            clock=lambda: self.now,
        )

    def _open(self, choice: Any) -> Any:
        self.loads.append(choice.digest)
        return choice.open("openvino")

    def _report(self, choice: Any, words: str) -> None:
        if self.is_away:
            raise DatabaseUnavailable("away")
        self.reports.append(words)

    def digest(self) -> str | None:
        """Of the model that the next job would get."""
        ensemble = self.model.current()
        return None if ensemble is None else ensemble.identity.digest


@pytest.fixture
def serving(installation: Any) -> Serving:
    """Not asked yet."""
    return Serving(installation)


def test_follows_the_live_model(installation: Any, serving: Serving, bundles: dict[str, Path]) -> None:
    """What was promoted or rolled back to is what the next job gets; nothing is loaded twice for one change."""
    a = installation.promote(bundles["a"])
    assert [serving.digest(), serving.digest()] == [a, a]
    b = installation.promote(bundles["b"])
    assert [serving.digest(), serving.digest()] == [b, b]
    installation.table.rollback("alice@lab", b)
    assert serving.digest() == a
    assert serving.loads == [a, b, a]
    assert serving.reports == []


def test_a_damaged_model_does_not_stop_a_worker(installation: Any, serving: Serving, bundles: dict[str, Path]) -> None:
    """A live model that cannot be loaded leaves the old one in use; it is reported once, tried again with growing
    waits, and taken when it is whole again."""
    a = installation.promote(bundles["a"])
    assert serving.digest() == a
    b = installation.add(bundles["b"])
    put_back = installation.damage(b)
    installation.table.promote(b, "alice@lab", a)
    for _ in range(3):
        assert serving.digest() == a
    assert serving.loads == [a, b]
    serving.now += FIRST_RETRY_SECONDS
    assert serving.digest() == a
    assert serving.loads == [a, b, b]
    serving.now += FIRST_RETRY_SECONDS  # the second wait is longer
    assert serving.digest() == a
    assert serving.loads == [a, b, b]
    (words,) = serving.reports
    assert "member-1.npz" in words
    assert f"Continues with tiny-bright 0.0.1 ({a[:12]})" in words
    put_back()
    serving.now += LONGEST_RETRY_SECONDS
    assert serving.digest() == b


def test_reported_when_the_database_is_back(installation: Any, serving: Serving, bundles: dict[str, Path]) -> None:
    """What could not be reported, since the database was away, is reported after the next try, and then once."""
    a = installation.promote(bundles["a"])
    assert serving.digest() == a
    installation.damage(installation.promote(bundles["b"]))
    serving.is_away = True
    with pytest.raises(DatabaseUnavailable):
        serving.digest()
    assert serving.digest() == a  # not due yet
    serving.is_away = False
    for _ in range(3):
        serving.now += LONGEST_RETRY_SECONDS
        assert serving.digest() == a
    assert len(serving.loads) == 5
    (words,) = serving.reports
    assert "member-1.npz" in words


def test_rolled_back_at_once(installation: Any, serving: Serving, bundles: dict[str, Path]) -> None:
    """A worker that has no model yet, since the live one is damaged, begins nothing, and takes what is rolled back to
    at once, whatever wait was left."""
    a = installation.promote(bundles["a"])
    b = installation.promote(bundles["b"])
    installation.damage(b)
    assert serving.digest() is None
    assert "models rollback" in serving.reports[0]
    installation.table.rollback("alice@lab", b)
    assert serving.digest() == a


def test_back_to_what_is_loaded(installation: Any, serving: Serving, bundles: dict[str, Path]) -> None:
    """A rollback to the model that is still loaded loads nothing; what was damaged is tried afresh when it is live
    again."""
    a = installation.promote(bundles["a"])
    assert serving.digest() == a
    b = installation.promote(bundles["b"])
    put_back = installation.damage(b)
    assert serving.digest() == a
    installation.table.rollback("alice@lab", b)
    assert serving.digest() == a
    put_back()
    installation.table.promote(b, "alice@lab", a)
    assert serving.digest() == b
    assert serving.loads == [a, b, b]


def test_what_a_runtime_raises(installation: Any, bundles: dict[str, Path], serving: Serving) -> None:
    """An unexpected error while loading a live model is caught too, and reported by type and place."""
    a = installation.promote(bundles["a"])
    assert serving.digest() == a
    installation.promote(bundles["b"])

    def breaks(choice: Any) -> Any:
        raise ZeroDivisionError("values")

    serving.model._open = breaks
    assert serving.digest() == a
    assert "unexpected ZeroDivisionError" in serving.reports[0]


def test_a_pinned_model_that_is_not_there(installation: Any, tmp_path: Path) -> None:
    """A bundle that the settings name and that is not there is an error of the installation: the role ends with it."""
    object.__setattr__(
        installation, "settings", installation.settings.model_copy(update={"model": tmp_path / "absent"})
    )
    with pytest.raises(BadBundle, match="absent"):
        Serving(installation).digest()


def test_each_model_is_warmed_up_once(installation: Any, serving: Serving, bundles: dict[str, Path]) -> None:
    """While a worker waits, the model that it has computes ahead; a new one does again, and none before it is there."""
    warmed: list[str] = []
    serving.model.warm_up()
    for name in ("a", "b"):
        installation.promote(bundles[name])
        ensemble = serving.model.current()
        ensemble.warm_up = lambda digest=ensemble.identity.digest: warmed.append(digest)
        serving.model.warm_up()
        serving.model.warm_up()
    assert len(warmed) == len(set(warmed)) == 2
