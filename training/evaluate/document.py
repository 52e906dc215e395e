"""The evaluation as a document: what `evaluation.json` holds and every figure and table is drawn from.

Frozen and valid once constructed; unknown fields, NaN and infinity are refused. A number that is undefined is None, and
a note beside it says why in words. Figures carry the paper's numbers (Kim, Ryu et al., AJNR 2024;45:1885).

Groups are texts: `all`, `internal` (train, validation and test patients), `external`, `split:test`, `site:A`.
`Evaluation.figure_group` names the one that the figures are drawn of.
"""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from training.json_document import Count, Fraction, FrozenRecord, JsonDocument, NotNegative

ClinicalValue = float | str


class PaperFigure(FrozenRecord):
    """What the paper reports for the same quantity.

    Attributes:
        value: in the unit of the statistic beside it.
        ci_low: lower end of the 95 % CI, where given.
        ci_high: upper end.
        sd: standard deviation, where given.
        where: part of the paper, such as `Abstract` or `Fig 1A`.
        is_unit_stated: the paper gives it in a unit, that of the statistic beside it; it gives none for its distances.
    """

    value: float
    ci_low: float | None = None
    ci_high: float | None = None
    sd: float | None = None
    where: str
    is_unit_stated: bool = True

    @property
    def number(self) -> str:
        """`0.710`: the value with as many decimals as its interval or SD has."""
        return self._written(self.value)

    @property
    def text(self) -> str:
        """`0.710 (0.707-0.714)`, as printed beside ours."""
        if self.ci_low is not None and self.ci_high is not None:
            return f"{self.number} ({self._written(self.ci_low)}-{self._written(self.ci_high)})"
        return self.number if self.sd is None else f"{self.number} (SD {self._written(self.sd)})"

    def _written(self, number: float) -> str:
        parts = (self.value, self.ci_low, self.ci_high, self.sd)
        decimals = max(len(f"{part:g}".partition(".")[2]) for part in parts if part is not None)
        return f"{number:.{decimals}f}"


class Statistic(FrozenRecord):
    """One number about one group of cases.

    Attributes:
        name: slug, such as `dsc_mean`.
        title: the words that a reader sees.
        group: see the module.
        value: None where it is undefined; `note` says why.
        ci_low: lower end of the 95 % CI.
        ci_high: upper end.
        sd: standard deviation over cases, where the value is a mean.
        n: cases that went into it.
        p: two-sided P value.
        unit: empty for a pure number, else `mm`, `mL`, `ms`, `pixels` or `%`.
        method: test or interval, with its source.
        paper: the paper's number for the same quantity.
        note: why there is no value, or what to mind.
    """

    name: str
    title: str
    group: str
    value: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    sd: float | None = None
    n: Count
    p: Fraction | None = None
    unit: str = ""
    method: str = ""
    paper: PaperFigure | None = None
    note: str = ""

    @model_validator(mode="after")
    def _explained(self) -> Self:
        if self.value is None and not self.note:
            raise ValueError(f"{self.name} of {self.group}: expected a note, since there is no value")
        return self


class CaseRecord(FrozenRecord):
    """One case: one row of `cases.csv`.

    Volumes lie on the native grid, in mL. None: undefined (no predicted voxel, no manual lesion, no ventricle mask).

    Attributes:
        case: name of the case folder.
        patient: patients are never on two sides of a split.
        site: blank where patients.csv names none.
        split: `train`, `validation`, `test`, `external` or blank.
        seen_in_training: the bundle names it among those that it was trained on; None: the bundle names no patient.
        judged_by: numbers of the members that scored the WMH, from 1, separated by spaces (`2 4`); empty: all of them.
        dsc: by the rule of `training.dice` (two empty masks 1, one empty mask 0).
        hd_mm: Hausdorff distance in 3D; None when a mask is empty.
        hd_pixels: the same in voxel steps of the native grid, whatever their size.
        hd95_mm: 95th percentile of the surface distances.
        surface_dice: at `EvaluationSettings.surface_tolerance_mm`.
        manual_ml: volume of the manual mask.
        predicted_ml: volume of the predicted mask.
        uncertainty_index: paper's index, 0 to 1.
        member_dice: mean Dice of all pairs of members (Zenk 2025).
        soft_dice_confidence: Soft Dice Confidence (Borges 2024).
        inverse_volume: 1 / predicted mL: what the index must beat.
        brier: mean squared error of the probability near lesions.
        ece_near: expected calibration error near lesions.
        lesions_manual: manual lesions, 26-connected.
        lesions_predicted: predicted lesions.
        lesions_found: manual lesions that a predicted voxel touches.
        lesion_recall: found / manual lesions.
        lesion_precision: predicted lesions that touch a manual voxel / predicted lesions.
        lesion_f1: their harmonic mean.
        regions_by: which ventricles the periventricular region was measured from.
        pv_dsc: periventricular WMH within 10 mm of the ventricles.
        deep_dsc: WMH outside.
        pv_dsc_7mm5: within 7.5 mm.
        deep_dsc_7mm5: outside.
        pv_manual_ml: manual WMH within 10 mm.
        pv_predicted_ml: predicted WMH within 10 mm.
        deep_manual_ml: manual WMH outside.
        deep_predicted_ml: predicted WMH outside.
        pv_manual_ml_7mm5: manual WMH within 7.5 mm.
        pv_predicted_ml_7mm5: predicted WMH within 7.5 mm.
        deep_manual_ml_7mm5: manual WMH outside.
        deep_predicted_ml_7mm5: predicted WMH outside.
        manual_ventricles_ml: volume of the manual ventricles; 0: the mask is empty and counts as not drawn; None: there
            is no mask (or the document is older than this field).
        ventricle_dsc: predicted against manual ventricles; the ventricle network is one for all members, and with
            `seen_in_training` counts as having seen the patient, whichever members scored the WMH.
        seconds: preprocessing, inference and measures; reading the files excluded.
        clinical: the other columns of patients.csv.
    """

    case: str
    patient: str
    site: str = ""
    split: str = ""
    seen_in_training: bool | None = None
    judged_by: str = ""
    dsc: Fraction
    hd_mm: NotNegative | None = None
    hd_pixels: NotNegative | None = None
    hd95_mm: NotNegative | None = None
    surface_dice: Fraction | None = None
    manual_ml: NotNegative
    predicted_ml: NotNegative
    uncertainty_index: Fraction | None = None
    member_dice: Fraction | None = None
    soft_dice_confidence: Fraction | None = None
    inverse_volume: NotNegative | None = None
    brier: Fraction | None = None
    ece_near: Fraction | None = None
    lesions_manual: Count
    lesions_predicted: Count
    lesions_found: Count
    lesion_recall: Fraction | None = None
    lesion_precision: Fraction | None = None
    lesion_f1: Fraction | None = None
    regions_by: Literal["manual ventricles", "predicted ventricles"] | None = None
    pv_dsc: Fraction | None = None
    deep_dsc: Fraction | None = None
    pv_dsc_7mm5: Fraction | None = None
    deep_dsc_7mm5: Fraction | None = None
    pv_manual_ml: NotNegative | None = None
    pv_predicted_ml: NotNegative | None = None
    deep_manual_ml: NotNegative | None = None
    deep_predicted_ml: NotNegative | None = None
    pv_manual_ml_7mm5: NotNegative | None = None
    pv_predicted_ml_7mm5: NotNegative | None = None
    deep_manual_ml_7mm5: NotNegative | None = None
    deep_predicted_ml_7mm5: NotNegative | None = None
    manual_ventricles_ml: NotNegative | None = None
    ventricle_dsc: Fraction | None = None
    seconds: NotNegative
    clinical: dict[str, ClinicalValue] = Field(default_factory=dict)


class ModelRecord(FrozenRecord):
    """Which model was scored, and how it ran."""

    name: str
    version: str
    digest: str
    members: int
    architecture: str
    threshold: float
    runtime: str
    precision: str


class EvaluationSettings(FrozenRecord):
    """The choices behind the numbers; the report states them.

    Attributes:
        review_above: the model's own limit of the uncertainty index, whatever was asked for; 0.35 is the paper's.
    """

    surface_tolerance_mm: float = 2.0
    near_lesion_mm: float = 5.0
    calibration_bins: int = 10
    periventricular_mm: tuple[float, float] = (10.0, 7.5)
    distance_rule: Literal["2d", "3d"] = "2d"
    review_above: float = 0.35
    outlier_p: Fraction = 0.05
    bootstrap_resamples: int = 2000
    seed: int = 2024
    shown_cases: int = 6


class Cohort(FrozenRecord):
    """Who was evaluated.

    Attributes:
        cases: number of cases.
        patients: number of patients.
        sites: site -> cases; blank site left out.
        splits: split -> cases; blank split left out.
        split_filter: the split that was asked for.
        seen_in_training: cases of patients that the bundle says it was trained on.
        without_lesions: cases whose manual mask is empty.
        note: the sentence on training patients that the report must print first.
    """

    cases: Count
    patients: Count
    sites: dict[str, int] = Field(default_factory=dict)
    splits: dict[str, int] = Field(default_factory=dict)
    split_filter: str | None = None
    seen_in_training: tuple[str, ...] = ()
    without_lesions: tuple[str, ...] = ()
    note: str = ""


class SampleGroup(FrozenRecord):
    """The values of one violin."""

    label: str
    values: tuple[float, ...]
    paper: PaperFigure | None = None


class ViolinFigure(FrozenRecord):
    """Figures 1A and 1B: one violin a group, with median and quartiles.

    Attributes:
        figure: the paper's number, such as `1A`.
        x_label: what the groups are.
        y_label: what the values are.
        groups: in the order to draw; a group may be empty.
        p: over all groups, by `test`.
        note: why it cannot be drawn; empty otherwise.
    """

    figure: str
    title: str
    x_label: str
    y_label: str
    groups: tuple[SampleGroup, ...] = ()
    p: Fraction | None = None
    test: str = ""
    note: str = ""


class LinePoint(FrozenRecord):
    """One dot with its error bar."""

    label: str
    mean: float | None = None
    low: float | None = None
    high: float | None = None
    n: Count = 0


class LineSeries(FrozenRecord):
    """One line."""

    label: str
    points: tuple[LinePoint, ...]


class LineFigure(FrozenRecord):
    """Figures 1C to 1E: dots with error bars, one line a series; every series has the same points."""

    figure: str
    title: str
    x_label: str
    y_label: str
    bars: Literal["SD", "95 % CI"]
    series: tuple[LineSeries, ...] = ()
    note: str = ""


class RepresentativeCase(FrozenRecord):
    """One column of figure 2; its pictures are a `training.evaluate.gallery.ShownCase` of the same case."""

    case: str
    level: Literal["low", "high"]
    slice_index: Count
    uncertainty_index: Fraction
    dsc: Fraction


class DensityFigure(FrozenRecord):
    """Figure 3A: uncertainty index against DSC; `density` is a Gaussian kernel estimate at each point."""

    cases: tuple[str, ...] = ()
    uncertainty_index: tuple[float, ...] = ()
    dsc: tuple[float, ...] = ()
    density: tuple[float, ...] | None = None
    r: float | None = None
    p: Fraction | None = None
    paper_r: float = -0.753
    note: str = ""


class TriageFigure(FrozenRecord):
    """Figure 3B: cases added in order of their uncertainty index.

    Attributes:
        uncertainty_index: sorted.
        cumulative_percent: of the cases with an index, up to and with this one.
        cumulative_dsc: their mean DSC.
        limit: above it the model sends a result to review.
        percent_below: cases under the limit, of those with an index.
        dsc_below: their mean DSC.
        inter_rater_dsc: agreement of human raters: measured here when `inter_rater_measured`, else the paper's 0.744.
    """

    uncertainty_index: tuple[float, ...] = ()
    cumulative_percent: tuple[float, ...] = ()
    cumulative_dsc: tuple[float, ...] = ()
    limit: float = 0.35
    percent_below: float | None = None
    dsc_below: float | None = None
    paper_percent_below: float = 86.0
    paper_dsc_below: float = 0.746
    inter_rater_dsc: float = 0.744
    inter_rater_measured: bool = False
    note: str = ""


class FittedLine(FrozenRecord):
    """y = intercept + slope x; x manual mL, y predicted mL."""

    intercept: float
    slope: float


class Outlier(FrozenRecord):
    """A case far off the diagonal; `residual_ml` is predicted - manual, `score` studentised."""

    case: str
    manual_ml: float
    predicted_ml: float
    residual_ml: float
    score: float


class AgreementFigure(FrozenRecord):
    """Figure 4: predicted against manual volume, the diagonal, the fitted line, outliers."""

    cases: tuple[str, ...] = ()
    manual_ml: tuple[float, ...] = ()
    predicted_ml: tuple[float, ...] = ()
    outliers: tuple[Outlier, ...] = ()
    line: FittedLine | None = None
    line_without_outliers: FittedLine | None = None
    paper_line: FittedLine = FittedLine(intercept=2.1693, slope=0.8311)
    paper_line_without_outliers: FittedLine = FittedLine(intercept=2.0671, slope=0.8376)
    note: str = ""


class BaselineRow(FrozenRecord):
    """One characteristic: a cell a column, already in words (`67.4 (13.0)`, `4 (2-8)`, `1419 (60.4)`)."""

    label: str
    form: Literal["mean (SD)", "median (IQR)", "n (%)"]
    cells: tuple[str, ...]
    p: Fraction | None = None
    test: str = ""
    note: str = ""


class BaselineTable(FrozenRecord):
    """The paper's Table: characteristics of the patients by data set.

    Attributes:
        columns: data sets.
        counts: patients of each; one row a patient, however many scans it has.
        note: which scan counts where a patient has several, and what is missing.
    """

    columns: tuple[str, ...] = ()
    counts: tuple[int, ...] = ()
    rows: tuple[BaselineRow, ...] = ()
    note: str = ""

    @model_validator(mode="after")
    def _square(self) -> Self:
        if any(len(row.cells) != len(self.columns) for row in self.rows) or len(self.counts) != len(self.columns):
            raise ValueError(f"expected {len(self.columns)} cells in every row of the baseline table")
        return self


class Stratum(FrozenRecord):
    """One row of a stratification."""

    label: str
    n: Count
    mean: float | None = None
    sd: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    paper: PaperFigure | None = None


class PairTest(FrozenRecord):
    """Two strata compared; P after Bonferroni."""

    first: str
    second: str
    difference: float
    p: Fraction


class Stratification(FrozenRecord):
    """A quantity by strata, with the test over all of them.

    Attributes:
        name: slug, such as `infarct_volume`.
        quantity: what is averaged (`DSC` or `uncertainty index`).
        by: what the strata are.
        p: over all strata with at least two cases.
        pairs: Bonferroni post hoc tests.
    """

    name: str
    title: str
    quantity: str
    by: str
    rows: tuple[Stratum, ...] = ()
    p: Fraction | None = None
    test: str = ""
    pairs: tuple[PairTest, ...] = ()
    note: str = ""


class TrainingSizePoint(FrozenRecord):
    """Mean DSC over `n` evaluated cases after training on this many patients."""

    patients: Count
    mean_dsc: float
    sd: float | None = None
    n: Count


class TrainingSizeCurve(FrozenRecord):
    """DSC against the number of training patients (paper: 0.659 at 100, 0.699 at 500, 0.722 at 2408)."""

    points: tuple[TrainingSizePoint, ...] = ()
    paper: tuple[TrainingSizePoint, ...] = (
        TrainingSizePoint(patients=100, mean_dsc=0.659, n=6013),
        TrainingSizePoint(patients=500, mean_dsc=0.699, n=6013),
        TrainingSizePoint(patients=2408, mean_dsc=0.722, n=6013),
    )
    p: Fraction | None = None
    test: str = ""
    note: str = ""


class ReliabilityBin(FrozenRecord):
    """Voxels whose probability lies in [low, high)."""

    low: Fraction
    high: Fraction
    mean_probability: Fraction | None = None
    observed: Fraction | None = None
    voxels: Count


class ReliabilityCurve(FrozenRecord):
    """Probability against frequency, pooled over the voxels near lesions of all cases.

    Attributes:
        region: which voxels, in words.
        ece: expected calibration error of the pooled voxels.
        brier: mean squared error of the pooled voxels.
    """

    region: str = ""
    bins: tuple[ReliabilityBin, ...] = ()
    ece: Fraction | None = None
    brier: Fraction | None = None
    note: str = ""


class RiskCoverageCurve(FrozenRecord):
    """Cases kept in order of a confidence score; risk = 1 - DSC (Traub 2024).

    Attributes:
        score: slug: `uncertainty_index`, `member_dice`, `soft_dice_confidence`, `inverse_volume`.
        coverage: share of cases kept, ascending.
        selective_risk: mean risk of the kept cases.
        generalised_risk: sum of the kept cases' risks / all cases.
        augrc: area under `generalised_risk`; lower is better.
        aurc: area under `selective_risk`.
    """

    score: str
    title: str
    coverage: tuple[float, ...] = ()
    selective_risk: tuple[float, ...] = ()
    generalised_risk: tuple[float, ...] = ()
    augrc: float | None = None
    augrc_ci_low: float | None = None
    augrc_ci_high: float | None = None
    aurc: float | None = None
    note: str = ""


class InterRater(FrozenRecord):
    """Agreement of human raters over the cases that have several masks."""

    raters: tuple[str, ...] = ()
    cases: Count = 0
    mean_dsc: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    mean_r: float | None = None
    model_dsc: float | None = None
    p: Fraction | None = None
    test: str = ""
    paper_dsc: PaperFigure = PaperFigure(value=0.744, ci_low=0.738, ci_high=0.751, where="Abstract")
    note: str = ""


class Evaluation(JsonDocument):
    """Everything that `wmh-node evaluate` found."""

    FILE_NAME: ClassVar[str] = "evaluation.json"

    evaluated_at: datetime
    software: dict[str, str] = Field(default_factory=dict)
    model: ModelRecord
    settings: EvaluationSettings
    cohort: Cohort
    figure_group: str
    cases: tuple[CaseRecord, ...]
    statistics: tuple[Statistic, ...] = ()
    violins: tuple[ViolinFigure, ...] = ()
    lines: tuple[LineFigure, ...] = ()
    representatives: tuple[RepresentativeCase, ...] = ()
    density: DensityFigure
    triage: TriageFigure
    agreement: AgreementFigure
    baseline: BaselineTable
    stratifications: tuple[Stratification, ...] = ()
    training_size: TrainingSizeCurve
    reliability: ReliabilityCurve
    risk_coverage: tuple[RiskCoverageCurve, ...] = ()
    inter_rater: InterRater
    notes: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _one_row_a_case(self) -> Self:
        names = [record.case for record in self.cases]
        if len(set(names)) != len(names):
            raise ValueError("expected every case once")
        return self

    def statistic(self, name: str, group: str | None = None) -> Statistic | None:
        """The statistic of that name, of `figure_group` unless another group is asked for; None if there is none."""
        wanted = group or self.figure_group
        return next((item for item in self.statistics if item.name == name and item.group == wanted), None)
