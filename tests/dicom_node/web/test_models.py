"""Models on the page: the report of the checks, promoting by it, the way back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.models import tiny_bundle
from support.page_node import SCRIPT, PageNode

from db.audit import audit_entries
from dicom_node.models.adding import add_model, register_shipped
from dicom_node.models.checks import CheckedCase, CheckState, ModelCheck, ModelVerdict
from dicom_node.models.choice import shipped_digest, store_of
from dicom_node.web import drift_watch

Browse = Callable[..., Any]


def _verdict(state: CheckState, name: str = "DSC") -> dict[str, Any]:
    checks = (ModelCheck("loads", CheckState.PASSED, "a bundle", "one"), ModelCheck(name, state, SCRIPT, SCRIPT))
    return ModelVerdict(0.02, checks, (CheckedCase(SCRIPT, 0.7, 0.8),)).plain()


def test_a_model_is_promoted_by_its_report(node: PageNode, browser: Browse, tmp_path: Path) -> None:
    """No report, one about another live model, no reason or a model that does not load: nothing changes. Then it does,
    with the report in the promotion and the account in the audit; and back."""
    table, store = node.site.models, store_of(node.site.settings)
    digest = add_model(tiny_bundle(tmp_path / "new"), None, store, table, "test").digest
    admin, path = browser("admin"), f"/models/{digest}"
    assert "Not made yet" in admin.get(path)
    assert "checks were not made" in admin.post(f"{path}/promote", status=409, reason="x")
    table.note_checks(digest, "test", "f" * 64, _verdict(CheckState.PASSED))
    assert "another model" in admin.get(path)
    admin.post(f"{path}/promote", status=409, reason="x")
    table.note_checks(digest, "test", shipped_digest(), _verdict(CheckState.FAILED, "loads"))
    assert "Make it live" not in admin.get(path)
    admin.post(f"{path}/promote", status=409, reason="x")
    table.note_checks(digest, "test", shipped_digest(), _verdict(CheckState.FAILED))
    admin.post(f"{path}/promote", status=409, reason=" ")
    assert table.live_digest() is None
    assert "although a check failed" in admin.get(path)
    assert SCRIPT not in admin.get(path)
    assert "Make it live" not in browser("operator").get(path)
    admin.post(f"{path}/promote", reason="fewer false lesions <b>")
    assert table.live_digest() == digest
    (promotion,) = table.promotions(digest)
    assert (promotion.who, promotion.forced, promotion.gate["checks"][1]["name"]) == ("admin (page)", True, "DSC")
    assert audit_entries(node.setting.database)[0].action == "promote model"
    assert "fewer false lesions &lt;b&gt;" in admin.get("/models")
    admin.post("/models/rollback", reason="it was not better")
    assert table.live_digest() != digest


def test_a_rollback_that_came_second_is_refused_in_words(
    node: PageNode, browser: Browse, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Another promotion between the look and the rollback: the page says so, and nothing is changed."""
    table, store = node.site.models, store_of(node.site.settings)
    digest = add_model(tiny_bundle(tmp_path / "second", kind="random"), None, store, table, "test").digest
    before = table.live_digest() or register_shipped(store, table, digest, "test")
    table.promote(digest, "test", before, reason="x")
    live, real = table.live(), table.earlier

    def slow() -> Any:
        found = real()
        table.rollback("another", digest, "first")
        return found

    monkeypatch.setattr(table, "earlier", slow)
    assert "live model has changed" in browser("admin").post("/models/rollback", status=409, reason="x")
    assert live.digest == digest != table.live_digest()


def test_the_shipped_model_shows_its_card(browser: Browse) -> None:
    """What is used until a model is promoted can be looked at: name, version, digest, card."""
    viewer = browser("viewer")
    text = viewer.get("/models/shipped")
    assert shipped_digest() in text
    assert "not a medical device" in text.lower()


def test_drift_is_shown(node: PageNode, browser: Browse) -> None:
    """The page shows the scanner and the number of its results; the AE title stays text."""
    text = browser("viewer").get("/models")
    assert "Drift by scanner and month" in text
    assert "&lt;i&gt;AE" in text


def test_drift_that_is_cut_says_so(node: PageNode, browser: Browse, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there are more results than are counted, the page says how many are, in place of less for a month."""
    words = "Only the newest 20,000 results are counted"
    assert words not in browser("admin").get("/models")
    monkeypatch.setattr(drift_watch, "MOST_RESULTS", 1)
    monkeypatch.setattr(node.site.drift, "_kept", None)
    assert words in browser("admin").get("/models")
