"""What the series of results are called and where they sort: SeriesDescription and SeriesNumber, one table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pydicom.dataset import Dataset

from dicom_node.node.profiles import FIRST_FORM, ObjectKind, SegForm
from dicom_node.results.common.facts import AnalysisFacts
from dicom_node.results.common.headers import (
    PROBABILITY_OFFSET,
    REGIONS_OFFSET,
    SEG_OFFSET,
    SR_OFFSET,
    result_series_number,
)


@dataclass(frozen=True)
class _Series:
    offset: int
    first: str
    replacing: str


# SEG has no sequence for predecessors: the description is what a list of series in a viewer shows. At most 64
# characters (LO, PS3.5 6.2).
_SERIES: Final = {
    ObjectKind.SEG: _Series(
        SEG_OFFSET,
        "WMH segmentation - RESEARCH USE ONLY",
        "WMH segmentation, replaces earlier one - RESEARCH USE ONLY",
    ),
    ObjectKind.SR: _Series(
        SR_OFFSET,
        "WMH measurements - RESEARCH USE ONLY",
        "WMH measurements, replace earlier ones - RESEARCH USE ONLY",
    ),
    ObjectKind.REGIONS: _Series(
        REGIONS_OFFSET,
        "WMH regions, ventricles - RESEARCH USE ONLY",
        "WMH regions, replace earlier ones - RESEARCH USE ONLY",
    ),
    ObjectKind.PROBABILITY: _Series(
        PROBABILITY_OFFSET,
        "WMH probability map - RESEARCH USE ONLY",
        "WMH probability map, replaces earlier - RESEARCH USE ONLY",
    ),
}
# Should two forms meet in one archive, their numbers differ.
_FORM_STEPS: Final = {
    "": 0,
    "-nonempty": 10,
    "-labelmap": 20,
    "-labelmap-nonempty": 30,
    "-occupancy": 40,
    "-occupancy-nonempty": 50,
}


def series_description(kind: ObjectKind, facts: AnalysisFacts) -> str:
    """SeriesDescription (0008,103E); says so when the result takes the place of an earlier one."""
    series = _SERIES[kind]
    return series.first if facts.predecessor is None else series.replacing


def series_number(kind: ObjectKind, source: Dataset, form: SegForm = FIRST_FORM) -> int:
    """SeriesNumber (0020,0011) behind the source's, see `result_series_number`."""
    return result_series_number(source, _SERIES[kind].offset + _FORM_STEPS[form.suffix])
