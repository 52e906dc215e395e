"""MODEL_CARD.md: what a model was trained on, what it scores, what it must not be used for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import stats

from training.bundle.about import BundleName
from training.bundle.anatomy.score import AnatomyScore, mean_of
from training.bundle.parts import BundleParts
from training.bundle.scores import MemberScore
from training.data.presets import PRESETS, Recipe
from training.data.recipe_settings import as_document, differences, stages
from training.evaluate.comparison.pairs import by_patient
from training.evaluate.means import SHARE, mean_with_interval
from training.fit.calibration import Calibration
from training.fit.checkpoint import EpochRecord
from training.fit.plan import TrainingPlan, cohort_summary


@dataclass(frozen=True)
class CardFacts:
    """What the card states beside the plan.

    Attributes:
        name: of the bundle; where it lists no patients, neither does the card, nor cases and sites.
        parts: of other trainings.
        scores: of members that never saw the patient; empty where the scheme gives none.
        calibration: folded into the members' last layer; None: they are not calibrated.
        backend, software: what trained.
        last: how each member ended.
    """

    name: BundleName
    parts: BundleParts
    scores: Sequence[MemberScore]
    calibration: Calibration | None
    backend: str
    software: Mapping[str, str]
    last: tuple[EpochRecord | None, ...]


def model_card(plan: TrainingPlan, facts: CardFacts) -> str:
    """The card as text."""
    recipe, counts, name = plan.recipe, cohort_summary(plan), facts.name
    volumes = [case.wmh_ml for case in plan.cases if case.split == "train"]
    split = ", ".join(f"{part} {number}" for part, number in sorted(counts["patients"].items()))
    versions = ", ".join(f"{package} {version}" for package, version in facts.software.items())
    drawn = f" and {len(plan.drawn)} drawn (synthetic) scans" if plan.drawn else ""
    return f"""# Model card: {name.name} {name.version}

**Research use only. Not a medical device.** Nothing here was cleared for diagnosis; a person must look at every result.

## What it is
An ensemble of {len(plan.parts)} {recipe.network.name}s (Kim, Ryu et al., AJNR 2024;45:1885) of width
{recipe.network.width:g}, `{recipe.network.variant}` variant, that marks white matter hyperintensities (WMH) on axial
2D T2-FLAIR{_ventricles(facts.parts)}.

## How it was trained
- Preset `{recipe.name}`; what differs from it: {_deviations(plan)}.
- Seed {plan.seed}, scheme `{plan.scheme}`, {plan.epochs} epochs a member, on {facts.backend} ({versions}).
- Last epoch{_before(recipe)}, loss and validation DSC of each member: {_ends(facts.last)}.
- {_calibration(facts.calibration)}
{_stages(plan)}{_scale(name)}
## What it was trained on
{name.data}: {counts["cases"]} cases (patients: {split}){drawn}; sites: {_sites(plan, name)}. WMH of the training
cases {min(volumes):.1f}-{max(volumes):.1f} mL; {counts["cases_without_lesions"]} cases have no lesion.
{_block(name.about.trained_on)}
## What it scores
{_scores(plan, facts)}{_anatomy(facts)}
## What it must not be trusted with
- Scanners, sequences and diseases other than those above: it is not evaluated there. Run `wmh-node evaluate` on your
own cases first.
- 3D, sagittal, coronal or post-contrast FLAIR.
{_block(name.about.limits)}
## Licence
{name.licence}
"""


def _block(text: str) -> str:
    return f"{text.strip()}\n" if text.strip() else ""


def _ventricles(parts: BundleParts) -> str:
    if parts.ventricles is None:
        return ""
    recipe = parts.ventricles.recipe
    mirrored = "; it sees each slice and its mirror image, and their mean counts" if recipe.is_mirrored else ""
    return (
        f", and one\n{recipe.network.name} of width {recipe.network.width:g} (preset `{recipe.name}`) that marks the "
        f"ventricles, so that WMH are divided into\nperiventricular and deep{mirrored}"
    )


def _deviations(plan: TrainingPlan) -> str:
    shipped = PRESETS.get(plan.recipe.name)
    if shipped is None:
        return "not a preset of this version"
    return "; ".join(differences(as_document(shipped), as_document(plan.recipe))) or "nothing"


def _before(recipe: Recipe) -> str:
    """The figures are not those of the bundle's weights where these lie part of the way back."""
    return ", before the way back to the start" if recipe.start_share else ""


def _ends(last: Sequence[EpochRecord | None]) -> str:
    ends = []
    for member, record in enumerate(last):
        if record is None:
            ends.append(f"member {member + 1} not recorded")
            continue
        dsc = "none" if record.validation_dsc is None else f"{record.validation_dsc:.3f}"
        ends.append(f"member {member + 1} {record.loss:.3f}, {dsc}")
    return "; ".join(ends)


def _calibration(found: Calibration | None) -> str:
    if found is None:
        return "The members are not calibrated."
    moved = f"moved by {-found.shift:+.2f}, where the mean DSC is best, and " if found.shift else ""
    return (
        f"The members' logits were {moved}divided by {found.temperature:.2f}\n"
        "(temperature scaling), by the patients that each never saw; this is folded into the weights."
    )


def _stages(plan: TrainingPlan) -> str:
    """The stages of the training; "" where there is one. Without drawn scans all slices are of real ones."""
    if plan.recipe.start_from is None:
        return ""
    lines = [f"- `{stage.name}`: {_stage(stage, bool(plan.drawn))}" for stage in stages(plan.recipe)]
    start = "" if plan.start is None else f"The last stage went on from `{plan.start.name}`.\n"
    return (
        "\nThe members were trained in stages, each going on from the one before:\n" + ";\n".join(lines) + f".\n{start}"
    )


def _stage(stage: Recipe, has_drawn: bool) -> str:
    alone = f", after {stage.real_only_epochs} of real scans alone" if stage.real_only_epochs else ""
    drawn = f"{stage.synthetic_share:.0%} of the slices from synthetic scans or phantoms{alone}"
    if not has_drawn or not stage.synthetic_share:
        drawn = "real scans alone"
    if not stage.start_share:
        return f"{stage.epochs} epochs, {drawn}"
    back = f"ends {stage.start_share:.0%} of the way back to its start (Wortsman et al., CVPR 2022)"
    return f"{stage.epochs} epochs, {drawn}; {back}"


def _scale(name: BundleName) -> str:
    if name.scale is None:
        return ""
    return f"\nThe input is scaled by the rule `{name.scale}` (docs/adr/0014), not by that of the training.\n"


def _sites(plan: TrainingPlan, name: BundleName) -> str:
    names = sorted({case.site for case in plan.cases if case.site})
    if not names:
        return "not stated"
    return ", ".join(names) if name.lists_patients else str(len(names))


def _scores(plan: TrainingPlan, facts: CardFacts) -> str:
    if not facts.scores:
        return "Not measured while training. `wmh-node evaluate` measures it on the test part.\n"
    owners = {case.name: case.patient for case in plan.cases}
    columns = {"DSC": _dsc(facts.scores)}
    if facts.parts.ventricles and facts.parts.ventricles.scores:
        columns["ventricle DSC"] = _dsc(facts.parts.ventricles.scores)
    if facts.parts.baseline:
        columns[f"DSC of `{facts.parts.baseline.recipe}`"] = _dsc(facts.parts.baseline.cases)
    rows = "\n".join(
        f"| {score.case if facts.name.lists_patients else number} | {score.member + 1} | {score.manual_ml:.1f} "
        f"| {score.predicted_ml:.1f} | {_cells(column.get(score.case) for column in columns.values())} |"
        for number, score in enumerate(facts.scores, start=1)
    )
    scans = " | ".join(f"**{np.mean(list(column.values())):.3f}**" for column in columns.values())
    patients = " | ".join(f"**{_mean_of_patients(column, owners)}**" for column in columns.values())
    return f"""Leave-patients-out DSC: each case scored with the one member that never saw its patient, threshold 0.5.
{_ventricle_scores(columns)}95 % CI by Student's t over the patients; scans of one patient count once, by their mean.

| case | member | manual mL | predicted mL | {" | ".join(columns)} |
|---|---|---|---|{"---|" * len(columns)}
{rows}
| **mean of the scans** | | | | {scans} |
| **mean of the patients (95 % CI)** | | | | {patients} |
{_compared(facts, owners)}"""


def _ventricle_scores(columns: Mapping[str, object]) -> str:
    if "ventricle DSC" not in columns:
        return ""
    return (
        "The ventricle network saw every patient: its column is of networks like it, each trained without one fold.\n"
    )


def _dsc(scores: Sequence[MemberScore]) -> dict[str, float]:
    return {score.case: score.dsc for score in scores}


def _cells(values: Iterable[float | None]) -> str:
    return " | ".join("" if value is None else f"{value:.3f}" for value in values)


def _mean_of_patients(scores: Mapping[str, float], owners: Mapping[str, str]) -> str:
    found = mean_with_interval(_by_patient(scores, owners), SHARE)
    return f"{found.mean:.3f}" if found.low is None else f"{found.mean:.3f} ({found.low:.3f}-{found.high:.3f})"


def _by_patient(values: Mapping[str, float], owners: Mapping[str, str]) -> list[float]:
    """Mean of each patient's scans; cases of other cohorts are left out."""
    known = {case: value for case, value in values.items() if case in owners}
    means = by_patient([list(known.values())], [owners[case] for case in known])
    return [mean for (mean,) in means.values()]


def _compared(facts: CardFacts, owners: Mapping[str, str]) -> str:
    if facts.parts.baseline is None:
        return ""
    other = _dsc(facts.parts.baseline.cases)
    gains = {case: dsc - other[case] for case, dsc in _dsc(facts.scores).items() if case in other}
    patients = np.array(_by_patient(gains, owners))
    test = stats.ttest_1samp(patients, 0.0)
    gain = float(np.mean(list(gains.values())))
    return (
        f"\nAgainst the preset `{facts.parts.baseline.recipe}` on the same folds: {gain:+.3f} DSC over {len(gains)} "
        f"scans,\nby patient {patients.mean():+.3f} (paired t over {len(patients)} patients, P = {test.pvalue:.3f}).\n"
    )


ANATOMY_HEADING: Final = "## Anatomy network"


def _anatomy(facts: CardFacts) -> str:
    found = facts.parts.anatomy
    return "" if found is None else f"\n{anatomy_section(found.scores, facts.name.lists_patients)}"


def anatomy_section(scores: Sequence[AnatomyScore], lists_patients: bool) -> str:
    """The card's section about an anatomy network."""
    unseen = [score.case for score in scores if not score.seen]
    held_out = ", ".join(unseen) if lists_patients else f"{len(unseen)} of {len(scores)}"
    return f"""{ANATOMY_HEADING}
A UNet of width 0.25 on images of 128 pixels marks the brain; WMH elsewhere are dropped before anything is measured. It
marks ventricles, cerebellum with brainstem, the left half and the cortex too, for the places of lesions. Trained
on drawn scans (`training.synthesis.stream`) and on masks of the scans above, without the cases {held_out or "none"}.

| measure | cases that it never saw | cases that it saw |
|---|---|---|
| Dice of the brain, slices that are mostly brain | {_anatomy_means(scores, "brain")} |
| Dice of the brain, all slices (the masks hold some muscle and sinus at the skull base) | \
{_anatomy_means(scores, "brain_all")} |
| Dice of the ventricles | {_anatomy_means(scores, "ventricles")} |
| part of the manual WMH inside the brain | {_anatomy_means(scores, "wmh_inside")} |
"""


def _anatomy_means(scores: Sequence[AnatomyScore], name: str) -> str:
    means = (mean_of(scores, name, seen=seen) for seen in (False, True))
    return " | ".join("-" if mean is None else f"{mean:.3f}" for mean in means)
