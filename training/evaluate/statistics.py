"""Every number about one group of cases, with its interval, its test and the paper's number beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from statsmodels.stats.proportion import proportion_confint

from training.evaluate.agreement import agreement
from training.evaluate.architecture import SE_UNET, Network
from training.evaluate.columns import (
    Value,
    both_defined,
    defined,
    dsc,
    nothing_predicted,
    uncertainty_index,
    undefined_for,
)
from training.evaluate.correlation import (
    FEWEST_FOR_CI,
    FEWEST_FOR_PARTIAL,
    FEWEST_FOR_R,
    correlation,
    partial_correlation,
)
from training.evaluate.document import CaseRecord, EvaluationSettings, Statistic
from training.evaluate.groups import is_divided
from training.evaluate.means import mean_with_interval, range_of
from training.evaluate.paper import PaperReference
from training.evaluate.region_words import NO_VENTRICLES, in_3d
from training.evaluate.seen import is_by_seen_ventricles, is_divided_by_seen_ventricles, seen_ventricles_note

Holds = Callable[[CaseRecord], bool]

_T_INTERVAL: Final = "95 % CI by Student's t"
_FISHER: Final = "Pearson, 95 % CI by Fisher's z"


def _never(_: CaseRecord) -> bool:
    return False


@dataclass(frozen=True)
class MeanOf:
    """A column of the cases whose mean is reported.

    Attributes:
        title: `{rule}` in it stands for the rule of distances, where that is not the paper's.
        absent: why it may be missing.
        by_seen_ventricles: in which cases it rests on a ventricle network that saw the patient.
    """

    name: str
    title: str
    value: Value
    unit: str = ""
    absent: str = "no case has it"
    by_seen_ventricles: Holds = _never


@dataclass(frozen=True)
class Volumes:
    """A manual and a predicted volume whose agreement is reported; `title`, `by_seen_ventricles` as in `MeanOf`."""

    name: str
    title: str
    manual: Value
    predicted: Value
    by_seen_ventricles: Holds = _never


_EMPTY_MASK: Final = "undefined for every case: one of the masks is empty"
_NO_PREDICTION: Final = "undefined for every case: nothing was predicted"
_NO_PAIR: Final = "each case was scored by one member, so there is no pair"

_REGIONS: Final[tuple[tuple[str, str, Value], ...]] = (
    ("pv_dsc_mean", "periventricular (10 mm{rule})", lambda r: r.pv_dsc),
    ("deep_dsc_mean", "deep (10 mm{rule})", lambda r: r.deep_dsc),
    ("pv_dsc_7mm5_mean", "periventricular (7.5 mm{rule})", lambda r: r.pv_dsc_7mm5),
    ("deep_dsc_7mm5_mean", "deep (7.5 mm{rule})", lambda r: r.deep_dsc_7mm5),
)

MEANS: Final = (
    MeanOf("dsc_mean", "mean DSC", dsc),
    MeanOf("hd_mm_mean", "mean Hausdorff distance", lambda r: r.hd_mm, "mm", _EMPTY_MASK),
    MeanOf("hd_pixels_mean", "mean Hausdorff distance", lambda r: r.hd_pixels, "pixels", _EMPTY_MASK),
    MeanOf("hd95_mm_mean", "mean 95th percentile of surface distances", lambda r: r.hd95_mm, "mm", _EMPTY_MASK),
    MeanOf("surface_dice_mean", "mean surface Dice", lambda r: r.surface_dice, "", _EMPTY_MASK),
    MeanOf("lesion_recall_mean", "mean share of lesions found", lambda r: r.lesion_recall, "", "no manual lesion"),
    MeanOf("lesion_precision_mean", "mean share of lesions that are real", lambda r: r.lesion_precision),
    MeanOf("lesion_f1_mean", "mean lesion-wise F1", lambda r: r.lesion_f1),
    MeanOf("milliseconds_mean", "mean time per case", lambda r: 1000 * r.seconds, "ms"),
    MeanOf("uncertainty_index_mean", "mean uncertainty index", uncertainty_index, "", _NO_PREDICTION),
    MeanOf("member_dice_mean", "mean pairwise member Dice", lambda r: r.member_dice, "", _NO_PAIR),
    MeanOf("brier_mean", "mean Brier score near lesions", lambda r: r.brier, "", "no lesion in any case"),
    MeanOf("ece_near_mean", "mean ECE near lesions", lambda r: r.ece_near, "", "no lesion in any case"),
    *(
        MeanOf(name, f"mean DSC, {title}", value, "", NO_VENTRICLES, is_divided_by_seen_ventricles)
        for name, title, value in _REGIONS
    ),
    MeanOf(
        "ventricle_dsc_mean",
        "mean DSC of the ventricles",
        lambda r: r.ventricle_dsc,
        "",
        "needs a model with a ventricle network and cases with a ventricles.nii.gz that is not empty",
        is_by_seen_ventricles,
    ),
)

# Scores that are correlated with the DSC, with and without the volume held fixed.
CONFIDENCES: Final[tuple[tuple[str, str, Value], ...]] = (
    ("uncertainty_index", "uncertainty index", uncertainty_index),
    ("member_dice", "pairwise member Dice", lambda r: r.member_dice),
    ("soft_dice_confidence", "Soft Dice Confidence", lambda r: r.soft_dice_confidence),
    ("inverse_volume", "1 / volume", lambda r: r.inverse_volume),
)

WMH_VOLUME: Final = Volumes("volume", "WMH volume", lambda r: r.manual_ml, lambda r: r.predicted_ml)

REGION_VOLUMES: Final = tuple(
    Volumes(name, f"{title} volume ({distance} mm{{rule}})", manual, predicted, is_divided_by_seen_ventricles)
    for name, title, distance, manual, predicted in (
        ("pv_volume", "periventricular", "10", lambda r: r.pv_manual_ml, lambda r: r.pv_predicted_ml),
        ("deep_volume", "deep", "10", lambda r: r.deep_manual_ml, lambda r: r.deep_predicted_ml),
        ("pv_volume_7mm5", "periventricular", "7.5", lambda r: r.pv_manual_ml_7mm5, lambda r: r.pv_predicted_ml_7mm5),
        ("deep_volume_7mm5", "deep", "7.5", lambda r: r.deep_manual_ml_7mm5, lambda r: r.deep_predicted_ml_7mm5),
    )
)


def statistics_of(
    groups: Mapping[str, Sequence[CaseRecord]], settings: EvaluationSettings, network: Network = SE_UNET
) -> tuple[Statistic, ...]:
    """All statistics of all groups; the same names in every group, the paper's numbers of `network` beside them."""
    paper_reference = PaperReference(network, is_divided(groups), settings.distance_rule)
    return tuple(
        found.model_copy(update={"paper": paper_reference.figure(found.name, group)})
        for group, records in groups.items()
        for found in _group(group, records, settings)
    )


def _group(group: str, records: Sequence[CaseRecord], settings: EvaluationSettings) -> list[Statistic]:
    rule = in_3d(settings.distance_rule)
    found = [_mean(replace(column, title=column.title.format(rule=rule)), group, records) for column in MEANS]
    for which, volume in (("manual", _manual), ("predicted", _predicted)):
        found += [_median(f"{which}_ml_median", f"median {which} WMH volume", group, records, volume)]
    found += _agreement(WMH_VOLUME, group, records)
    for volumes in REGION_VOLUMES:
        found += _region_volumes(replace(volumes, title=volumes.title.format(rule=rule)), group, records)
    for name, title, value in CONFIDENCES:
        found += [_correlation(f"{name}_dsc_r", f"r of {title} and DSC", group, records, value, dsc)]
        if name != "inverse_volume":
            found += [_partial(name, title, group, records, value)]
    for which, volume in (("manual", _manual), ("predicted", _predicted)):
        name, title = f"uncertainty_index_{which}_volume_r", f"r of uncertainty index and {which} volume"
        found += [_correlation(name, title, group, records, uncertainty_index, volume)]
    return [*found, *_triage(group, records, settings)]


def _region_volumes(volumes: Volumes, group: str, records: Sequence[CaseRecord]) -> list[Statistic]:
    """Medians and agreement of a part of the WMH."""
    medians = [
        _median(f"{volumes.name}_{which}_ml_median", f"median {which} {volumes.title}", group, records, value)
        for which, value in (("manual", volumes.manual), ("predicted", volumes.predicted))
    ]
    return [*medians, *_agreement(volumes, group, records)]


def _mean(column: MeanOf, group: str, records: Sequence[CaseRecord]) -> Statistic:
    having = [(record, value) for record in records if (value := column.value(record)) is not None]
    found = mean_with_interval([value for _, value in having], range_of(column.unit))
    note = found.note if having else column.absent
    if found.n == 1:
        note = "no interval: at least 2 cases are needed, there is 1"
    gap = undefined_for(len(records) - found.n, len(records)) if having else ""
    seen = seen_ventricles_note(sum(column.by_seen_ventricles(record) for record, _ in having), found.n)
    return _statistic(
        column.name,
        column.title,
        group,
        value=found.mean,
        ci_low=found.low,
        ci_high=found.high,
        sd=found.sd,
        n=found.n,
        unit=column.unit,
        method=_T_INTERVAL,
        note=_joined(note, gap, seen),
    )


def _median(name: str, title: str, group: str, records: Sequence[CaseRecord], value: Value) -> Statistic:
    values = defined(records, value)
    if not values:
        return _statistic(name, title, group, n=0, unit="mL", note=NO_VENTRICLES)
    low, middle, high = (float(q) for q in np.percentile(values, [25, 50, 75]))
    return _statistic(
        name,
        title,
        group,
        value=middle,
        ci_low=low,
        ci_high=high,
        n=len(values),
        unit="mL",
        method="median and interquartile range (no confidence interval)",
        note=undefined_for(len(records) - len(values), len(records)),
    )


def _agreement(volumes: Volumes, group: str, records: Sequence[CaseRecord]) -> tuple[Statistic, ...]:
    name, title = volumes.name, volumes.title
    first, second = both_defined(records, volumes.manual, volumes.predicted)
    seen = seen_ventricles_note(sum(map(volumes.by_seen_ventricles, records)), len(first))
    gap = undefined_for(len(records) - len(first), len(records)) if first else ""
    r = _correlation(
        f"{name}_r", f"r of {title}, manual and predicted", group, records, volumes.manual, volumes.predicted, seen
    )
    ccc, cb = (f"{name}_ccc", f"Lin's CCC of {title}"), (f"{name}_cb", f"bias correction factor C_b of {title}")
    found = agreement(np.asarray(first), np.asarray(second))
    if found is None:
        return r, _undefined(*ccc, group, len(first)), _undefined(*cb, group, len(first))
    return (
        r,
        _statistic(
            *ccc,
            group,
            value=found.ccc,
            ci_low=found.ccc_low,
            ci_high=found.ccc_high,
            n=len(first),
            method="Lin 1989, 95 % CI by z-transform",
            note=_joined(_why_no_interval(len(first), found.ccc_low), gap, seen),
        ),
        _statistic(
            *cb,
            group,
            value=found.bias_correction,
            n=len(first),
            method="CCC / r",
            note=_joined("" if found.bias_correction is not None else "undefined: r is 0", gap, seen),
        ),
    )


def _correlation(
    name: str, title: str, group: str, records: Sequence[CaseRecord], one: Value, other: Value, remark: str = ""
) -> Statistic:
    first, second = both_defined(records, one, other)
    found = correlation(first, second)
    if found is None:
        return _undefined(name, title, group, len(first))
    return _statistic(
        name,
        title,
        group,
        value=found.r,
        ci_low=found.low,
        ci_high=found.high,
        n=found.n,
        p=found.p,
        method=_FISHER,
        note=_joined(_why_no_interval(found.n, found.low), undefined_for(len(records) - found.n, len(records)), remark),
    )


def _partial(name: str, title: str, group: str, records: Sequence[CaseRecord], value: Value) -> Statistic:
    name, title = f"{name}_dsc_partial_r", f"partial r of {title} and DSC, given log predicted volume"
    usable = [(x, r.dsc, np.log(r.predicted_ml)) for r in records if (x := value(r)) is not None and r.predicted_ml > 0]
    found = partial_correlation(*np.array(usable).T) if usable else None
    if found is None:
        return _undefined(name, title, group, len(usable), FEWEST_FOR_PARTIAL)
    return _statistic(
        name,
        title,
        group,
        value=found.r,
        ci_low=found.low,
        ci_high=found.high,
        n=found.n,
        p=found.p,
        method="by regression, 95 % CI by Fisher's z",
        note=undefined_for(len(records) - found.n, len(records)),
    )


def _undefined(name: str, title: str, group: str, n: int, needed: int = FEWEST_FOR_R) -> Statistic:
    """Of n cases, where `needed` that vary are needed."""
    return _statistic(name, title, group, n=n, note=_too_few(n, needed))


def _statistic(name: str, title: str, group: str, **columns: Any) -> Statistic:
    return Statistic(name=name, title=title, group=group, **columns)


def _triage(group: str, records: Sequence[CaseRecord], settings: EvaluationSettings) -> tuple[Statistic, ...]:
    known = [record for record in records if record.uncertainty_index is not None]
    below = [r for r in known if r.uncertainty_index is not None and r.uncertainty_index < settings.review_above]
    limit = f"an uncertainty index under {settings.review_above:.3g}"
    head = ("triage_percent_below", f"cases with {limit}", group)
    share = _statistic(*head, n=0, unit="%", note=_NO_PREDICTION)
    if known:
        low, high = (100 * float(end) for end in proportion_confint(len(below), len(known), method="wilson"))
        share = _statistic(
            *head,
            value=100 * len(below) / len(known),
            ci_low=low,
            ci_high=high,
            n=len(known),
            unit="%",
            method="95 % CI by Wilson",
            note=nothing_predicted(records),
        )
    column = MeanOf("triage_dsc_below", f"mean DSC of cases with {limit}", dsc, "", "no case is under the limit")
    return share, _mean(column, group, below)


def _joined(*notes: str) -> str:
    return "; ".join(note for note in notes if note)


def _why_no_interval(n: int, low: float | None) -> str:
    if low is not None:
        return ""
    why = _too_few(n, FEWEST_FOR_CI) if n < FEWEST_FOR_CI else "the cases lie on one line, or r is 0"
    return f"no interval: {why}"


def _too_few(there: int, needed: int) -> str:
    if there >= needed:
        return f"undefined: the values of the {there} cases do not vary enough"
    return f"at least {needed} cases are needed, there {'is' if there == 1 else 'are'} {there}"


def _manual(record: CaseRecord) -> float | None:
    return record.manual_ml


def _predicted(record: CaseRecord) -> float | None:
    return record.predicted_ml
