"""Corrections as words and as plain values."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any

from db.feedback import comparison_in_figures
from db.records import Feedback, FeedbackState
from dicom_node.node.job_words import shown_time


def plain_feedback(feedback: Feedback) -> dict[str, Any]:
    """A row for JSON: times as ISO 8601 in UTC (content_time: local, as the object says), states as their names."""
    fields = {**asdict(feedback), "who": feedback.who, "counts": feedback.counts}
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in fields.items()}


def standing(feedback: Feedback) -> str:
    """Its outcome: a word, and why where that is not obvious."""
    if feedback.superseded_by is not None:
        return f"superseded by {feedback.superseded_by}"
    if feedback.state is FeedbackState.WAITING:
        return "kept, fits no series yet" if feedback.code is not None else "waiting for the check"
    return "the node's own result" if feedback.state is FeedbackState.OWN else str(feedback.state)


def figures(feedback: Feedback) -> tuple[str, str, str]:
    """DSC, the model's mL and the corrected mL, as short text."""
    if (found := feedback.comparison) is None:
        return "", "", ""
    return f"{found['dsc']:.3f}", f"{found['model_ml']:.2f}", f"{found['corrected_ml']:.2f}"


def explained(feedback: Feedback) -> str:
    """One sentence for the story of a series; no name of a person."""
    received = shown_time(feedback.received_at)
    came = f"Feedback {feedback.id} from {feedback.calling_ae_title}, received {received}: {standing(feedback)}"
    if feedback.state is FeedbackState.ACCEPTED:
        return f"{came}; {comparison_in_figures(feedback)}."
    return came + (f". {feedback.reason} [{feedback.code}]" if feedback.reason and feedback.code else ".")
