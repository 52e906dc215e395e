"""From scored cases to the document: groups, statistics, figures, notes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime

from training.evaluate.architecture import SE_UNET, network_of
from training.evaluate.baseline import baseline_table
from training.evaluate.calibration import reliability_curve
from training.evaluate.document import (
    CaseRecord,
    Cohort,
    Evaluation,
    EvaluationSettings,
    ModelRecord,
    RepresentativeCase,
    TrainingSizeCurve,
)
from training.evaluate.figures import agreement_figure, density_figure, line_figures, triage_figure, violin_figures
from training.evaluate.groups import figure_group, groups_of, is_divided
from training.evaluate.inter_rater import inter_rater
from training.evaluate.paper import PaperReference
from training.evaluate.risk_coverage import risk_coverage_curves
from training.evaluate.scored_case import ScoredCase
from training.evaluate.statistics import statistics_of
from training.evaluate.stratify import stratifications

_NO_SIZES = TrainingSizeCurve(note="not requested: it trains a model per size (`wmh-node evaluate --sizes`)")


def assemble(
    scored: Sequence[ScoredCase],
    *,
    model: ModelRecord,
    settings: EvaluationSettings,
    representatives: Sequence[RepresentativeCase] = (),
    split: str | None = None,
    seen: str = "",
    training_size: TrainingSizeCurve | None = None,
    evaluated_at: datetime,
    software: Mapping[str, str] | None = None,
) -> Evaluation:
    """Sum up at least one scored case; the figures are of `groups.figure_group`."""
    records = [case.record for case in scored]
    groups = groups_of(records)
    name = figure_group(records)
    drawn = groups[name]
    drawn_names = {record.case for record in drawn}
    pictured = [case for case in scored if case.record.case in drawn_names]
    network = network_of(model.architecture) or SE_UNET
    paper_reference = PaperReference(network, is_divided(groups), settings.distance_rule)
    raters = inter_rater([case.rated for case in pictured if case.rated is not None])
    return Evaluation(
        evaluated_at=evaluated_at,
        software=dict(software or {}),
        model=model,
        settings=settings,
        cohort=_cohort(records, split, seen),
        figure_group=name,
        cases=tuple(records),
        statistics=statistics_of(groups, settings, network),
        violins=violin_figures(drawn, paper_reference),
        lines=line_figures(drawn),
        representatives=tuple(representatives),
        density=density_figure(drawn),
        triage=triage_figure(drawn, settings, raters),
        agreement=agreement_figure(drawn, settings),
        baseline=baseline_table(records),
        stratifications=stratifications(drawn, paper_reference),
        training_size=training_size or _NO_SIZES,
        reliability=reliability_curve(
            [case.reliability for case in pictured], settings.calibration_bins, settings.near_lesion_mm
        ),
        risk_coverage=risk_coverage_curves(drawn, settings),
        inter_rater=raters,
        notes=_notes(records, drawn),
    )


def _cohort(records: Sequence[CaseRecord], split: str | None, seen: str) -> Cohort:
    return Cohort(
        cases=len(records),
        patients=len({record.patient for record in records}),
        sites=_counts(record.site for record in records),
        splits=_counts(record.split for record in records),
        split_filter=split,
        seen_in_training=tuple(record.case for record in records if record.seen_in_training),
        without_lesions=tuple(record.case for record in records if record.lesions_manual == 0),
        note=seen,
    )


def _counts(names: object) -> dict[str, int]:
    return dict(sorted(Counter(name for name in names if name).items()))  # type: ignore[attr-defined]


def _notes(records: Sequence[CaseRecord], drawn: Sequence[CaseRecord]) -> tuple[str, ...]:
    notes = []
    patients = len({record.patient for record in drawn})
    if patients < len(drawn):
        notes.append(
            f"{len(drawn)} cases are of {patients} patients: tests and intervals treat scans as independent, so that "
            "intervals are too narrow and P values too small."
        )
    if empty := sum(record.lesions_manual == 0 for record in records):
        notes.append(
            f"{empty} case(s) without a manual lesion: DSC is 1 when nothing is predicted either, else 0; distances "
            "are undefined."
        )
    if nothing := sum(record.predicted_ml == 0 for record in records):
        notes.append(f"{nothing} case(s) with nothing predicted: the uncertainty index is undefined.")
    if undrawn := [record for record in records if record.manual_ventricles_ml == 0]:
        by_predicted = sum(record.regions_by is not None for record in undrawn)
        notes.append(
            f"{len(undrawn)} case(s) whose ventricles.nii.gz is empty: it counts as not drawn, so there is no DSC "
            f"of their ventricles; predicted ventricles divide the WMH of {by_predicted} of them, the rest have no "
            "regions."
        )
    return tuple(notes)
