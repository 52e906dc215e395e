"""Corrections as words and as plain values."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any

from db.feedback import comparison_in_figures
from db.records import Feedback, FeedbackState
from dicom_node.node.job_words import shown_time


def plain_feedback(one: Feedback) -> dict[str, Any]:
    """A row for JSON: times as ISO 8601 in UTC (content_time: local, as the object says), states as their names."""
    fields = {**asdict(one), "who": one.who, "counts": one.counts}
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in fields.items()}


def standing(one: Feedback) -> str:
    """Its outcome: a word, and why where that is not obvious."""
    if one.superseded_by is not None:
        return f"superseded by {one.superseded_by}"
    if one.state is FeedbackState.WAITING:
        return "kept, fits no series yet" if one.code is not None else "waiting for the check"
    return "the node's own result" if one.state is FeedbackState.OWN else str(one.state)


def figures(one: Feedback) -> tuple[str, str, str]:
    """DSC, the model's mL and the corrected mL, as short text."""
    if (found := one.comparison) is None:
        return "", "", ""
    return f"{found['dsc']:.3f}", f"{found['model_ml']:.2f}", f"{found['corrected_ml']:.2f}"


def explained(one: Feedback) -> str:
    """One sentence for the story of a series; no name of a person."""
    came = f"Feedback {one.id} from {one.calling_ae_title}, received {shown_time(one.received_at)}: {standing(one)}"
    if one.state is FeedbackState.ACCEPTED:
        return f"{came}; {comparison_in_figures(one)}."
    return came + (f". {one.reason} [{one.code}]" if one.reason and one.code else ".")
