"""MODEL_CARD.md of a model that was trained on a cohort of one's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from training.bundle.model_card import calibration_in_words, mean_of_patients, start_in_words
from training.data.presets import PRESETS, Recipe
from training.data.recipe_settings import as_document, differences
from training.fit.checkpoint import EpochRecord
from training.fit.plan import TrainingPlan, cohort_summary

if TYPE_CHECKING:
    from training.bundle.scores import MemberScore


@dataclass(frozen=True)
class CardFacts:
    """What the card tells beside the plan: names, software, how each member ended, and the temperature folded in.

    Without `tells_patients` no name of a case, patient or site is in the card: it goes wherever the weights go.
    """

    name: str
    version: str
    licence: str
    data: str
    backend: str
    software: Mapping[str, str]
    last: tuple[EpochRecord | None, ...]
    temperature: float | None
    tells_patients: bool = True


def cohort_card(plan: TrainingPlan, facts: CardFacts, scores: Sequence[MemberScore]) -> str:
    """The card as text; `scores` are those of members that never saw the patient, empty where no scheme gives them."""
    recipe, counts = plan.recipe, cohort_summary(plan)
    volumes = [case.wmh_ml for case in plan.cases if case.split == "train"]
    parts = ", ".join(f"{part} {number}" for part, number in sorted(counts["patients"].items()))
    owners = {case.name: case.patient for case in plan.cases}
    versions = ", ".join(f"{package} {version}" for package, version in facts.software.items())
    drawn = f" and {len(plan.drawn)} drawn (synthetic) scans" if plan.drawn else ""
    return f"""# Model card: {facts.name} {facts.version}

**Research use only. Not a medical device.** Nothing here was cleared for diagnosis; a person must look at every result.

## What it is
An ensemble of {len(plan.parts)} {recipe.network.name}s (Kim, Ryu et al., AJNR 2024;45:1885) of width
{recipe.network.width:g}, `{recipe.network.variant}` variant, that marks white matter hyperintensities (WMH) on axial
2D T2-FLAIR.

## How it was trained
- Preset `{recipe.name}`; what differs from it: {_deviations(plan)}.
- Seed {plan.seed}, scheme `{plan.scheme}`, {plan.epochs} epochs a member, on {facts.backend} ({versions}).
- Last epoch{_before(recipe)}, loss and validation DSC of each member: {_ends(facts.last)}.
- {calibration_in_words(facts.temperature)}
{start_in_words(recipe, bool(plan.drawn))}
## What it was trained on
{facts.data}: {counts["cases"]} cases (patients: {parts}){drawn}; sites: {_sites(plan, facts)}. WMH of the training
cases {min(volumes):.1f}-{max(volumes):.1f} mL; {counts["cases_without_lesions"]} cases have no lesion.

## What it scores
{_scores(scores, owners, facts)}
## What it must not be trusted with
- Scanners, sequences and diseases other than those above: it is not evaluated there. Run `wmh-node evaluate` on your
own cases first.
- 3D, sagittal, coronal or post-contrast FLAIR.

## Licence
{facts.licence}
"""


def _deviations(plan: TrainingPlan) -> str:
    shipped = PRESETS.get(plan.recipe.name)
    if shipped is None:
        return "not a preset of this version"
    return "; ".join(differences(as_document(shipped), as_document(plan.recipe))) or "nothing"


def _before(recipe: Recipe) -> str:
    """The figures are not those of the bundle's weights where these lie part of the way back."""
    return ", before the way back to the start" if recipe.start_share else ""


def _ends(last: Sequence[EpochRecord | None]) -> str:
    words = []
    for member, record in enumerate(last):
        if record is None:
            words.append(f"member {member + 1} not recorded")
            continue
        dsc = "none" if record.validation_dsc is None else f"{record.validation_dsc:.3f}"
        words.append(f"member {member + 1} {record.loss:.3f}, {dsc}")
    return "; ".join(words)


def _sites(plan: TrainingPlan, facts: CardFacts) -> str:
    names = sorted({case.site for case in plan.cases if case.site})
    if not names:
        return "not stated"
    return ", ".join(names) if facts.tells_patients else str(len(names))


def _scores(scores: Sequence[MemberScore], owners: Mapping[str, str], facts: CardFacts) -> str:
    if not scores:
        return "Not measured while training. `wmh-node evaluate` measures it on the test part.\n"
    rows = "\n".join(
        f"| {score.case if facts.tells_patients else number} | {score.member + 1} | {score.dsc:.3f} "
        f"| {score.manual_ml:.1f} | {score.predicted_ml:.1f} |"
        for number, score in enumerate(scores, start=1)
    )
    mean = np.mean([score.dsc for score in scores])
    return f"""Leave-patients-out DSC: each case scored by the one member that never saw its patient, at threshold 0.5.
95 % CI by Student's t over the patients; scans of one patient count once, by their mean.

| case | member | DSC | manual mL | predicted mL |
|---|---|---|---|---|
{rows}
| **mean of the scans** | | **{mean:.3f}** | | |
| **mean of the patients (95 % CI)** | | **{mean_of_patients(scores, owners)}** | | |
"""
