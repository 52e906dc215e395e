"""The evaluation that is registered with a model, and its figure for a table."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dicom_node.errors import ModelError
from segmentation.bundle import ModelIdentity


@dataclass(frozen=True)
class MeanDsc:
    """Mean DSC over so many cases."""

    mean: float
    cases: int

    def __str__(self) -> str:
        return f"{self.mean:.3f} ({self.cases} cases)"


def read_evaluation(path: Path, model: ModelIdentity) -> dict[str, Any]:
    """The content of evaluation.json (`wmh-node evaluate`), as plain values.

    Raises:
        BadEvaluation: it is no evaluation.
        ModelError: it is the evaluation of another model.
    """
    from training.evaluation.document import Evaluation

    evaluation = Evaluation.from_json(path.read_bytes())
    if evaluation.model.digest != model.digest:
        raise ModelError(
            f"{path.name} is the evaluation of another model: expected {model.name} {model.version}, digest "
            f"{model.digest[:12]}; came {evaluation.model.name} {evaluation.model.version}, digest "
            f"{evaluation.model.digest[:12]}"
        )
    plain: dict[str, Any] = json.loads(evaluation.to_json())
    return plain


def mean_dsc(evaluation: Mapping[str, Any] | None) -> MeanDsc | None:
    """Mean DSC over the cases of an evaluation; None without one. Reads any version of the document."""
    cases = (evaluation or {}).get("cases", ())
    values = [case["dsc"] for case in cases if isinstance(case, Mapping) and isinstance(case.get("dsc"), int | float)]
    return MeanDsc(sum(values) / len(values), len(values)) if values else None
