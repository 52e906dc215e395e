"""The paper's stratifications: means by stratum, the test over all of them, and Bonferroni pairs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from segmentation.regions import DistanceRule
from training.evaluate.columns import Value, both_defined, defined, dsc, uncertainty_index, undefined_for
from training.evaluate.document import CaseRecord, Stratification, Stratum
from training.evaluate.means import SHARE, mean_with_interval
from training.evaluate.paper import PaperReference
from training.evaluate.region_words import NO_VENTRICLES, in_3d
from training.evaluate.seen import is_divided_by_seen_ventricles, seen_ventricles_note
from training.evaluate.strata import (
    Division,
    by_dsc,
    by_infarct_site,
    by_infarct_volume,
    by_site,
    by_uncertainty,
    by_volume_quartile,
    by_wmh_tertile,
)
from training.evaluate.tests_of_difference import anova, bonferroni_pairs, paired_t

_PAPER: Final = PaperReference()


def stratifications(
    records: Sequence[CaseRecord], paper_reference: PaperReference = _PAPER
) -> tuple[Stratification, ...]:
    """Every stratification of the paper, and the sites, with the paper's means that stand beside them."""
    return tuple(
        _with_paper(found, paper_reference) for found in _stratifications(records, paper_reference.distance_rule)
    )


def _with_paper(found: Stratification, paper_reference: PaperReference) -> Stratification:
    rows = (row.model_copy(update={"paper": paper_reference.stratum(found.name, row.label)}) for row in found.rows)
    return found.model_copy(update={"rows": tuple(rows)})


def _stratifications(records: Sequence[CaseRecord], rule: DistanceRule) -> tuple[Stratification, ...]:
    return (
        _stratify("infarct_volume", "DSC by infarct volume", "DSC", by_infarct_volume(records), dsc),
        _stratify("infarct_site", "DSC by infarct site", "DSC", by_infarct_site(records), dsc),
        _stratify("wmh_tertile", "DSC by WMH volume", "DSC", by_wmh_tertile(records), dsc),
        _stratify("uncertainty", "DSC by uncertainty index", "DSC", by_uncertainty(records), dsc),
        _regions("region_10mm", f"10 mm{in_3d(rule)}", records, lambda r: r.pv_dsc, lambda r: r.deep_dsc),
        _regions("region_7mm5", f"7.5 mm{in_3d(rule)}", records, lambda r: r.pv_dsc_7mm5, lambda r: r.deep_dsc_7mm5),
        _stratify(
            "uncertainty_by_dsc", "uncertainty index by DSC", "uncertainty index", by_dsc(records), uncertainty_index
        ),
        _stratify(
            "uncertainty_by_volume",
            "uncertainty index by predicted WMH volume",
            "uncertainty index",
            by_volume_quartile(records),
            uncertainty_index,
        ),
        _stratify("site", "DSC by site", "DSC", by_site(records), dsc),
    )


def _stratify(name: str, title: str, quantity: str, division: Division, value_of: Value) -> Stratification:
    values = {label: defined(records, value_of) for label, records in division.strata.items()}
    if not any(values.values()):
        return Stratification(
            name=name, title=title, quantity=quantity, by=division.by, note=division.note or "no case to divide"
        )
    test = anova(values)
    placed = [record for records in division.strata.values() for record in records]
    left_out = undefined_for(len(placed) - sum(map(len, values.values())), len(placed))
    return Stratification(
        name=name,
        title=title,
        quantity=quantity,
        by=division.by,
        rows=tuple(_row(label, numbers) for label, numbers in values.items()),
        p=test.p,
        test=f"{test.name}, Bonferroni post hoc t tests",
        pairs=bonferroni_pairs(values),
        note="; ".join(note for note in (division.note, left_out, test.note) if note),
    )


def _regions(
    name: str,
    distance: str,
    records: Sequence[CaseRecord],
    near: Value,
    deep: Value,
) -> Stratification:
    """Two values of the same cases, so the test is paired; cases with WMH in one region only are left out of it."""
    title = f"DSC periventricular (within {distance} of the ventricles) and deep"
    values = {"periventricular": defined(records, near), "deep": defined(records, deep)}
    if not any(values.values()):
        return Stratification(name=name, title=title, quantity="DSC", by="region", note=NO_VENTRICLES)
    first, second = both_defined(records, near, deep)
    test = paired_t(first, second)
    seen = seen_ventricles_note(sum(map(is_divided_by_seen_ventricles, records)), len(records))
    left_out = undefined_for(sum(near(record) is None and deep(record) is None for record in records), len(records))
    return Stratification(
        name=name,
        title=title,
        quantity="DSC",
        by="region",
        rows=tuple(_row(label, numbers) for label, numbers in values.items()),
        p=test.p,
        test=f"{test.name} of {len(first)} cases",
        note="; ".join(note for note in (left_out, test.note, seen) if note),
    )


def _row(label: str, values: Sequence[float]) -> Stratum:
    found = mean_with_interval(values, SHARE)
    return Stratum(
        label=label,
        n=found.n,
        mean=found.mean,
        sd=found.sd,
        ci_low=found.low,
        ci_high=found.high,
    )
