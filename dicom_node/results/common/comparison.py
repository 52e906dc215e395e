"""What a result says about an earlier one of the same patient: the change, or why none is given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from dicom_node.node.profiles import SegForm
from dicom_node.results.common.predecessor import ReportReference
from segmentation.interval import VolumeInterval
from segmentation.measures import Measures


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
class NotCompared:
    """An earlier result under the same patient identifier that is not compared.

    Attributes:
        report: its measurement report.
        reason: why not, a sentence in ASCII.
    """

    report: ReportReference
    reason: str

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
        """For derived UIDs: also by what the earlier report is named, where that is not by the form of the present."""
        forms = sorted((form.suffix, earlier.suffix) for form, earlier in self.earlier_forms.items())
        return self.earlier.identity + "".join(f", in form{form} named in form{earlier}" for form, earlier in forms)

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
            "warnings": [*self.warnings],
        }


FollowUp = EarlierResult | NotCompared
"""What the node knows of an earlier scan before the present one is measured."""

FollowUpFinding = FollowUpComparison | NotCompared
"""What a result states about it."""


def in_words(finding: FollowUpFinding | None) -> tuple[str, ...]:
    """Sentences for a reader: both volumes, the change, what it is worth; empty without an earlier result."""
    if finding is None:
        return ()
    if isinstance(finding, NotCompared):
        return (finding.reason,)
    earlier = finding.earlier
    return (
        f"Compared with the scan of {earlier.acquired_on.isoformat()}, {finding.days} days earlier: "
        f"{_volume(finding.volume_ml, finding.interval_ml)} now, "
        f"{_volume(earlier.volume_ml, earlier.interval_ml)} then.",
        f"Change {change_in_words(finding)}: {worth_in_words(finding)}",
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


def _volume(volume_ml: float, interval: VolumeInterval) -> str:
    return f"{volume_ml:.1f} mL (interval {interval.lower_ml:.1f} to {interval.upper_ml:.1f})"
