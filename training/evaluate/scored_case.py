"""One case through the ensemble, and everything that is measured on it."""

from __future__ import annotations

from dataclasses import asdict, astuple, dataclass

from segmentation.regions import RegionRule
from segmentation.segment import Segmentation, segment_volume
from training.data.cases import LabelledCase
from training.dice import dice
from training.evaluate.calibration import ReliabilityCounts, count_reliability, near_lesions
from training.evaluate.confidence import inverse_volume, member_dice, soft_dice_confidence
from training.evaluate.distances import hausdorff, surface_distances
from training.evaluate.document import CaseRecord, EvaluationSettings
from training.evaluate.gallery import Gallery
from training.evaluate.inter_rater import RatedCase, rate
from training.evaluate.lesions import count_lesions
from training.evaluate.recording import RecordingEnsemble
from training.evaluate.region_scores import region_scores

_ONE_STEP = (1.0, 1.0, 1.0)


@dataclass(frozen=True)
class ScoredCase:
    """What is known of one case; the pictures went to the gallery.

    Attributes:
        record: the row of cases.csv.
        reliability: counts near lesions, for the pooled curve.
        rated: comparison with other raters, where there are any.
    """

    record: CaseRecord
    reliability: ReliabilityCounts
    rated: RatedCase | None


def score_labelled_case(
    case: LabelledCase,
    ensemble: RecordingEnsemble,
    settings: EvaluationSettings,
    seen_in_training: bool | None = None,
    gallery: Gallery | None = None,
) -> ScoredCase:
    """Segment a case and measure it against its manual mask, on its native grid."""
    segmentation = segment_volume(case.volume, ensemble.as_ensemble)
    dsc = dice(segmentation.mask, case.wmh)
    near = near_lesions(segmentation.mask, case.wmh, case.volume.spacing_mm, settings.near_lesion_mm)
    counts = count_reliability(segmentation.probability[near], case.wmh[near], settings.calibration_bins)
    columns = {
        **_overlap(case, segmentation, settings),
        **_doubt(ensemble, segmentation),
        **_lesions(case, segmentation),
        **_regions(case, segmentation, settings),
    }
    record = CaseRecord(
        case=case.name,
        patient=case.patient,
        site=case.site,
        split=case.split,
        seen_in_training=seen_in_training,
        judged_by=" ".join(str(member + 1) for member in ensemble.chosen or ()),
        dsc=dsc,
        manual_ml=case.wmh_ml,
        predicted_ml=segmentation.measures.wmh_volume_ml,
        brier=counts.brier,
        ece_near=counts.ece,
        seconds=sum(astuple(segmentation.seconds)),
        clinical={name: float(v) if isinstance(v, int | float) else v for name, v in case.clinical.items()},
        **columns,
    )
    if gallery is not None:
        gallery.offer(case, segmentation, dsc)
    return ScoredCase(record, counts, rate(case, dsc))


def _overlap(case: LabelledCase, found: Segmentation, settings: EvaluationSettings) -> dict[str, float | None]:
    spacing = case.volume.spacing_mm
    surfaces = surface_distances(found.mask, case.wmh, spacing)
    return {
        "hd_mm": hausdorff(found.mask, case.wmh, spacing),
        "hd_pixels": hausdorff(found.mask, case.wmh, _ONE_STEP),
        "hd95_mm": surfaces.percentile_95() if surfaces else None,
        "surface_dice": surfaces.within(settings.surface_tolerance_mm) if surfaces else None,
    }


def _doubt(ensemble: RecordingEnsemble, found: Segmentation) -> dict[str, float | None]:
    members = ensemble.member_probabilities
    threshold = float(ensemble.threshold)
    return {
        "uncertainty_index": found.measures.uncertainty_index,
        "member_dice": None if members is None else member_dice(members, threshold),
        "soft_dice_confidence": soft_dice_confidence(found.probability, found.mask),
        "inverse_volume": inverse_volume(found.measures.wmh_volume_ml),
    }


def _lesions(case: LabelledCase, found: Segmentation) -> dict[str, float | None]:
    counts = count_lesions(found.mask, case.wmh)
    return {
        "lesions_manual": counts.manual,
        "lesions_predicted": counts.predicted,
        "lesions_found": counts.found,
        "lesion_recall": counts.recall,
        "lesion_precision": counts.precision,
        "lesion_f1": counts.f1,
    }


def _regions(case: LabelledCase, found: Segmentation, settings: EvaluationSettings) -> dict[str, float | str | None]:
    """By the manual ventricles where any are drawn, else by the predicted ones.

    Every head has ventricles: a manual mask without a voxel was not drawn, and nothing is scored on it.
    """
    manual, predicted = case.ventricles, found.ventricles
    drawn = manual if manual is not None and manual.any() else None
    known: dict[str, float | str | None] = {
        "manual_ventricles_ml": None if manual is None else float(manual.sum()) * case.volume.voxel_volume_ml,
        "ventricle_dsc": None if drawn is None or predicted is None else dice(predicted, drawn),
    }
    ventricles = drawn if drawn is not None else predicted
    if ventricles is None or not ventricles.any():
        return known
    wide, narrow = (
        asdict(
            region_scores(
                found.mask, case.wmh, ventricles, case.volume.spacing_mm, RegionRule(distance, settings.distance_rule)
            )
        )
        for distance in settings.periventricular_mm
    )
    by = "manual ventricles" if drawn is not None else "predicted ventricles"
    return {"regions_by": by, **wide, **{f"{name}_7mm5": value for name, value in narrow.items()}, **known}
