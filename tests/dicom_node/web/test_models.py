"""Models on the page: the report of the checks, promoting by it, the way back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from support.models import tiny_bundle
from support.page_node import SCRIPT, PageNode

from db.audit import audit_entries
from dicom_node.models.adding import add_model
from dicom_node.models.checks import CheckState, ComparedCase, ModelCheck, ModelVerdict
from dicom_node.models.choice import store_of

Browse = Callable[..., Any]


def _verdict(state: CheckState, name: str = "DSC") -> dict[str, Any]:
    checks = (ModelCheck("loads", CheckState.PASSED, "a bundle", "one"), ModelCheck(name, state, SCRIPT, SCRIPT))
    return ModelVerdict(0.02, checks, (ComparedCase(SCRIPT, 0.7, 0.8),)).plain()


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
    table.note_checks(digest, "test", None, _verdict(CheckState.FAILED, "loads"))
    assert "Make it live" not in admin.get(path)
    admin.post(f"{path}/promote", status=409, reason="x")
    table.note_checks(digest, "test", None, _verdict(CheckState.FAILED))
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


def test_drift_is_shown(node: PageNode, browser: Browse) -> None:
    """The page shows the scanner and the number of its results; the AE title stays text."""
    text = browser("viewer").get("/models")
    assert "Drift by scanner and month" in text
    assert "&lt;i&gt;AE" in text
