"""The comparison as a document: what `comparison.json` holds and the page is drawn from.

Frozen and valid once constructed; unknown fields, NaN and infinity are refused. A number that is undefined is None, and
a note says why in words.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from training.errors import BadEvaluation
from training.evaluation.document import ModelRecord

SCHEMA: Final = 1

Fraction = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]


class _Frozen(BaseModel):
    """Nothing unknown, nothing changed afterwards, no NaN."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Contender(_Frozen):
    """One method.

    Attributes:
        key: `A`, `B`, ...: its name in tables and figures.
        label: what it is, in words.
        baseline: a simpler method set beside the models.
        model: name, version, digest, network, runtime.
        note: on patients that it was trained on.
    """

    key: str
    label: str
    baseline: bool
    model: ModelRecord
    note: str = ""


class Summary(_Frozen):
    """A measure of one contender over all cases where it is defined; 95 % CI of the mean (Student's t, cut at what the
    measure can be)."""

    key: str
    n: Count
    mean: float | None = None
    sd: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None


class PairedComparison(_Frozen):
    """Two contenders on the same patients.

    Attributes:
        first: key.
        second: key.
        n: patients with a value from both; scans of one patient were averaged first.
        difference: mean of first - second.
        ci_low: lower end of its 95 % CI.
        ci_high: upper end.
        p_t: paired t test, times the number of pairs (Bonferroni).
        p_wilcoxon: Wilcoxon signed-rank test, likewise.
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


class MeasureComparison(_Frozen):
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


class ComparedCase(_Frozen):
    """One case; `values` has a row a measure, and in it a number a contender, in the document's order."""

    case: str
    patient: str
    manual_ml: float
    values: dict[str, tuple[float | None, ...]]


class Comparison(_Frozen):
    """Everything that `wmh-node compare` found."""

    schema_version: int = SCHEMA
    compared_at: datetime
    software: dict[str, str] = {}
    contenders: tuple[Contender, ...]
    patients: Count
    measures: tuple[MeasureComparison, ...]
    cases: tuple[ComparedCase, ...]
    notes: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _one_value_a_contender(self) -> Self:
        if self.schema_version != SCHEMA:
            raise ValueError(f"expected comparison schema {SCHEMA}, got {self.schema_version}")
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

    def to_json(self) -> str:
        """The document, indented; `from_json` gives an equal one."""
        return self.model_dump_json(indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> Comparison:
        """Read a document.

        Raises:
            BadEvaluation: not JSON, another schema, a field missing or out of range.
        """
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "top level"
            raise BadEvaluation(f"comparison.json, {where}: {first['msg']}") from error
