"""Evaluate an ensemble on labelled cases: cases in, one document out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Final

from segmentation.bundle import ModelBundle
from segmentation.ensemble import Ensemble
from segmentation.segment import segment_volume
from training.data.cases import Case
from training.errors import BadCohort
from training.evaluate.architecture import describe
from training.evaluate.assemble import assemble
from training.evaluate.document import Evaluation, EvaluationSettings, ModelRecord, TrainingSizeCurve
from training.evaluate.gallery import Gallery
from training.evaluate.groups import figure_group, groups_of
from training.evaluate.recording import RecordingEnsemble
from training.evaluate.scored_case import ScoredCase, score_labelled_case
from training.evaluate.seen import TrainingPatients, seen_note

Progress = Callable[[int, int, str], None]
"""Called with (cases done, cases in all, name of the next case; empty at the end)."""

SOFTWARE: Final = ("wmh-node", "numpy", "scipy", "statsmodels", "scikit-learn", "pandas")


@dataclass(frozen=True)
class EvaluationRequest:
    """What to evaluate, besides the cases.

    Attributes:
        settings: choices behind the numbers.
        known: the patients that the model was trained on; `TrainingPatients.of(bundle)`.
        architecture: the network in words, `describe(bundle)`.
        split: evaluate only this part of the split.
        unseen_members: score the WMH of each case only by members that never saw its patient; the ventricle network is
            one for all.
        training_size: the curve, where one was made.
        evaluated_at: the document's date; the present otherwise.
    """

    settings: EvaluationSettings = field(default_factory=EvaluationSettings)
    known: TrainingPatients = field(default_factory=TrainingPatients)
    architecture: str = ""
    split: str | None = None
    unseen_members: bool = False
    training_size: TrainingSizeCurve | None = None
    evaluated_at: datetime | None = None

    @classmethod
    def of(cls, bundle: ModelBundle, **choices: object) -> EvaluationRequest:
        """What the bundle knows of itself, and the other choices by name."""
        return cls(known=TrainingPatients.of(bundle), architecture=describe(bundle), **choices)  # type: ignore[arg-type]


def evaluate_cases(
    cases: Sequence[Case],
    ensemble: Ensemble,
    progress: Progress | None = None,
    request: EvaluationRequest | None = None,
    gallery: Gallery | None = None,
) -> Evaluation:
    """Score every case and sum up.

    Args:
        cases: with patient, site and split; `split` blank where it was not drawn.
        ensemble: the model, or anything with its face.
        progress: called before each case and at the end.
        request: see `EvaluationRequest`.
        gallery: collects the pictures of the representative cases.

    Raises:
        BadCohort: no case to evaluate, or one that every member saw although `unseen_members` is asked for.
    """
    request = request or EvaluationRequest()
    gallery = gallery or Gallery(request.settings.shown_cases)
    chosen = _of_split(cases, request.split)
    recording = RecordingEnsemble(ensemble)
    # The limit belongs to the model: the report counts by the one that is served.
    settings = request.settings.model_copy(update={"review_above": ensemble.review_above})
    members = {case.name: _members(case, request, ensemble.members) for case in chosen}
    # The first run on a machine compiles and allocates; it would stand as the first case's time.
    segment_volume(chosen[0].load().volume, ensemble)
    drawn = {case.name for case in groups_of(chosen)[figure_group(chosen)]}
    scored: list[ScoredCase] = []
    for done, case in enumerate(chosen):
        if progress:
            progress(done, len(chosen), case.name)
        recording.choose(members[case.name])
        pictures = gallery if case.name in drawn else None
        saw = request.known.saw_case(case)
        scored.append(score_labelled_case(case.load(), recording, settings, saw, pictures))
    if progress:
        progress(len(chosen), len(chosen), "")
    return assemble(
        scored,
        model=_model(ensemble, request.architecture),
        settings=settings,
        representatives=gallery.representatives,
        split=request.split,
        seen=seen_note([case.record for case in scored], unseen_members=request.unseen_members),
        training_size=request.training_size,
        evaluated_at=request.evaluated_at or datetime.now(UTC),
        software={name: version(name) for name in SOFTWARE},
    )


def _of_split(cases: Sequence[Case], split: str | None) -> Sequence[Case]:
    chosen = [case for case in cases if split is None or case.split == split]
    if not chosen:
        there = ", ".join(sorted({case.split or "blank" for case in cases})) or "no case at all"
        raise BadCohort(f"expected cases of the split {split!r}, found {there}: see the column split of patients.csv")
    return chosen


def _members(case: Case, request: EvaluationRequest, members: int) -> tuple[int, ...] | None:
    if not request.unseen_members:
        return None
    if request.known.patients is None:
        raise BadCohort(
            "expected a model that names the patients it was trained on, got one that does not: the members that "
            "never saw a patient are unknown; evaluate without the restriction to unseen members"
        )
    chosen = request.known.members_that_never_saw(request.known.name_of(case), members)
    if not chosen:
        raise BadCohort(
            f"{case.name}: expected a member that never saw its patient, found none; "
            "evaluate on other patients, or without the restriction to unseen members"
        )
    return chosen


def _model(ensemble: Ensemble, architecture: str) -> ModelRecord:
    identity = ensemble.identity
    return ModelRecord(
        name=identity.name,
        version=identity.version,
        digest=identity.digest,
        members=ensemble.members,
        architecture=architecture,
        threshold=ensemble.threshold,
        runtime=ensemble.runtime,
        precision=ensemble.precision,
    )
