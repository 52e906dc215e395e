"""What a training is going to do, decided and checked before any epoch: recipe, cases, the patients of each member,
seeds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from training.data.cases import Case, is_marked
from training.data.presets import PRETRAINING, Recipe
from training.data.recipe_settings import as_document, stages
from training.data.splits import MemberPart, Scheme, member_parts, split_counts, with_splits
from training.errors import BadCohort, BadRecipe, OtherRun
from training.fit.start import MOST_MEMBERS, Start

# Stages of one member draw other batches; more than any number of members, so that no two share a seed.
_STAGE_SEEDS: Final = 1000


@dataclass(frozen=True)
class TrainingPlan:
    """A training that can begin.

    Attributes:
        stages: the recipe, after those that it starts from; the recipe alone with a start.
        cases: every case, with its part of the split.
        drawn: synthetic scans and phantoms, which no split knows.
        parts: per member, the patients that it sees and those that it never sees.
        scheme: how these were drawn.
        seed: of everything random.
        start: trained members that take the place of the stages before.
    """

    stages: tuple[Recipe, ...]
    cases: tuple[Case, ...]
    drawn: tuple[Case, ...]
    parts: tuple[MemberPart, ...]
    scheme: Scheme
    seed: int
    start: Start | None = None

    @property
    def recipe(self) -> Recipe:
        """The last stage: what the weights are named for."""
        return self.stages[-1]

    @property
    def epochs(self) -> int:
        """Epochs of one member over all stages."""
        return sum(stage.epochs for stage in self.stages)

    def seed_of(self, member: int, stage: int) -> int:
        """Seed of one member in one stage; with a start, that of the stage in a training of all of them."""
        before = len(stages(self.recipe)) - len(self.stages)
        return self.seed + member + _STAGE_SEEDS * (before + stage)

    def seen_by(self, member: int) -> tuple[Case, ...]:
        """Cases that a member is trained on."""
        seen = set(self.parts[member].seen)
        return tuple(case for case in self.cases if case.split == "train" and case.patient in seen)

    def validation_of(self, member: int) -> tuple[Case, ...]:
        """The validation part; where the split has none, the training patients that this member never sees."""
        validation = tuple(case for case in self.cases if case.split == "validation")
        held_out = set(self.parts[member].held_out)
        return validation or tuple(case for case in self.cases if case.split == "train" and case.patient in held_out)

    def patients(self) -> tuple[str, ...]:
        """Everybody who is trained on or scored while training."""
        return tuple(sorted({case.patient for case in self.cases if case.split in ("train", "validation")}))

    def never_seen_by(self, member: int) -> tuple[str, ...]:
        """Those of `patients` that a member is not trained on."""
        seen = set(self.parts[member].seen)
        return tuple(patient for patient in self.patients() if patient not in seen)

    def inputs(self) -> dict[str, Any]:
        """All that decides the weights, as JSON: the same inputs give the same weights."""
        return {
            "stages": {stage.name: as_document(stage) for stage in self.stages},
            "seed": self.seed,
            "scheme": self.scheme,
            "members": len(self.parts),
            "cases": {case.name: self._digest(case) for case in self.cases if case.split in ("train", "validation")},
            "drawn": hashlib.sha256("".join(self._digest(case) for case in self.drawn).encode()).hexdigest()[:16],
        } | ({} if self.start is None else {"start": self.start.digest})

    def _digest(self, case: Case) -> str:
        names = ["image", self.recipe.target, "brain", "ignore"]
        if any(stage.ignored_rim_mm for stage in self.stages):
            names.append("ventricles")  # the rims lie around them
        parts = tuple(case.facts.digests.get(name) for name in names)
        return hashlib.sha256(repr((case.patient, case.split, case.facts.spacing_mm, parts)).encode()).hexdigest()[:16]


def make_plan(
    cases: Sequence[Case],
    drawn: Sequence[Case],
    recipe: Recipe,
    *,
    scheme: Scheme = "subsets",
    members: int = 5,
    seed: int = 2024,
    start: Start | None = None,
) -> TrainingPlan:
    """Decide everything, or say why the training cannot begin.

    Raises:
        BadCohort: no patient to train on, no lesion to learn from, one image under two patients, too few for the folds.
        BadCase: a case without the mask that is to be learnt.
        BadRecipe: a recipe that cannot be followed, or does not use the drawn scans that were given.
        OtherRun: a start of another preset or network, or whose members saw patients that they would be scored on.
    """
    if not 1 <= members <= MOST_MEMBERS:
        raise BadRecipe(f"--members: expected 1 to {MOST_MEMBERS}, got {members}")
    chain = stages(recipe)
    if start is not None:
        start.refuse_other(recipe)
        chain = (recipe,)
    elif recipe.start_from == PRETRAINING:
        raise OtherRun(f"--start: {recipe.name} goes on from the pretrained network: --start PRETRAINED.npz")
    if drawn and not any(stage.synthetic_share for stage in chain):
        raise BadRecipe("synthetic scans were given, but synthetic_share is 0: --set synthetic_share=0.5")
    parted = with_splits(cases, seed, scheme)
    _refuse_one_image_under_two_patients(parted)
    parts = member_parts(parted, members, scheme, seed)
    if scheme == "folds" and recipe.target == "ventricles":
        # A bundle has one ventricle network: the networks of the folds are its score, and it sees every patient.
        parts = (*parts, MemberPart(tuple(sorted({name for part in parts for name in part.seen})), ()))
    plan = TrainingPlan(chain, parted, tuple(drawn), parts, scheme, seed, start)
    for case in (*parted, *drawn):
        if case.split in ("", "train", "validation"):
            is_marked(case, recipe.target)
    _refuse_nothing_to_learn(plan)
    if start is not None:
        for member, part in enumerate(plan.parts):
            start.refuse_seen(member, frozenset(case.patient for case in parted) - frozenset(part.seen))
    return plan


def cohort_summary(plan: TrainingPlan) -> dict[str, Any]:
    """Patients of each part, cases, and how many cases have no lesion, for a report."""
    return {
        "cases": len(plan.cases),
        "patients": split_counts(plan.cases),
        "cases_without_lesions": sum(not is_marked(case, "wmh") for case in plan.cases),
        "drawn_cases": len(plan.drawn),
    }


def _refuse_one_image_under_two_patients(cases: Sequence[Case]) -> None:
    """A scan that was copied under another name would be on two sides of the split."""
    owners: dict[str, Case] = {}
    for case in cases:
        first = owners.setdefault(case.facts.image_digest, case)
        if first.patient != case.patient:
            raise BadCohort(
                f"cases {first.name} and {case.name} hold the same image, but are listed as patients {first.patient} "
                f"and {case.patient}: list them as one patient, or remove one"
            )


def _refuse_nothing_to_learn(plan: TrainingPlan) -> None:
    target = plan.recipe.target
    train = [case for case in plan.cases if case.split == "train"]
    if not any(is_marked(case, target) for case in train):
        raise BadCohort(
            f"no {target} voxel is marked in any of the {len(train)} training cases: there is nothing to learn from"
        )
    for member in range(len(plan.parts)):
        if not any(is_marked(case, target) for case in plan.seen_by(member)):
            raise BadCohort(f"member {member} would see no {target} voxel: too few cases have any; use another --seed")
