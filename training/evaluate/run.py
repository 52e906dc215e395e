"""Evaluate an ensemble on labelled cases: cases in, one document out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
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
from training.evaluate.scored_folder import ScoredFolder, Shard, asked_of
from training.evaluate.seen import TrainingPatients, seen_note

CaseProgress = Callable[[int, int, str], None]
"""Called with (cases done, cases in all, name of the next case; empty at the end)."""

SOFTWARE: Final = ("wmh-node", "numpy", "scipy", "statsmodels", "pandas")


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
    progress: CaseProgress | None = None,
    request: EvaluationRequest | None = None,
    gallery: Gallery | None = None,
    kept: ScoredFolder | None = None,
) -> Evaluation:
    """Score every case and sum up.

    Args:
        cases: with patient, site and split; `split` blank where it was not drawn.
        ensemble: the model, or anything with its face.
        progress: called before each case and at the end.
        request: see `EvaluationRequest`.
        gallery: collects the pictures of the representative cases.
        kept: scores of an earlier call that was ended, or of other processes; this call adds what is missing.

    Raises:
        BadCohort: no case to evaluate, or one that every member saw although `unseen_members` is asked for.
        NotSaved: a score could not be kept.
    """
    request = _as_served(request or EvaluationRequest(), ensemble)
    gallery = gallery or Gallery(request.settings.shown_cases)
    scoring = _Scoring(_of_split(cases, request.split), ensemble, request, kept)
    scored = scoring.run(progress, gallery)
    return assemble(
        scored,
        model=_model(ensemble, request.architecture),
        settings=request.settings,
        representatives=gallery.representatives,
        split=request.split,
        seen=seen_note([case.record for case in scored], unseen_members=request.unseen_members),
        training_size=request.training_size,
        evaluated_at=request.evaluated_at or datetime.now(UTC),
        software={name: version(name) for name in SOFTWARE},
    )


def score_shard(
    cases: Sequence[Case],
    ensemble: Ensemble,
    shard: Shard,
    kept: ScoredFolder,
    progress: CaseProgress | None = None,
    request: EvaluationRequest | None = None,
) -> int:
    """Score a part of the cases into a folder, for `evaluate_cases` to sum up; returns how many it holds now.

    Args:
        cases, ensemble, progress, request: as for `evaluate_cases`.
        shard: the part.
        kept: gets the scores.

    Raises:
        BadCohort, NotSaved: see `evaluate_cases`.
    """
    request = _as_served(request or EvaluationRequest(), ensemble)
    chosen = [case for place, case in enumerate(_of_split(cases, request.split)) if shard.has(place)]
    return len(_Scoring(chosen, ensemble, request, kept).run(progress, None)) if chosen else 0


def _as_served(request: EvaluationRequest, ensemble: Ensemble) -> EvaluationRequest:
    """The limit of the index belongs to the model: the report counts by the one that is served."""
    settings = request.settings.model_copy(update={"review_above": ensemble.review_above})
    return replace(request, settings=settings)


class _Scoring:
    """Cases one after the other through one ensemble; one case is in memory at a time."""

    def __init__(
        self, cases: Sequence[Case], ensemble: Ensemble, request: EvaluationRequest, kept: ScoredFolder | None
    ) -> None:
        self._cases, self._request, self._kept = cases, request, kept
        self._ensemble, self._recording = ensemble, RecordingEnsemble(ensemble)
        self._members = {case.name: _members(case, request, ensemble.members) for case in cases}
        self._is_warm = False

    def run(self, progress: CaseProgress | None, gallery: Gallery | None) -> list[ScoredCase]:
        """Read what is kept, score the rest, and look again at kept cases whose pictures are wanted."""
        drawn = {case.name for case in groups_of(self._cases)[figure_group(self._cases)]}
        found: dict[str, ScoredCase] = {}
        restored: dict[str, Case] = {}
        for done, case in enumerate(self._cases):
            if progress:
                progress(done, len(self._cases), case.name)
            earlier = self._kept.read(case.name, self._asked(case)) if self._kept is not None else None
            if earlier is not None:
                found[case.name], restored[case.name] = earlier, case
                continue
            found[case.name] = self._score(case, gallery if case.name in drawn else None)
            if self._kept is not None:
                self._kept.write(found[case.name], self._asked(case))
        if gallery is not None:
            shown = gallery.candidates([found[name].record for name in found if name in drawn])
            for name in shown:
                if name in restored:
                    self._score(restored[name], gallery)
        if progress:
            progress(len(self._cases), len(self._cases), "")
        return list(found.values())

    def _score(self, case: Case, gallery: Gallery | None) -> ScoredCase:
        loaded = case.load()
        if not self._is_warm:
            # The first run on a machine compiles and allocates; it would stand as the first case's time.
            segment_volume(loaded.volume, self._ensemble)
            self._is_warm = True
        self._recording.choose(self._members[case.name])
        saw = self._request.known.saw_case(case)
        return score_labelled_case(loaded, self._recording, self._request.settings, saw, gallery)

    def _asked(self, case: Case) -> str:
        """All that decides a case's score; the report names one version of this software for all of them."""
        model = (self._ensemble.identity.digest, self._ensemble.runtime, self._ensemble.precision)
        facts = (case.name, case.patient, case.site, case.split, sorted(case.clinical.items()), case.facts.digest)
        return asked_of(
            version("wmh-node"),
            model,
            float(self._ensemble.threshold),
            self._members[case.name],
            self._request.known.saw_case(case),
            facts,
            self._request.settings.model_dump_json(),
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
