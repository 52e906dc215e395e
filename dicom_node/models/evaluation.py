"""The evaluation that is registered with a model, and its figure for a table."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dicom_node.node.errors import ModelError
from segmentation.bundle import ModelIdentity


@dataclass(frozen=True)
class MeanDsc:
    """Mean DSC over so many cases, and how many are of patients that the model knows: on those its DSC is too good.

    Attributes:
        seen: cases of patients that the model was trained on, scored by members that may have seen them.
        not_stated: cases for which the evaluation does not state it.
    """

    mean: float
    cases: int
    seen: int = 0
    not_stated: int = 0

    def __str__(self) -> str:
        words = [f"{self.cases} cases"]
        if self.seen:
            words.append(f"{self.seen} of its training patients: too good")
        if self.not_stated:
            words.append("its training patients are not stated")
        return f"{self.mean:.3f} ({', '.join(words)})"


def read_evaluation(path: Path, model: ModelIdentity) -> dict[str, Any]:
    """The content of evaluation.json (`wmh-node evaluate`), as plain values.

    Raises:
        BadEvaluation: it is no evaluation.
        ModelError: it is the evaluation of another model.
    """
    # The page lists models without it, and it loads what reads labelled cases.
    from training.evaluate.document import Evaluation

    evaluation = Evaluation.from_json(path.read_bytes())
    if evaluation.model.digest != model.digest:
        raise ModelError(
            f"{path.name} is the evaluation of another model: expected {model.name} {model.version}, digest "
            f"{model.digest[:12]}; got {evaluation.model.name} {evaluation.model.version}, digest "
            f"{evaluation.model.digest[:12]}"
        )
    plain: dict[str, Any] = json.loads(evaluation.to_json())
    return plain


def mean_dsc(evaluation: Mapping[str, Any] | None) -> MeanDsc | None:
    """Mean DSC over the cases of an evaluation; None without one. Reads any version of the document."""
    found = (evaluation or {}).get("cases", ())
    cases = [case for case in found if isinstance(case, Mapping) and isinstance(case.get("dsc"), int | float)]
    if not cases:
        return None
    seen = [_saw(case) for case in cases]
    return MeanDsc(
        sum(case["dsc"] for case in cases) / len(cases), len(cases), seen=seen.count(True), not_stated=seen.count(None)
    )


def _saw(case: Mapping[str, Any]) -> bool | None:
    """Whether members that scored this case may have seen its patient; None when not stated.

    The members that an evaluation names for a known patient (`evaluate --unseen-members`) are those that never saw this
    patient.
    """
    known = case.get("seen_in_training")
    return bool(known) and not case.get("judged_by") if isinstance(known, bool) else None
