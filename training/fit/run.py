"""Carry a plan out: member after member, stage after stage, each epoch on disk before the next one begins."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from training.errors import BadRecipe
from training.fit.backend import Backend
from training.fit.checkpoint import EpochRecord
from training.fit.event_log import EventLog
from training.fit.plan import TrainingPlan
from training.fit.run_folder import RunFolder

VALIDATION_CASES: Final = 8


@dataclass(frozen=True)
class MemberProgress:
    """Where a member stands.

    Attributes:
        member: from 0.
        epoch: finished epochs over all stages.
        epochs: epochs over all stages.
        last: the record of the last one; None before any.
        resumed: these epochs were on disk already.
    """

    member: int
    epoch: int
    epochs: int
    last: EpochRecord | None
    resumed: bool = False


@dataclass(frozen=True)
class Limits:
    """How much of a plan to carry out now; the same command goes on with the rest.

    Attributes:
        only: members to train; None: all.
        stop_after: end each member after so many epochs over all stages; None: all.
        validation_cases: at most so many cases are scored after each epoch; 0: none.
    """

    only: tuple[int, ...] | None = None
    stop_after: int | None = None
    validation_cases: int = VALIDATION_CASES


Report = Callable[[MemberProgress], None]


def train(plan: TrainingPlan, folder: RunFolder, backend: Backend, limits: Limits, report: Report) -> bool:
    """Train what is not finished yet; returns whether every member of the plan now is.

    `training.fit.backend.prepare_backend` comes first.

    Raises:
        OtherRun: the folder belongs to another training, or another process trains the member.
        NotSaved: a full disk; the last good checkpoint is there, and the same command goes on from it.
        BadRecipe: members that the plan does not have, or a loss that is NaN.
    """
    members = range(len(plan.parts)) if limits.only is None else limits.only
    if unknown := sorted(set(members) - set(range(len(plan.parts)))):
        raise BadRecipe(f"--only-members: expected members 0 to {len(plan.parts) - 1}, got {unknown[0]}")
    folder.open(plan, backend)
    groups = _DrawnGroups(plan)
    for member in members:
        with folder.locked(member):
            _train_member(plan, folder, member, limits, report, groups)
    return all(folder.weights(plan, member) is not None for member in range(len(plan.parts)))


def _train_member(
    plan: TrainingPlan, folder: RunFolder, member: int, limits: Limits, report: Report, groups: _DrawnGroups
) -> None:
    history = _history(plan, folder, member)
    goal = min(plan.epochs, limits.stop_after or plan.epochs)
    last = history[-1] if history else None
    report(MemberProgress(member, len(history), plan.epochs, last, resumed=True))
    # Killed between the last epoch and the average with the start, a member has all its epochs and no result.
    if len(history) >= goal and (goal < plan.epochs or folder.weights(plan, member) is not None):
        return
    log = EventLog(folder.logs(member), history)

    def on_epoch(stage_start: int, record: EpochRecord) -> None:
        record = replace(record, epoch=stage_start + record.epoch)
        log.add(record)
        report(MemberProgress(member, record.epoch, plan.epochs, record))

    try:
        start = 0
        for stage, recipe in enumerate(plan.stages):
            if goal > start:
                _train_stage(
                    plan, folder, member, stage, goal - start, limits, groups, on_epoch=_after(start, on_epoch)
                )
            start += recipe.epochs
    finally:
        log.close()


def _after(start: int, on_epoch: Callable[[int, EpochRecord], None]) -> Callable[[EpochRecord], None]:
    return lambda record: on_epoch(start, record)


def _train_stage(
    plan: TrainingPlan,
    folder: RunFolder,
    member: int,
    stage: int,
    epochs: int,
    limits: Limits,
    groups: _DrawnGroups,
    on_epoch: Callable[[EpochRecord], None],
) -> None:
    # Keras loads its backend when it is imported.
    from training.data.slices import build_group, join_pool
    from training.fit.fit import Pools, fit_member
    from training.fit.validation import build_validation

    recipe, checkpoint = plan.stages[stage], folder.checkpoint(plan, member, stage)
    if checkpoint.finished_epochs() >= min(recipe.epochs, epochs) and (
        epochs < recipe.epochs or (checkpoint.folder / recipe.result_file).exists()
    ):
        return
    mixed = join_pool(build_group(plan.seen_by(member), recipe), groups.of(stage), recipe)
    fit_member(
        Pools(mixed.real_only(), mixed),
        recipe,
        plan.seed_of(member, stage),
        checkpoint.folder,
        stop_after=min(recipe.epochs, epochs),
        initial=_initial(plan, folder, member, stage),
        validation=build_validation(plan.validation_of(member), recipe, limits.validation_cases),
        on_epoch=on_epoch,
    )


def _initial(plan: TrainingPlan, folder: RunFolder, member: int, stage: int) -> list[Any] | None:
    """What a stage begins with, without an optimizer's state: the result of the stage before, or the plan's start."""
    from training.fit.fit import load_network

    if not stage:
        return None if plan.start is None else plan.start.weights(member)
    stage -= 1
    recipe = plan.stages[stage]
    return list(load_network(recipe, folder.checkpoint(plan, member, stage).folder / recipe.result_file).get_weights())


def _history(plan: TrainingPlan, folder: RunFolder, member: int) -> list[EpochRecord]:
    """Records of all finished epochs of a member, counted over all stages."""
    found: list[EpochRecord] = []
    for stage in range(len(plan.stages)):
        checkpoint = folder.checkpoint(plan, member, stage)
        checkpoint.finished_epochs()  # weights that are gone are an error now, not after hours of the next stage
        found += [replace(record, epoch=len(found) + 1 + index) for index, record in enumerate(checkpoint.history())]
    return found


class _DrawnGroups:
    """The drawn scans as slices, made once for all members and for all stages that want them alike."""

    def __init__(self, plan: TrainingPlan) -> None:
        self._plan = plan
        self._made: dict[tuple[Any, ...], Any] = {}

    def of(self, stage: int) -> Any:
        recipe = self._plan.stages[stage]
        if not self._plan.drawn or recipe.synthetic_share == 0:
            return None
        wanted = (recipe.preprocessing, recipe.target, recipe.empty_slice_weight)
        if wanted not in self._made:
            from training.data.slices import build_group

            self._made = {wanted: build_group(self._plan.drawn, recipe, is_drawn=True)}  # one of them fits in memory
        return self._made[wanted]


def final_records(plan: TrainingPlan, folder: RunFolder, members: Sequence[int]) -> dict[int, EpochRecord | None]:
    """The last record of each member."""
    histories = {member: _history(plan, folder, member) for member in members}
    return {member: history[-1] if history else None for member, history in histories.items()}
