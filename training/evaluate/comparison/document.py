"""The comparison as a document: what `comparison.json` holds and the page is drawn from.

Frozen and valid once constructed; unknown fields, NaN and infinity are refused. A number that is undefined is None, and
a note says why in words.
"""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from training.evaluate.document import ModelRecord, PaperFigure
from training.json_document import Count, Fraction, FrozenRecord, JsonDocument


class Contender(FrozenRecord):
    """One method.

    Attributes:
        key: `A`, `B`, ...: its name in tables and figures.
        label: what it is, in words.
        baseline: a simpler method set beside the models.
        model: name, version, digest, network, runtime.
        note: on patients that it was trained on.
        judged_at: when it was scored, if that was in an earlier comparison.
    """

    key: str
    label: str
    baseline: bool
    model: ModelRecord
    note: str = ""
    judged_at: datetime | None = None


class Summary(FrozenRecord):
    """A measure of one contender where it is defined; 95 % CI of a mean by Student's t, cut at what the measure can be.

    Attributes:
        key: the contender's.
        n: cases (scans).
        mean: over the scans.
        sd: over the scans.
        ci_low: lower end of the 95 % CI of `mean`, which takes scans of one patient for independent.
        ci_high: upper end.
        patients: patients; None, as the rest, in documents that were written before there was a mean by patient.
        patient_mean: over the patients; the scans of one patient are averaged first.
        patient_ci_low: lower end of the 95 % CI of `patient_mean`: the interval that a reader is shown.
        patient_ci_high: upper end.
        paper: the paper's mean over its external patients by the same kind of network; None where it gives none.
    """

    key: str
    n: Count
    mean: float | None = None
    sd: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    patients: Count | None = None
    patient_mean: float | None = None
    patient_ci_low: float | None = None
    patient_ci_high: float | None = None
    paper: PaperFigure | None = None


class PairedComparison(FrozenRecord):
    """Two contenders on the same patients.

    Attributes:
        first: key.
        second: key.
        n: patients with a value from both; scans of one patient were averaged first.
        difference: mean of first - second.
        ci_low: lower end of its 95 % CI.
        ci_high: upper end.
        p_t: paired t test, times the number of pairs (Bonferroni).
        p_wilcoxon: Wilcoxon signed-rank test, corrected in the same way.
        note: why a number is missing, or what to mind.
    """

    first: str
    second: str
    n: Count
    difference: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    p_t: Fraction | None = None
    p_wilcoxon: Fraction | None = None
    note: str = ""


class MeasureComparison(FrozenRecord):
    """One measure of all contenders.

    Attributes:
        name: slug, a column of `cases.csv` or `volume_error_ml`.
        title: the words that a reader sees.
        unit: empty for a pure number.
        better: which direction is good.
        p_all: repeated-measures ANOVA over all contenders, where there are three or more.
        note: on `p_all`.
    """

    name: str
    title: str
    unit: str
    better: Literal["higher", "lower"]
    summaries: tuple[Summary, ...]
    pairs: tuple[PairedComparison, ...]
    p_all: Fraction | None = None
    note: str = ""


class ComparedCase(FrozenRecord):
    """One case; `values` has a row a measure, and in it a number a contender, in the document's order."""

    case: str
    patient: str
    manual_ml: float
    values: dict[str, tuple[float | None, ...]]


class Comparison(JsonDocument):
    """Everything that `wmh-node compare` found."""

    FILE_NAME: ClassVar[str] = "comparison.json"

    compared_at: datetime
    software: dict[str, str] = Field(default_factory=dict)
    contenders: tuple[Contender, ...]
    patients: Count
    measures: tuple[MeasureComparison, ...]
    cases: tuple[ComparedCase, ...]
    notes: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _one_value_a_contender(self) -> Self:
        if any(len(row) != len(self.contenders) for case in self.cases for row in case.values.values()):
            raise ValueError(f"expected {len(self.contenders)} values of each measure in every case")
        return self

    def measure(self, name: str) -> MeasureComparison:
        """The measure of that name.

        Raises:
            KeyError: there is none.
        """
        for each in self.measures:
            if each.name == name:
                return each
        raise KeyError(name)
