"""Score every contender on the same cases."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from training.data.cases import Case
from training.errors import BadCohort
from training.evaluate.comparison.assemble import KEYS, Entry, assemble
from training.evaluate.comparison.contender import Candidate
from training.evaluate.comparison.document import Comparison
from training.evaluate.document import Evaluation
from training.evaluate.run import CaseProgress, evaluate_cases, score_shard
from training.evaluate.scored_folder import ScoredFolder, Shard
from training.evaluate.seen import TrainingPatients

ContenderProgress = Callable[[str, int, int], None]
"""Called with (contender's label, cases done, cases in all)."""


def compare_candidates(
    candidates: Sequence[Candidate],
    cases: Sequence[Case],
    progress: ContenderProgress | None = None,
    *,
    unseen_members: bool = False,
    earlier: Comparison | None = None,
    kept: Path | None = None,
) -> tuple[Comparison, tuple[Evaluation, ...]]:
    """Evaluate one contender after the other; one network is in memory at a time.

    Args:
        candidates: two or more, or one and `earlier`.
        cases: to score all of them on.
        progress: hears of each case.
        unseen_members: score each case only by members that never saw its patient, and leave out the cases for which
            some contender has none.
        earlier: a comparison of these cases, whose contenders stand beside these without being run again.
        kept: folder of scores of single cases, for a call that was ended or shared; None: none.

    Returns:
        The comparison, and the evaluation of each contender in the same order.

    Raises:
        BadCohort: fewer than two contenders, more than there are letters, no case that all of them may be scored on, or
            an earlier comparison of other cases or by other members.
    """
    _require_letters(candidates, earlier)
    chosen, notes = (cases, []) if not unseen_members else _fair(candidates, cases)
    if earlier is not None:
        _require_same_question(earlier, chosen, unseen_members)
    entries = [
        _score(candidate, chosen, progress, _folder(kept, candidate), unseen_members=unseen_members)
        for candidate in candidates
    ]
    return assemble(entries, datetime.now(UTC), notes, earlier), tuple(entry.evaluation for entry in entries)


def score_shard_of_all(
    candidates: Sequence[Candidate],
    cases: Sequence[Case],
    shard: Shard,
    kept: Path,
    progress: ContenderProgress | None = None,
    *,
    unseen_members: bool = False,
) -> int:
    """Score a part of the cases by every contender, for `compare_candidates` to sum up; returns the cases of the part.

    Args:
        candidates, cases, progress, unseen_members: as for `compare_candidates`, in every part the same.
        shard: the part.
        kept: gets the scores; the parts may share it.

    Raises:
        BadCohort, NotSaved: as `compare_candidates`.
    """
    chosen = cases if not unseen_members else _fair(candidates, cases)[0]
    count = 0
    for candidate in candidates:
        request = candidate.request(unseen_members=unseen_members)
        report = _reporting(candidate, progress)
        count = score_shard(chosen, candidate.open(), shard, ScoredFolder(_place(kept, candidate)), report, request)
    return count


def _require_letters(candidates: Sequence[Candidate], earlier: Comparison | None) -> None:
    """Two to as many as there are letters, counted before the first of them runs for hours."""
    if len(candidates) < (2 if earlier is None else 1):
        raise BadCohort(f"expected at least 2 contenders, got {len(candidates)}: name a second bundle or --baseline")
    again = {candidate.digest for candidate in candidates}
    before = (
        []
        if earlier is None
        else [contender for contender in earlier.contenders if contender.model.digest not in again]
    )
    if (count := len(candidates) + len(before)) > len(KEYS):
        raise BadCohort(
            f"expected at most {len(KEYS)} contenders, one a letter, got {count}, baselines and {len(before)} of the "
            "earlier comparison counted: compare fewer at once"
        )


def _require_same_question(earlier: Comparison, cases: Sequence[Case], unseen_members: bool) -> None:
    """What is known before any network runs; the masks are compared afterwards."""
    if (_UNSEEN in earlier.notes) != unseen_members:
        had, now = ("with", "without") if not unseen_members else ("without", "with")
        raise BadCohort(f"expected the earlier comparison {now} --unseen-members as this one, got one {had}")
    here, before = ({case.name for case in cases}, {row.case for row in earlier.cases})
    if other := sorted(here ^ before):
        raise BadCohort(
            f"expected the cases of the earlier comparison, got others ({', '.join(other[:_MOST_NAMES])}"
            f"{', ...' if len(other) > _MOST_NAMES else ''}): compare all models again, on one folder of cases"
        )


def _score(
    candidate: Candidate,
    cases: Sequence[Case],
    progress: ContenderProgress | None,
    kept: ScoredFolder | None,
    *,
    unseen_members: bool,
) -> Entry:
    request = candidate.request(unseen_members=unseen_members)
    evaluation = evaluate_cases(cases, candidate.open(), _reporting(candidate, progress), request, kept=kept)
    return Entry(candidate.label, candidate.baseline, evaluation)


def _reporting(candidate: Candidate, progress: ContenderProgress | None) -> CaseProgress:
    def report(done: int, total: int, _: str) -> None:
        if progress:
            progress(candidate.label, done, total)

    return report


def _folder(kept: Path | None, candidate: Candidate) -> ScoredFolder | None:
    return None if kept is None else ScoredFolder(_place(kept, candidate))


def _place(kept: Path, candidate: Candidate) -> Path:
    return kept / candidate.digest[:12]


def _has_unseen_member(known: TrainingPatients, case: Case) -> bool:
    return bool(known.members_that_never_saw(known.name_of(case), _ANY))


def _fair(candidates: Sequence[Candidate], cases: Sequence[Case]) -> tuple[Sequence[Case], list[str]]:
    """Cases for which every contender has a member that never saw the patient."""
    blind = [candidate.label for candidate in candidates if candidate.known.patients is None]
    if blind:
        raise BadCohort(
            f"{', '.join(blind)}: the bundle does not say which patients it was trained on; compare on new patients"
        )
    fair = [case for case in cases if all(_has_unseen_member(candidate.known, case) for candidate in candidates)]
    if not fair:
        raise BadCohort(
            "expected a case whose patient is new to a member of every contender, found none: compare on "
            "other patients, or without the restriction to unseen members"
        )
    notes = [_UNSEEN]
    if left_out := sorted({case.name for case in cases} - {case.name for case in fair}):
        notes.append(f"Left out, because every member of a contender has seen the patient: {', '.join(left_out)}.")
    return fair, notes


_UNSEEN = "Each case was scored only by members that never saw its patient, so the members differ from case to case."
_MOST_NAMES = 3
_ANY = 1
"""A bundle may have any number of members: a new patient has at least one."""
