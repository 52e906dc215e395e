"""Made-up evaluations: a cohort with every column filled, and one too small for most statistics."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np

from training.evaluate.document import (
    AgreementFigure,
    BaselineRow,
    BaselineTable,
    CaseRecord,
    Cohort,
    DensityFigure,
    Evaluation,
    EvaluationSettings,
    FittedLine,
    InterRater,
    LineFigure,
    LinePoint,
    LineSeries,
    ModelRecord,
    Outlier,
    PaperFigure,
    ReliabilityBin,
    ReliabilityCurve,
    RepresentativeCase,
    RiskCoverageCurve,
    SampleGroup,
    Statistic,
    Stratification,
    Stratum,
    TrainingSizeCurve,
    TrainingSizePoint,
    TriageFigure,
    ViolinFigure,
)
from training.evaluate.gallery import ShownCase

MODEL = ModelRecord(
    name="tiny",
    version="0.0.1",
    digest="0" * 64,
    members=2,
    architecture="se-unet published, width 0.125",
    threshold=0.5,
    runtime="tensorflow",
    precision="f32",
)
SITES = ("Ilsan", "Jeju", "Osaka")
INFARCT_SITES = ("cortex", "corona radiata", "thalamus", "pons")


def made_up_records(count: int = 60, seed: int = 1) -> tuple[CaseRecord, ...]:
    """Cases whose DSC grows with the volume and falls with the uncertainty index, as in the paper."""
    rng = np.random.default_rng(seed)
    return tuple(_record(index, rng) for index in range(count))


def _record(index: int, rng: np.random.Generator) -> CaseRecord:
    manual = float(np.exp(rng.normal(2.4, 1.0)))
    uncertainty = float(np.clip(0.45 - 0.09 * np.log(manual) + rng.normal(0, 0.06), 0.02, 0.95))
    dsc = float(np.clip(0.92 - 0.9 * uncertainty + rng.normal(0, 0.04), 0.05, 0.95))
    predicted = manual * float(np.exp(rng.normal(-0.1, 0.15)))
    external = index % 3 == 2
    return CaseRecord(
        case=f"case{index:03d}",
        patient=f"p{index:03d}",
        site=SITES[index % 3],
        split="external" if external else ("train", "validation", "test")[index % 2 + 1],
        dsc=dsc,
        hd_mm=float(rng.gamma(9, 1.0)),
        hd_pixels=float(rng.gamma(9, 1.0)),
        hd95_mm=float(rng.gamma(4, 1.0)),
        surface_dice=min(1.0, dsc + 0.1),
        manual_ml=manual,
        predicted_ml=predicted,
        uncertainty_index=uncertainty,
        member_dice=float(np.clip(1 - uncertainty + rng.normal(0, 0.03), 0, 1)),
        soft_dice_confidence=float(np.clip(1 - 0.9 * uncertainty, 0, 1)),
        inverse_volume=1 / predicted,
        brier=0.02,
        ece_near=0.03,
        lesions_manual=12,
        lesions_predicted=10,
        lesions_found=9,
        lesion_recall=0.75,
        lesion_precision=0.8,
        lesion_f1=2 * 0.75 * 0.8 / 1.55,
        regions_by="manual ventricles",
        pv_dsc=min(1.0, dsc + 0.05),
        deep_dsc=max(0.0, dsc - 0.1),
        pv_dsc_7mm5=min(1.0, dsc + 0.05),
        deep_dsc_7mm5=max(0.0, dsc - 0.09),
        pv_manual_ml=manual * 0.7,
        pv_predicted_ml=predicted * 0.7,
        deep_manual_ml=manual * 0.3,
        deep_predicted_ml=predicted * 0.3,
        pv_manual_ml_7mm5=manual * 0.6,
        pv_predicted_ml_7mm5=predicted * 0.6,
        deep_manual_ml_7mm5=manual * 0.4,
        deep_predicted_ml_7mm5=predicted * 0.4,
        manual_ventricles_ml=30.0,
        ventricle_dsc=0.9,
        seconds=float(rng.normal(0.07, 0.005)),
        clinical={
            "age": float(np.round(rng.normal(67, 13))),
            "sex": "male" if rng.random() < 0.6 else "female",
            "infarct_volume_ml": float(np.exp(rng.normal(0.8, 1.6))),
            "infarct_site": INFARCT_SITES[index % 4],
        },
    )


def made_up_evaluation(count: int = 60, seed: int = 1) -> Evaluation:
    """Every table and figure filled with plausible numbers."""
    records = made_up_records(count, seed)
    external = [record for record in records if record.split == "external"]
    order = sorted(external, key=lambda record: record.uncertainty_index or 0)
    index = [float(record.uncertainty_index or 0) for record in order]
    dsc = [record.dsc for record in order]
    mean = PaperFigure(value=0.722, ci_low=0.719, ci_high=0.726, where="Abstract")
    kept = np.arange(1, len(order) + 1)
    names = tuple(record.case for record in order)
    return Evaluation(
        evaluated_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        software={"scipy": "1"},
        model=MODEL,
        settings=EvaluationSettings(),
        cohort=Cohort(cases=count, patients=count, sites={"Ilsan": count // 3}, splits={"external": len(external)}),
        figure_group="external",
        cases=records,
        statistics=(
            Statistic(
                name="dsc_mean",
                title="mean DSC",
                group="external",
                value=0.7,
                ci_low=0.68,
                ci_high=0.72,
                sd=0.1,
                n=len(external),
                paper=mean,
            ),
            Statistic(
                name="volume_ccc",
                title="Lin's CCC of volumes",
                group="site:Osaka",
                n=2,
                note="at least 4 cases are needed, there are 2",
            ),
        ),
        violins=(
            ViolinFigure(
                figure="1A",
                title="DSC by infarct volume",
                x_label="infarct volume",
                y_label="DSC",
                groups=(
                    SampleGroup(label="< 1.7 mL", values=tuple(dsc[:8]), paper=mean),
                    SampleGroup(label="1.7-14 mL", values=tuple(dsc[8:])),
                    SampleGroup(label="> 14 mL", values=()),
                ),
                p=0.03,
                test="one-way ANOVA",
            ),
            ViolinFigure(
                figure="1B", title="DSC by WMH volume", x_label="WMH volume", y_label="DSC", note="no case in a tertile"
            ),
        ),
        lines=tuple(
            LineFigure(
                figure=figure,
                title=f"figure {figure}",
                x_label="uncertainty index",
                y_label="DSC",
                bars="SD" if figure != "1E" else "95 % CI",
                series=tuple(
                    LineSeries(
                        label=label,
                        points=(
                            LinePoint(label="0-0.2", mean=0.8, low=0.7, high=0.9, n=9),
                            LinePoint(label="0.2-0.4", mean=0.7, low=0.6, high=0.8, n=5),
                            LinePoint(label="0.4-0.6"),
                        ),
                    )
                    for label in ("small", "large")
                ),
            )
            for figure in ("1C", "1D", "1E")
        ),
        representatives=tuple(
            RepresentativeCase(
                case=shown.case,
                level=shown.level,
                slice_index=shown.slice_index,
                uncertainty_index=shown.uncertainty_index,
                dsc=shown.dsc,
            )
            for shown in made_up_shown_cases()
        ),
        density=DensityFigure(
            cases=names, uncertainty_index=tuple(index), dsc=tuple(dsc), density=tuple(index), r=-0.7, p=0.001
        ),
        triage=TriageFigure(
            uncertainty_index=tuple(index),
            cumulative_percent=tuple((100 * kept / len(order)).tolist()),
            cumulative_dsc=tuple((np.cumsum(dsc) / kept).tolist()),
            percent_below=80.0,
            dsc_below=0.73,
        ),
        agreement=AgreementFigure(
            cases=names,
            manual_ml=tuple(record.manual_ml for record in order),
            predicted_ml=tuple(record.predicted_ml for record in order),
            outliers=(Outlier(case=names[-1], manual_ml=30.0, predicted_ml=5.0, residual_ml=-25.0, score=-6.0),),
            line=FittedLine(intercept=1.0, slope=0.9),
            line_without_outliers=FittedLine(intercept=0.9, slope=0.95),
        ),
        baseline=BaselineTable(
            columns=("internal", "Osaka"),
            counts=(count - len(external), len(external)),
            rows=(
                BaselineRow(label="age", form="mean (SD)", cells=("67.4 (13.0)", "68.2 (12.8)"), p=0.5, test="ANOVA"),
            ),
        ),
        stratifications=(
            Stratification(
                name="infarct_site",
                title="DSC by infarct site",
                quantity="DSC",
                by="infarct site",
                rows=(
                    Stratum(label="thalamus", n=5, mean=0.7, sd=0.1, ci_low=0.6, ci_high=0.8),
                    Stratum(label="pons", n=0),
                ),
                note="no case with infarct site: midbrain",
            ),
        ),
        training_size=TrainingSizeCurve(
            points=(
                TrainingSizePoint(patients=2, mean_dsc=0.4, sd=0.1, n=5),
                TrainingSizePoint(patients=8, mean_dsc=0.6, n=5),
            )
        ),
        reliability=ReliabilityCurve(
            region="voxels within 10 mm of a manual or predicted lesion",
            bins=tuple(
                ReliabilityBin(
                    low=k / 10, high=(k + 1) / 10, mean_probability=k / 10 + 0.05, observed=k / 10, voxels=100
                )
                for k in range(10)
            ),
            ece=0.05,
            brier=0.03,
        ),
        risk_coverage=tuple(
            RiskCoverageCurve(
                score=score,
                title=title,
                coverage=tuple((kept / len(order)).tolist()),
                selective_risk=tuple((np.cumsum([1 - x for x in dsc]) / kept).tolist()),
                generalised_risk=tuple((np.cumsum([1 - x for x in dsc]) / len(order)).tolist()),
                augrc=0.12,
                aurc=0.2,
            )
            for score, title in (("uncertainty_index", "uncertainty index"), ("member_dice", "pairwise member Dice"))
        ),
        inter_rater=InterRater(note="no case has masks of two raters"),
        notes=("A made-up cohort.",),
    )


def made_up_shown_cases() -> tuple[ShownCase, ...]:
    """Pictures of two cases, 48 x 40 pixels."""
    rows, columns = np.mgrid[:48, :40]
    head = ((rows - 24) / 22) ** 2 + ((columns - 20) / 18) ** 2 < 1
    manual = ((rows - 20) / 5) ** 2 + ((columns - 14) / 3) ** 2 < 1
    predicted = ((rows - 21) / 5) ** 2 + ((columns - 14) / 3) ** 2 < 1
    uncertainty = np.where(manual ^ predicted, 0.9, 0.05).astype(np.float32)
    image = (head * 100.0 + manual * 80.0).astype(np.float32)
    return (
        ShownCase("case000", "low", 5, 0.1, 0.85, image, manual, predicted, uncertainty, (1.0, 1.0)),
        ShownCase("case001", "high", 4, 0.6, 0.4, image, manual, predicted, uncertainty, (1.0, 1.0)),
    )
