"""How the paper divides its cases (Methods, "Experiment and Analysis"): a table of divisions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from training.evaluate.columns import nothing_predicted
from training.evaluate.document import CaseRecord

INFARCT_VOLUME: Final = "infarct_volume_ml"
INFARCT_SITE: Final = "infarct_site"

INFARCT_LABELS: Final = ("< 1.7 mL", "1.7-14 mL", "> 14 mL")
INFARCT_SITES: Final = (
    "cortex",
    "corona radiata",
    "basal ganglia and internal capsule",
    "thalamus",
    "midbrain",
    "pons",
    "medulla",
    "cerebellum",
)
UNCERTAINTY_EDGES: Final = (0.2, 0.4, 0.6, 0.8)
UNCERTAINTY_LABELS: Final = ("0-0.2", "0.2-0.4", "0.4-0.6", "0.6-0.8", "0.8-1.0")
DSC_EDGES: Final = (0.60, 0.65, 0.70, 0.75, 0.80)
DSC_LABELS: Final = ("< 0.60", "0.60-0.65", "0.65-0.70", "0.70-0.75", "0.75-0.80", ">= 0.80")
TERTILES: Final = ("lowest third", "middle third", "highest third")
QUARTILES: Final = ("lowest quarter", "second quarter", "third quarter", "highest quarter")


@dataclass(frozen=True)
class Division:
    """Cases by stratum, in the order to print.

    Attributes:
        by: what divides them, in words.
        strata: label -> cases.
        note: cases left out and why, or why there are none at all.
    """

    by: str
    strata: Mapping[str, tuple[CaseRecord, ...]]
    note: str = ""

    @property
    def empty(self) -> bool:
        """No case in any stratum."""
        return not any(self.strata.values())


def by_infarct_volume(records: Sequence[CaseRecord]) -> Division:
    """Under 1.7 mL, up to 14 mL, over 14 mL."""
    return _divide(
        records, "infarct volume", INFARCT_LABELS, _infarct_stratum, _missing_column(records, INFARCT_VOLUME)
    )


def by_infarct_site(records: Sequence[CaseRecord]) -> Division:
    """The paper's eight sites; upper case does not matter, other names are left out and noted."""
    known = [record for record in records if _site_of(record) is not None]
    strange = sorted(
        {str(record.clinical[INFARCT_SITE]) for record in records if INFARCT_SITE in record.clinical}
        - {str(record.clinical[INFARCT_SITE]) for record in known}
    )
    note = _missing_column(records, INFARCT_SITE)
    if strange:
        left_out = f"left out, not one of the paper's eight sites: {', '.join(strange)}"
        note = f"{note}; {left_out}" if note else left_out
    return _divide(known, "infarct site", INFARCT_SITES, _site_of, note)


def by_wmh_tertile(records: Sequence[CaseRecord]) -> Division:
    """Thirds of the manual WMH volume of these cases; the limits are in `by`."""
    return _by_quantile(records, "manual WMH volume", TERTILES, lambda record: record.manual_ml)


def by_volume_quartile(records: Sequence[CaseRecord]) -> Division:
    """Quarters of the predicted WMH volume of these cases; the limits are in `by`."""
    return _by_quantile(records, "predicted WMH volume", QUARTILES, lambda record: record.predicted_ml)


def by_uncertainty(records: Sequence[CaseRecord]) -> Division:
    """Five bins of the uncertainty index; cases with nothing predicted have none."""
    known = [record for record in records if record.uncertainty_index is not None]
    return _divide(
        known,
        "uncertainty index",
        UNCERTAINTY_LABELS,
        lambda record: _label(record.uncertainty_index or 0.0, UNCERTAINTY_EDGES, UNCERTAINTY_LABELS),
        nothing_predicted(records),
    )


def by_dsc(records: Sequence[CaseRecord]) -> Division:
    """Six bins of the DSC."""
    return _divide(records, "DSC", DSC_LABELS, lambda record: _label(record.dsc, DSC_EDGES, DSC_LABELS))


def by_site(records: Sequence[CaseRecord]) -> Division:
    """The sites in alphabetical order."""
    sites = tuple(sorted({record.site for record in records} - {""}))
    return _divide(records, "site", sites, lambda record: record.site or None, "" if sites else "no case has a site")


def _divide(
    records: Sequence[CaseRecord],
    by: str,
    labels: Sequence[str],
    label_of: Callable[[CaseRecord], str | None],
    note: str = "",
) -> Division:
    found = [(label_of(record), record) for record in records]
    return Division(by, {name: tuple(record for label, record in found if label == name) for name in labels}, note)


def _by_quantile(
    records: Sequence[CaseRecord], what: str, labels: Sequence[str], value_of: Callable[[CaseRecord], float]
) -> Division:
    if len(records) < len(labels):
        need = f"at least {len(labels)} cases are needed, there are {len(records)}"
        return Division(what, dict.fromkeys(labels, ()), need)
    edges: NDArray[Any] = np.quantile([value_of(record) for record in records], np.arange(1, len(labels)) / len(labels))
    by = f"{what}, limits {' / '.join(f'{edge:.1f}' for edge in edges)} mL"
    return _divide(records, by, labels, lambda record: _label(value_of(record), tuple(edges), labels))


def _label(value: float, edges: Sequence[float], labels: Sequence[str]) -> str:
    """The label of [edge, next edge)."""
    return labels[int(np.searchsorted(edges, value, side="right"))]


def _infarct_stratum(record: CaseRecord) -> str | None:
    volume = record.clinical.get(INFARCT_VOLUME)
    if not isinstance(volume, float):
        return None
    # The paper's middle stratum holds both of its limits: "< 1.7", "1.7-14", "> 14".
    return INFARCT_LABELS[(volume >= 1.7) + (volume > 14)]


def _site_of(record: CaseRecord) -> str | None:
    site = str(record.clinical.get(INFARCT_SITE, "")).strip().lower()
    return site if site in INFARCT_SITES else None


def _missing_column(records: Sequence[CaseRecord], column: str) -> str:
    without = sum(column not in record.clinical for record in records)
    if without == len(records):
        return f"patients.csv has no column {column}, or no cell of it is filled"
    return f"{without} case(s) without {column} left out" if without else ""
