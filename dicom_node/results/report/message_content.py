"""What a message says, whatever its form: the SR's numbers in the SR's rounding, and its words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final

from highdicom.sr import CodedConcept
from pydicom.dataset import Dataset

from dicom_node.node.profiles import ObjectKind
from dicom_node.results.common import codes
from dicom_node.results.common.facts import AnalysisFacts
from dicom_node.results.common.stamp import Stamp
from dicom_node.results.common.uids import uuid_uid
from dicom_node.results.common.words import summary_in_words
from dicom_node.results.report.report import comments_of
from dicom_node.results.report.report_items import DECIMALS, VOLUME_DECIMALS
from dicom_node.series.dicom import values
from dicom_node.series.dicom.examination import acquired_on
from segmentation.bundle import ModelIdentity
from segmentation.segment import Segmentation

NOT_MEASURED: Final = "not measured"


@dataclass(frozen=True)
class Measured:
    """One measurement, always in the message: a later one about the series replaces each.

    Attributes:
        key: names it in identifiers, for ever.
        concept: what of what.
        general: the standard code of the same kind of measurement; None where the concept is standard.
        unit: UCUM.
        value: in that unit, rounded as in the SR; None where it must not be used or is not known.
        why_absent: in words; "" with a value.
    """

    key: str
    concept: CodedConcept
    general: CodedConcept | None
    unit: CodedConcept
    value: Decimal | None
    why_absent: str = ""

    def __post_init__(self) -> None:
        """Check once: a value, or why there is none."""
        if (self.value is None) != bool(self.why_absent):
            raise ValueError(f"expected a value of {self.key} or why it is absent, got both or neither")


@dataclass(frozen=True)
class MessageContent:
    """One report.

    Attributes:
        header: an instance of the source, for patient and study.
        order: names the report about the series, whatever its state: a later one takes the place of an earlier.
        report_uid: of the SR that says the same; of a refusal's report where there is no result.
        analysed: False where the series was refused.
        replaces: an earlier report about the series is, or may be, out.
        measured: see `Measured`.
        review: whether a person must look first; None where no rule says.
        summary: the finding in one line.
        comments: sentences, doubts first.
        model, stamp: who and when.
    """

    header: Dataset
    order: str
    report_uid: str
    analysed: bool
    replaces: bool
    measured: tuple[Measured, ...]
    review: bool | None
    summary: str
    comments: tuple[str, ...]
    model: ModelIdentity
    stamp: Stamp

    @property
    def acquired_on(self) -> date | None:
        """The day of the scan."""
        return acquired_on(self.header)

    def text(self, keyword: str) -> str:
        """A text of the source's header; "" when absent."""
        return values.text(self.header, keyword)


def order_of(series_instance_uid: str, patient_id: str) -> str:
    """What names the report about a series in other systems; it cannot be read back.

    Images that come again for another patient are another report: the first belongs to no patient, and must not move.
    """
    return uuid_uid(f"message-order\n{series_instance_uid}\n{patient_id}")


def content_of_result(
    header: Dataset, segmentation: Segmentation, flags: Sequence[str], facts: AnalysisFacts
) -> MessageContent:
    """The report about a result; without a number where it must not be used.

    Args:
        header: an instance of the source series.
        segmentation: what was found.
        flags: of reading and segmentation.
        facts: who, how, when.
    """
    why = "" if segmentation.is_reliable else f"not reliable: {segmentation.plausibility.headline}"
    index = segmentation.measures.uncertainty_index
    knows = index is not None or segmentation.review_recommended
    regions = segmentation.regions
    return MessageContent(
        header=header,
        order=order_of(facts.uids.series_instance_uid, values.text(header, "PatientID")),
        report_uid=facts.uids.instance_of(ObjectKind.SR),
        analysed=True,
        replaces=facts.predecessor is not None,
        measured=_measured(
            segmentation.measures.wmh_volume_ml,
            None if regions is None else regions.periventricular_volume_ml,
            None if regions is None else regions.deep_volume_ml,
            segmentation.measures.lesion_count,
            index,
            why,
        ),
        review=segmentation.review_recommended if knows else None,
        summary=summary_in_words(segmentation.measures, segmentation.plausibility),
        comments=tuple(comments_of(segmentation, flags, facts, measured=segmentation.is_reliable)),
        model=facts.model,
        stamp=facts.stamp,
    )


def content_of_refusal(
    header: Dataset, sentences: Sequence[str], report_uid: str, facts: AnalysisFacts
) -> MessageContent:
    """The report that a series was not analysed: no number, and those of an earlier report do not hold any more.

    Args:
        header: an instance of the source series.
        sentences: of the refusal report.
        report_uid: of that report.
        facts: who, how, when.
    """
    return MessageContent(
        header=header,
        order=order_of(facts.uids.series_instance_uid, values.text(header, "PatientID")),
        report_uid=report_uid,
        analysed=False,
        replaces=facts.predecessor is not None,
        measured=_measured(None, None, None, None, None, "the series was not analysed"),
        review=None,
        summary="WMH not analysed. RESEARCH USE ONLY.",
        comments=tuple(sentences),
        model=facts.model,
        stamp=facts.stamp,
    )


def _measured(
    volume_ml: float | None,
    periventricular_ml: float | None,
    deep_ml: float | None,
    lesions: int | None,
    index: float | None,
    why_not: str,
) -> tuple[Measured, ...]:
    """Every measurement; `why_not`: none of them may be used, and why."""
    rows = (
        ("wmh-volume", codes.WMH_VOLUME, codes.VOLUME, codes.MILLILITRE, volume_ml, VOLUME_DECIMALS),
        ("periventricular-volume", codes.PERIVENTRICULAR_VOLUME, codes.VOLUME, codes.MILLILITRE, periventricular_ml,
         VOLUME_DECIMALS),
        ("deep-volume", codes.DEEP_VOLUME, codes.VOLUME, codes.MILLILITRE, deep_ml, VOLUME_DECIMALS),
        ("lesion-count", None, codes.NUMBER_OF_LESIONS, codes.LESIONS, lesions, 0),
        ("uncertainty-index", codes.UNCERTAINTY_INDEX, None, codes.NO_UNITS, index, DECIMALS),
    )  # fmt: skip
    found = []
    for key, private, standard, unit, value, decimals in rows:
        concept = standard if private is None else private.concept
        assert concept is not None, key
        rounded = None if value is None or why_not else Decimal(str(round(value, decimals)))
        absent = "" if rounded is not None else why_not or NOT_MEASURED
        found.append(Measured(key, concept, standard if private is not None else None, unit, rounded, absent))
    return tuple(found)
