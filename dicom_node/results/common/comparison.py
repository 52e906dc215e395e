"""What a result says about an earlier one of the same patient: the change, or why none is given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final, Literal

from dicom_node.node.profiles import SegForm
from dicom_node.results.common.lesion_changes import LesionChanges, LesionFinding
from dicom_node.results.common.predecessor import ReportReference
from segmentation.agreement import agreement_limit_ml
from segmentation.interval import VolumeInterval
from segmentation.measures import Measures

_DAYS_A_YEAR: Final = 365.25
LEAST_DAYS_FOR_A_RATE: Final = 180
"""Of a shorter time, a rate by the year would multiply the error of both volumes."""

NoEarlierCode = Literal["no_patient_identifier", "no_date", "none_known"]
_NO_EARLIER: Final[dict[NoEarlierCode, str]] = {
    "no_patient_identifier": "the images give no patient identifier, or one that is used for many patients.",
    "no_date": "the images give no date of acquisition.",
    "none_known": "no result of an earlier day of this patient is at hand.",
}


@dataclass(frozen=True)
class Visit:
    """What one scan of the patient gave.

    Attributes:
        acquired_on: day of its acquisition.
        volume_ml, interval_ml: what was measured.
    """

    acquired_on: date
    volume_ml: float
    interval_ml: VolumeInterval


@dataclass(frozen=True)
class EarlierResult:
    """An earlier result of the same patient, and what makes the two hard to compare.

    Attributes:
        report: its measurement report.
        acquired_on: day of its acquisition.
        now_acquired_on: day of the present one.
        volume_ml, interval_ml: what it measured.
        warnings: what differs between the two beside the patient's brain; sentences in ASCII.
        size: rows and columns of its frames; None where that is not known.
        visits: every earlier result of the patient that can be shown beside it, oldest first; this one among them.
        lesions: what became of each lesion since then, or why that is not known; None where it was not asked.

    Raises:
        ValueError: it is not earlier.
    """

    report: ReportReference
    acquired_on: date
    now_acquired_on: date
    volume_ml: float
    interval_ml: VolumeInterval
    warnings: tuple[str, ...] = ()
    size: tuple[int, int] | None = None
    visits: tuple[Visit, ...] = ()
    lesions: LesionFinding | None = None

    def __post_init__(self) -> None:
        """Check once, so that nothing after has to."""
        if self.acquired_on >= self.now_acquired_on:
            raise ValueError(f"expected an earlier day than {self.now_acquired_on}, got {self.acquired_on}")

    @property
    def identity(self) -> str:
        """For derived UIDs."""
        return self.report.sop_instance_uid

    def against(self, measures: Measures) -> FollowUpComparison:
        """With what is measured now."""
        return FollowUpComparison(self, measures.wmh_volume_ml, measures.volume_interval_ml)


@dataclass(frozen=True)
class NoEarlierScan:
    """There is no earlier scan to compare with.

    Attributes:
        code: why, for programs.
    """

    code: NoEarlierCode

    @property
    def reason(self) -> str:
        """A sentence in ASCII."""
        return f"No earlier scan known: {_NO_EARLIER[self.code]}"

    @property
    def identity(self) -> str:
        """For derived UIDs."""
        return f"no earlier scan: {self.code}"

    def against(self, _measures: Measures) -> NoEarlierScan:
        """The same whatever is measured."""
        return self


@dataclass(frozen=True)
class NotCompared:
    """An earlier result under the same patient identifier that is not compared.

    Attributes:
        report: its measurement report.
        reason: why not, a sentence in ASCII.
        code: the same for programs.
    """

    report: ReportReference
    reason: str
    code: Literal["other_date_of_birth", "present_not_reliable"] = "other_date_of_birth"

    @property
    def identity(self) -> str:
        """For derived UIDs."""
        return f"not compared with {self.report.sop_instance_uid}"

    def against(self, _measures: Measures) -> NotCompared:
        """The same whatever is measured."""
        return self


@dataclass(frozen=True)
class FollowUpComparison:
    """Two results of one patient.

    Attributes:
        earlier: the earlier one.
        volume_ml, interval_ml: what is measured now.
        earlier_forms: in which form the earlier report was sent to those who get this form of the present one, where
            the two differ; see `dicom_node.results.earlier_forms`.
    """

    earlier: EarlierResult
    volume_ml: float
    interval_ml: VolumeInterval
    earlier_forms: Mapping[SegForm, SegForm] = field(default_factory=dict)

    @property
    def identity(self) -> str:
        """For derived UIDs: also by what the earlier report is named, where that is not by the form of the present,
        and what else is stated."""
        forms = sorted((form.suffix, earlier.suffix) for form, earlier in self.earlier_forms.items())
        return "".join(
            (
                self.earlier.identity,
                *(f", in form{form} named in form{earlier}" for form, earlier in forms),
                *(f", visit {visit.acquired_on} {visit.volume_ml:.3f}" for visit in self.earlier.visits),
                "" if self.lesions is None else f", {self.lesions.identity}",
            )
        )

    def report_for(self, form: SegForm) -> ReportReference:
        """The earlier report, as who gets this form of the present one has it."""
        return self.earlier.report.in_form(self.earlier_forms.get(form, form))

    @property
    def change_ml(self) -> float:
        """Now minus earlier."""
        return self.volume_ml - self.earlier.volume_ml

    @property
    def change_percent(self) -> float | None:
        """Change in percent of the earlier volume; None where that is 0."""
        return 100.0 * self.change_ml / self.earlier.volume_ml if self.earlier.volume_ml > 0 else None

    @property
    def is_beyond_intervals(self) -> bool:
        """No volume lies in both intervals."""
        return not self.interval_ml.overlaps(self.earlier.interval_ml)

    @property
    def days(self) -> int:
        """Between the two acquisitions."""
        return (self.earlier.now_acquired_on - self.earlier.acquired_on).days

    @property
    def yearly_change_ml(self) -> float | None:
        """Change by the year; None where the scans are less than `LEAST_DAYS_FOR_A_RATE` apart."""
        return None if self.days < LEAST_DAYS_FOR_A_RATE else self.change_ml * _DAYS_A_YEAR / self.days

    @property
    def agreement_limit_ml(self) -> float:
        """Up to which change the two may come from one unchanged brain."""
        return agreement_limit_ml(self.earlier.volume_ml, self.volume_ml)

    @property
    def is_beyond_agreement(self) -> bool:
        """The change is more than two scans of an unchanged brain differ by."""
        return abs(self.change_ml) > self.agreement_limit_ml

    @property
    def lesions(self) -> LesionFinding | None:
        """What became of each lesion since then, or why that is not known; None where it was not asked."""
        return self.earlier.lesions

    @property
    def lesion_changes(self) -> LesionChanges | None:
        """What became of each lesion; None where that is not known."""
        return self.lesions if isinstance(self.lesions, LesionChanges) else None

    @property
    def visits(self) -> tuple[Visit, ...]:
        """Every result of the patient, the present one last."""
        now = Visit(self.earlier.now_acquired_on, self.volume_ml, self.interval_ml)
        then = Visit(self.earlier.acquired_on, self.earlier.volume_ml, self.earlier.interval_ml)
        return (*(self.earlier.visits or (then,)), now)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What differs between the two beside the patient's brain."""
        return self.earlier.warnings

    @property
    def as_json(self) -> dict[str, Any]:
        """The object `follow_up` of measurements.json."""
        return {
            "earlier_study_instance_uid": self.earlier.report.study_instance_uid,
            "earlier_report_sop_instance_uid": self.earlier.report.sop_instance_uid,
            "earlier_acquired_on": self.earlier.acquired_on.isoformat(),
            "days": self.days,
            "earlier_volume_ml": float(self.earlier.volume_ml),
            "earlier_volume_interval_ml": [*self.earlier.interval_ml],
            "change_ml": float(self.change_ml),
            "change_percent": None if self.change_percent is None else float(self.change_percent),
            "beyond_intervals": self.is_beyond_intervals,
            "agreement_limit_ml": float(self.agreement_limit_ml),
            "beyond_agreement": self.is_beyond_agreement,
            "yearly_change_ml": None if self.yearly_change_ml is None else float(self.yearly_change_ml),
            "visits": [
                {
                    "acquired_on": visit.acquired_on.isoformat(),
                    "volume_ml": float(visit.volume_ml),
                    "volume_interval_ml": [*visit.interval_ml],
                }
                for visit in self.visits
            ],
            **self._lesions_as_json(),
            "warnings": [*self.warnings],
        }

    def _lesions_as_json(self) -> dict[str, Any]:
        if self.lesions is None:
            return {}
        name = "lesions" if self.lesion_changes is not None else "lesions_not_compared"
        return {name: self.lesions.as_json}


FollowUp = EarlierResult | NotCompared | NoEarlierScan
"""What the node knows of an earlier scan before the present one is measured."""

FollowUpFinding = FollowUpComparison | NotCompared | NoEarlierScan
"""What a result states about it."""


def in_words(finding: FollowUpFinding | None) -> tuple[str, ...]:
    """Sentences for a reader: both volumes, the change, what it is worth; empty without an earlier result."""
    if finding is None:
        return ()
    if not isinstance(finding, FollowUpComparison):
        return (finding.reason,)
    earlier = finding.earlier
    return (
        f"Compared with the scan of {earlier.acquired_on.isoformat()}, {finding.days} days earlier: "
        f"{_volume(finding.volume_ml, finding.interval_ml)} now, "
        f"{_volume(earlier.volume_ml, earlier.interval_ml)} then.",
        f"Change {change_in_words(finding)}: {worth_in_words(finding)}",
        agreement_in_words(finding),
        rate_in_words(finding),
        *(() if finding.lesions is None else finding.lesions.in_words),
        *finding.warnings,
    )


def change_in_words(finding: FollowUpComparison) -> str:
    """Like `+2.1 mL (+18 %)`."""
    percent = finding.change_percent
    relative = "nothing was segmented then" if percent is None else f"{percent:+.0f} %"
    return f"{finding.change_ml:+.1f} mL ({relative})"


def worth_in_words(finding: FollowUpComparison) -> str:
    """Whether the change is more than the model's doubt of both volumes; the end of a sentence."""
    if finding.is_beyond_intervals:
        return "beyond the intervals of both volumes."
    return "no change beyond the intervals of both volumes, which overlap."


def agreement_in_words(finding: FollowUpComparison) -> str:
    """The change against what two scans of an unchanged brain differ by, as a sentence."""
    which = "more" if finding.is_beyond_agreement else "not more"
    return (
        f"Two scans of an unchanged brain may differ by {finding.agreement_limit_ml:.1f} mL (limits of agreement of "
        f"this method): the change is {which} than that."
    )


def rate_in_words(finding: FollowUpComparison) -> str:
    """The change by the year, as a sentence."""
    if (rate := finding.yearly_change_ml) is None:
        return "No yearly rate is given: the scans are less than half a year apart."
    return f"Rate: {rate:+.1f} mL a year."


def _volume(volume_ml: float, interval: VolumeInterval) -> str:
    return f"{volume_ml:.1f} mL (interval {interval.lower_ml:.1f} to {interval.upper_ml:.1f})"
