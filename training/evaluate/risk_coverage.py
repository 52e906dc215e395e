"""Risk against coverage: what is lost when only the most confident cases are kept without review.

Risk of a case is 1 - DSC. Selective risk: mean risk of the kept cases. Generalised risk: their summed risk / all cases;
its area (AUGRC) is the mean risk that slips through unseen over all working points (Traub 2024, arXiv:2407.01032).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import trapezoid
from scipy.stats import bootstrap

from training.evaluate.document import CaseRecord, EvaluationSettings, RiskCoverageCurve

FEWEST_CASES: Final = 3
FEWEST_FOR_CI: Final = 10
_NO_INTERVAL: Final = f"no interval: at least {FEWEST_FOR_CI} cases are needed"
_MEMBER_DICE: Final = "member_dice"

# Slug, title, and the sign that turns the score into a confidence: +1 where a high score means sure.
SCORES: Final[tuple[tuple[str, str, float], ...]] = (
    ("uncertainty_index", "uncertainty index", -1.0),
    (_MEMBER_DICE, "pairwise member Dice", 1.0),
    ("soft_dice_confidence", "Soft Dice Confidence", 1.0),
    ("inverse_volume", "1 / volume", -1.0),
)


@dataclass(frozen=True)
class RiskCoverage:
    """Curves with a point per distinct confidence, most confident first; cases of one confidence come together."""

    coverage: NDArray[np.float64]
    selective_risk: NDArray[np.float64]
    generalised_risk: NDArray[np.float64]

    @property
    def augrc(self) -> float:
        """Area under the generalised risk from coverage 0 to 1, by trapezoids."""
        return float(trapezoid(np.r_[0.0, self.generalised_risk], np.r_[0.0, self.coverage]))

    @property
    def aurc(self) -> float:
        """Area under the selective risk, each distinct confidence weighted by its share of cases."""
        return float(np.sum(self.selective_risk * np.diff(np.r_[0.0, self.coverage])))


def risk_coverage(confidence: NDArray[Any], risk: NDArray[Any]) -> RiskCoverage:
    """Curves of cases with these confidences and risks (one-dimensional, same length, at least one)."""
    order = np.argsort(-confidence, kind="stable")
    last_of_tie = np.r_[np.flatnonzero(np.diff(confidence[order])), len(order) - 1]
    kept = last_of_tie + 1
    summed = np.cumsum(risk[order])[last_of_tie]
    return RiskCoverage(kept / len(order), summed / kept, summed / len(order))


def risk_coverage_curves(records: Sequence[CaseRecord], settings: EvaluationSettings) -> tuple[RiskCoverageCurve, ...]:
    """A curve per score, all over the same cases: those for which every score of `SCORES` is defined.

    The member Dice needs a pair: where some case was scored by one member, the other scores are compared without it.
    """
    needed = [slug for slug, _, _ in SCORES if slug != _MEMBER_DICE]
    has_scores = [all(getattr(record, slug) is not None for slug in needed) for record in records]
    usable = [record for record, has in zip(records, has_scores, strict=True) if has]
    missing = [record for record, has in zip(records, has_scores, strict=True) if not has]
    left_out = _left_out(missing, len(records))
    return tuple(_curve(usable, slug, title, sign, settings, left_out) for slug, title, sign in SCORES)


def _left_out(missing: Sequence[CaseRecord], cases: int) -> str:
    """The worst failure has no score: it must not leave the curves without a word."""
    if not missing:
        return ""
    missed = sum(record.lesions_manual > 0 for record in missing)
    return f"{len(missing)} of {cases} cases with nothing predicted left out, {missed} of them with manual lesions"


def _curve(
    records: Sequence[CaseRecord], slug: str, title: str, sign: float, settings: EvaluationSettings, left_out: str
) -> RiskCoverageCurve:
    if len(records) < FEWEST_CASES:
        few = f"at least {FEWEST_CASES} cases with a predicted lesion are needed, there are {len(records)}"
        return RiskCoverageCurve(score=slug, title=title, note="; ".join(note for note in (few, left_out) if note))
    if without := sum(getattr(record, slug) is None for record in records):
        note = f"no {title}: {without} of {len(records)} cases were scored by one member, so there is no pair"
        return RiskCoverageCurve(score=slug, title=title, note=note)
    confidence = sign * np.array([getattr(record, slug) for record in records])
    risk = 1 - np.array([record.dsc for record in records])
    curve = risk_coverage(confidence, risk)
    low, high = _augrc_interval(confidence, risk, settings)
    return RiskCoverageCurve(
        score=slug,
        title=title,
        coverage=tuple(curve.coverage.tolist()),
        selective_risk=tuple(curve.selective_risk.tolist()),
        generalised_risk=tuple(curve.generalised_risk.tolist()),
        augrc=curve.augrc,
        augrc_ci_low=low,
        augrc_ci_high=high,
        aurc=curve.aurc,
        note="; ".join(note for note in (left_out, "" if low is not None else _NO_INTERVAL) if note),
    )


def _augrc_interval(
    confidence: NDArray[Any], risk: NDArray[Any], settings: EvaluationSettings
) -> tuple[float | None, float | None]:
    if len(risk) < FEWEST_FOR_CI:
        return None, None
    found = bootstrap(
        (confidence, risk),
        lambda c, r: risk_coverage(c, r).augrc,
        paired=True,
        vectorized=False,
        n_resamples=settings.bootstrap_resamples,
        method="percentile",
        rng=np.random.default_rng(settings.seed),
    )
    return float(found.confidence_interval.low), float(found.confidence_interval.high)
