"""The model registry, on both databases."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from support.clock import ManualClock
from support.promoting import promote_at_once

from db.audit import audit_entries
from db.engine import Database, open_database
from db.errors import DatabaseError, InvalidMeasurements, LiveModelChanged, NoEarlierModel, UnknownModel
from db.models import ModelTable
from db.records import NewModel, PromotionKind

A, B, C = (letter * 64 for letter in "abc")


@pytest.fixture
def table(database: Database, clock: ManualClock) -> ModelTable:
    """Three models, added a minute after each other; none promoted."""
    made = ModelTable(database)
    for digest, version in ((A, "1.0.0"), (B, "1.1.0"), (C, "2.0.0")):
        made.add(NewModel(digest, "wmh-tiny", version, 1234), "alice@lab")
        clock.pass_seconds(60)
    return made


class TestRegistering:
    """What `add` keeps."""

    def test_listed_newest_first(self, table: ModelTable) -> None:
        """Every model that was added is listed with what was said of it, newest first."""
        assert [model.digest for model in table.list()] == [C, B, A]
        model = table.get(B)
        assert (model.name, model.version, model.size_bytes, model.added_by) == ("wmh-tiny", "1.1.0", 1234, "alice@lab")
        assert model.evaluation is None

    def test_again(self, table: ModelTable, clock: ManualClock) -> None:
        """The same digest again is no error and no second row; the first date stays."""
        before = table.get(A)
        assert not table.add(NewModel(A, "other", "9.9.9", 1), "bob@lab")
        assert table.get(A) == before
        assert len(table.list()) == 3

    def test_an_evaluation_later(self, table: ModelTable, database: Database) -> None:
        """An evaluation may be given with the model or later; who gave it is in the audit, and nothing else changes."""
        assert not table.add(NewModel(A, "wmh-tiny", "1.0.0", 1234), "bob@lab", {"cases": [{"dsc": 0.7}]})
        assert table.get(A).evaluation == {"cases": [{"dsc": 0.7}]}
        assert not table.add(NewModel(A, "wmh-tiny", "1.0.0", 1234), "bob@lab")
        assert table.get(A).evaluation == {"cases": [{"dsc": 0.7}]}
        assert [(entry.who, entry.action) for entry in audit_entries(database, 1)] == [("bob@lab", "evaluate model")]

    def test_no_json(self, table: ModelTable) -> None:
        """An evaluation with NaN is refused on both databases, and the model is not added without it."""
        with pytest.raises(InvalidMeasurements, match="wmh-tiny 3"):
            table.add(NewModel("d" * 64, "wmh-tiny", "3.0.0", 1), "alice@lab", {"dsc": float("nan")})
        assert len(table.list()) == 3

    @pytest.mark.parametrize("digest", ["", "abc", "A" * 64, "../" + "a" * 61])
    def test_no_digest(self, digest: str) -> None:
        """What is no sha256 never becomes a row, and so never a folder's name."""
        with pytest.raises(DatabaseError, match="64 hexadecimal"):
            NewModel(digest, "wmh-tiny", "1.0.0", 1)


class TestFinding:
    """How a person names a model."""

    @pytest.mark.parametrize("what", [B, B.upper(), "bbbb", "wmh-tiny@1.1.0"])
    def test_found(self, table: ModelTable, what: str) -> None:
        """By digest, by its beginning, by name and version."""
        assert table.find(what).digest == B

    @pytest.mark.parametrize("what", ["wmh-tiny", "bbb", "wmh-tiny@3.0.0", "@1.1.0", "b%", "", "nobody"])
    def test_not_found(self, table: ModelTable, what: str) -> None:
        """What names none, or several, is refused with what may be named."""
        with pytest.raises(UnknownModel, match="expected a digest" if what != "wmh-tiny" else "may mean 3 models"):
            table.find(what)

    def test_ambiguous_beginning(self, table: ModelTable) -> None:
        """A beginning that two digests share is refused, and both are listed."""
        table.add(NewModel("bbbb" + "0" * 60, "other", "1.0.0", 1), "alice@lab")
        with pytest.raises(UnknownModel, match=r"other 1\.0\.0 \(bbbb00000000\)"):
            table.find("bbbb")

    def test_a_name_wins(self, table: ModelTable) -> None:
        """A model whose name looks like a digest is found by it."""
        table.add(NewModel("d" * 64, "bbbb", "1.0.0", 1), "alice@lab")
        assert table.find("bbbb").digest == "d" * 64


class TestPromoting:
    """Which model is live."""

    def test_the_newest_promotion_is_live(self, table: ModelTable) -> None:
        """Nothing is live at first; then what was promoted last."""
        assert (table.live(), table.live_digest()) == (None, None)
        table.promote(A, "alice@lab", None, reason="first", gate={"passed": True})
        table.promote(B, "bob@lab", A)
        live = table.live()
        assert live is not None
        assert (live.digest, live.who, live.kind, live.forced) == (B, "bob@lab", PromotionKind.PROMOTE, False)
        assert table.live_digest() == B
        first = table.promotions(A)[0]
        assert (first.reason, first.gate) == ("first", {"passed": True})

    def test_promoted_again(self, table: ModelTable) -> None:
        """To promote what is live already changes nothing."""
        first = table.promote(A, "alice@lab", None)
        assert table.promote(A, "bob@lab", None) == first
        assert table.promote(A, "bob@lab", A) == first
        assert table.promotions() == [first]

    def test_unknown(self, table: ModelTable) -> None:
        """Only a registered model can be promoted."""
        with pytest.raises(UnknownModel, match="ffff"):
            table.promote("f" * 64, "alice@lab", None)
        assert table.live() is None

    def test_decided_about_another(self, table: ModelTable) -> None:
        """A decision against a model that is not live any more is refused: what was compared no longer counts."""
        table.promote(A, "alice@lab", None)
        with pytest.raises(LiveModelChanged, match=r"expected none, found aaaa.*alice@lab"):
            table.promote(B, "bob@lab", None)
        with pytest.raises(LiveModelChanged, match="expected bbbb"):
            table.rollback("bob@lab", B)
        assert table.live_digest() == A

    def test_forced(self, table: ModelTable, database: Database) -> None:
        """A forced promotion says so, and the audit has who, why, and the checks that were overruled."""
        table.promote(A, "alice@lab", None, reason="scanner changed", overruled=["DSC: expected 0.6, came 0.5"])
        (promotion,) = table.promotions()
        assert promotion.forced
        (entry,) = audit_entries(database, 1)
        assert (entry.who, entry.action) == ("alice@lab", "promote model")
        assert "scanner changed" in entry.detail
        assert "DSC: expected 0.6, came 0.5" in entry.detail
        assert A in entry.detail

    def test_rollback(self, table: ModelTable, database: Database) -> None:
        """Each rollback goes one promotion further back, and never to what was just left; at the end it is refused."""
        for digest, live in ((A, None), (B, A), (C, B)):
            table.promote(digest, "alice@lab", live)
        assert table.earlier().digest == B
        assert table.rollback("bob@lab", C, reason="worse").digest == B
        assert table.rollback("bob@lab", B).digest == A
        with pytest.raises(NoEarlierModel, match=r"before wmh-tiny 1\.0\.0"):
            table.rollback("bob@lab", A)
        assert [(promotion.digest, promotion.kind) for promotion in table.promotions()][:2] == [
            (A, PromotionKind.ROLLBACK), (B, PromotionKind.ROLLBACK),
        ]  # fmt: skip
        assert [entry.action for entry in audit_entries(database, 2)] == ["roll back model"] * 2
        assert "reason: worse" in audit_entries(database, 2)[1].detail

    def test_rollback_then_promote(self, table: ModelTable) -> None:
        """What is promoted after a rollback is rolled back to where the rollback led."""
        table.promote(A, "alice@lab", None)
        table.promote(B, "alice@lab", A)
        table.rollback("alice@lab", B)
        table.promote(C, "alice@lab", A)
        assert table.rollback("alice@lab", C).digest == A

    def test_nothing_to_roll_back(self, table: ModelTable) -> None:
        """Before the first promotion there is nothing to roll back."""
        with pytest.raises(NoEarlierModel, match="nothing was promoted"):
            table.rollback("alice@lab", None)
        with pytest.raises(NoEarlierModel, match="nothing was promoted"):
            table.earlier()

    def test_not_loaded(self, table: ModelTable, database: Database) -> None:
        """That a worker cannot load the live model is in the audit."""
        table.not_loaded("work@host:1", B, "member-1.npz is missing")
        (entry,) = audit_entries(database, 1)
        assert (entry.action, entry.job_id) == ("live model not loaded", None)
        assert "member-1.npz is missing" in entry.detail


def test_promoted_at_once(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of several processes that promote against the same live model exactly one succeeds; the others hear of it."""
    root = Path(__file__).resolve().parents[2]
    monkeypatch.setenv("PYTHONPATH", f"{root}:{root / 'tests'}")  # for the children
    digests = [f"{number:064x}" for number in range(1, 5)]
    with closing(open_database(url)) as database:
        table = ModelTable(database)
        for digest in digests:
            table.add(NewModel(digest, "wmh-tiny", "1.0.0", 1), "alice@lab")
        with ProcessPoolExecutor(len(digests), mp_context=multiprocessing.get_context("spawn")) as pool:
            promoted = [digest for digest in pool.map(promote_at_once, [url] * len(digests), digests) if digest]
        assert len(promoted) == 1
        assert table.live_digest() == promoted[0]
        assert len(table.promotions()) == 1
