"""Registered models, promotions and the verdict of its checks as words, tables and plain values.

What a bundle says of itself reaches a terminal through `printable` only; JSON has it as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.table import Table
from rich.text import Text

from db.records import Promotion, PromotionKind, RegisteredModel
from dicom_node.models.checks import CheckState, ModelVerdict
from dicom_node.models.evaluation import mean_dsc
from dicom_node.node.job_words import shown_time
from segmentation.untrusted import printable

_COLOURS = {CheckState.PASSED: "green", CheckState.FAILED: "red", CheckState.NOT_MADE: "dim"}
_SHORT = 12  # digits of a digest that people see and type


def plain_model(model: RegisteredModel, live: str | None) -> dict[str, Any]:
    """A model for JSON, without its whole evaluation.

    Args:
        live: digest of the live model.
    """
    dsc = mean_dsc(model.evaluation)
    return {
        "digest": model.digest,
        "name": model.name,
        "version": model.version,
        "size_bytes": model.size_bytes,
        "added_at": model.added_at.isoformat(),
        "added_by": model.added_by,
        "dsc": None if dsc is None else dsc.mean,
        "dsc_cases": None if dsc is None else dsc.cases,
        # Null as well where the evaluation lacks it for some cases.
        "dsc_cases_seen_in_training": None if dsc is None or dsc.not_stated else dsc.seen,
        "live": model.digest == live,
    }


def plain_promotion(promotion: Promotion) -> dict[str, Any]:
    """A promotion for JSON."""
    return {**asdict(promotion), "at": promotion.at.isoformat(), "kind": str(promotion.kind)}


def models_table(models: Sequence[RegisteredModel], live: str | None) -> Table:
    """One line a model, with the mean DSC of its evaluation; the live one is marked."""
    table = Table(box=None)
    for heading in ("", "name", "version", "digest", "added", "DSC"):
        table.add_column(heading, no_wrap=True)
    for model in models:
        is_live = model.digest == live
        dsc = mean_dsc(model.evaluation)
        table.add_row(
            Text("live" if is_live else "", style="green"),
            Text(printable(model.name)),
            Text(printable(model.version)),
            model.digest[:_SHORT],
            shown_time(model.added_at),
            "" if dsc is None else str(dsc),
        )
    return table


def promotion_line(promotion: Promotion) -> str:
    """When, who, what and why, in one line."""
    what = "promoted" if promotion.kind is PromotionKind.PROMOTE else "made live again by a rollback"
    forced = ", forced although a check failed" if promotion.forced else ""
    reason = f": {promotion.reason}" if promotion.reason else ""
    return printable(f"{shown_time(promotion.at)}  {promotion.who}  {what}{forced}{reason}")


def checks_table(verdict: ModelVerdict) -> Table:
    """One line for each check."""
    table = Table("check", "", "expected", "got", box=None)
    for check in verdict.checks:
        state = Text(str(check.state), style=_COLOURS[check.state])
        table.add_row(check.name, state, check.expected, Text(printable(check.came)))
    return table


def cases_table(verdict: ModelVerdict) -> Table:
    """DSC of both models, case by case, and their means."""
    table = Table("case", box=None)
    for heading in ("live model", "this model", "difference"):
        table.add_column(heading, justify="right", no_wrap=True)
    for case in verdict.cases:
        table.add_row(Text(printable(case.case)), *_scores(case.live_dsc, case.dsc))
    count = len(verdict.cases)
    live, found = (sum(values) / count for values in zip(*((c.live_dsc, c.dsc) for c in verdict.cases), strict=True))
    table.add_row("mean", *_scores(live, found), style="bold")
    return table


def card_summary(card: str) -> str:
    """The model card's title and first paragraph."""
    blocks = [block.strip() for block in card.split("\n\n") if block.strip()]
    lines = [line for block in blocks[:2] for line in block.splitlines()]
    return printable("\n".join(line.lstrip("# ").rstrip() for line in lines))


def in_words(value: Any) -> str:
    """A value of the manifest for a reader: `network se-unet, width 0.5`."""
    return printable(_joined(value))


def _joined(value: Any) -> str:
    if isinstance(value, dict):
        filled = {key.replace("_", " "): item for key, item in value.items() if item not in (None, [], {})}
        return ", ".join(f"{key} {_joined(item)}" for key, item in filled.items())
    return "; ".join(map(_joined, value)) if isinstance(value, list | tuple) else str(value)


def _scores(live: float, found: float) -> tuple[str, str, str]:
    return f"{live:.3f}", f"{found:.3f}", f"{found - live:+.3f}"
