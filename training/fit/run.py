"""Carry a plan out: member after member, stage after stage, each epoch on disk before the next one begins."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from training.data.cases import Case
from training.data.presets import Recipe
from training.data.slice_store import SliceStore, Wanted, key_of
from training.data.slices import build_pool
from training.errors import BadRecipe
from training.fit.backend import Backend
from training.fit.checkpoint import EpochRecord
from training.fit.event_log import EventLog
from training.fit.plan import TrainingPlan
from training.fit.progress import MemberProgress, OnEpoch, OnStep, Report
from training.fit.run_folder import RunFolder

VALIDATION_CASES: Final = 8


@dataclass(frozen=True)
class PlanPart:
    """How much of a plan to carry out now; the same command goes on with the rest.

    Attributes:
        only: members to train; None: all.
        stop_after: end each member after so many epochs over all stages; None: all.
        validation_cases: at most so many cases are scored after each epoch; 0: none.
    """

    only: tuple[int, ...] | None = None
    stop_after: int | None = None
    validation_cases: int = VALIDATION_CASES


def train(
    plan: TrainingPlan,
    folder: RunFolder,
    backend: Backend,
    part: PlanPart,
    report: Report,
    store: SliceStore | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
    processes: int | None = None,
) -> bool:
    """Train what is not finished yet; returns whether every member of the plan now is.

    `training.fit.backend.prepare_backend` comes first.

    Args:
        plan: what is trained.
        folder: of the run.
        backend: as prepared.
        part: how much of it now.
        report: hears of each epoch.
        store: of the preprocessed slices; None: one in the run's folder.
        progress: called with (cases preprocessed, cases in all).
        processes: that preprocess, see `SliceStore.fill`.

    Raises:
        OtherRun: the folder belongs to another training, or another process trains the member.
        NotSaved: a full disk; the last good checkpoint is there, and the same command goes on from it.
        BadRecipe: members that the plan does not have, or a loss that is NaN.
    """
    members = range(len(plan.parts)) if part.only is None else part.only
    if unknown := sorted(set(members) - set(range(len(plan.parts)))):
        raise BadRecipe(f"--only-members: expected members 0 to {len(plan.parts) - 1}, got {unknown[0]}")
    folder.open(plan, backend)
    store = store or SliceStore(folder.slices)
    work = _Work(plan, folder, part, store)
    store.fill(work.wanted(members), progress, processes)
    for member in members:
        with folder.locked(member):
            _train_member(work, member, report)
    return all(folder.weights(plan, member) is not None for member in range(len(plan.parts)))


@dataclass(frozen=True)
class _Work:
    """What all members share."""

    plan: TrainingPlan
    folder: RunFolder
    part: PlanPart
    store: SliceStore

    def goal(self) -> int:
        """Epochs of a member over all stages, in this call and those before."""
        return min(self.plan.epochs, self.part.stop_after or self.plan.epochs)

    def is_done(self, member: int, stage: int, epochs: int) -> bool:
        """Whether a stage has so many epochs, and its result where these are all."""
        recipe, checkpoint = self.plan.stages[stage], self.folder.checkpoint(self.plan, member, stage)
        return checkpoint.finished_epochs() >= min(recipe.epochs, epochs) and (
            epochs < recipe.epochs or (checkpoint.folder / recipe.result_file).exists()
        )

    def wanted(self, members: Sequence[int]) -> list[Wanted]:
        """Slices of all stages that these members still have to go through, each once."""
        found: dict[str, Wanted] = {}
        for member in members:
            start = 0
            for stage, recipe in enumerate(self.plan.stages):
                if self.goal() > start and not self.is_done(member, stage, self.goal() - start):
                    real = [Wanted(case, recipe, None) for case in self.plan.seen_by(member)]
                    drawn = [Wanted(case, recipe, number) for number, case in enumerate(self.drawn(recipe))]
                    found |= {key_of(item): item for item in (*real, *drawn)}
                start += recipe.epochs
        return list(found.values())

    def drawn(self, recipe: Recipe) -> Sequence[Case]:
        """The drawn scans that a stage looks at."""
        return self.plan.drawn if recipe.synthetic_share else ()


def _train_member(work: _Work, member: int, report: Report) -> None:
    plan, folder, goal = work.plan, work.folder, work.goal()
    history = _history(plan, folder, member)
    last = history[-1] if history else None
    report(MemberProgress(member, len(history), plan.epochs, last, resumed=True))
    # Killed between the last epoch and the average with the start, a member has all its epochs and no result.
    if len(history) >= goal and (goal < plan.epochs or folder.weights(plan, member) is not None):
        return
    log = EventLog(folder.logs(member), history)
    stand: dict[str, Any] = {"epoch": len(history), "last": last}

    def on_epoch(stage_start: int, record: EpochRecord) -> None:
        record = replace(record, epoch=stage_start + record.epoch)
        log.add(record)
        stand.update(epoch=record.epoch, last=record)
        report(MemberProgress(member, record.epoch, plan.epochs, record))

    def on_step(done: int, steps: int, loss: float) -> None:
        report(MemberProgress(member, stand["epoch"], plan.epochs, stand["last"], part=done / steps, loss=loss))

    try:
        start = 0
        for stage, recipe in enumerate(plan.stages):
            if goal > start:
                _train_stage(work, member, stage, goal - start, _after(start, on_epoch), on_step)
            start += recipe.epochs
    finally:
        log.close()


def _after(start: int, on_epoch: Callable[[int, EpochRecord], None]) -> Callable[[EpochRecord], None]:
    return lambda record: on_epoch(start, record)


def _train_stage(work: _Work, member: int, stage: int, epochs: int, on_epoch: OnEpoch, on_step: OnStep) -> None:
    # Keras loads its backend when it is imported.
    from training.fit.fit import Pools, fit_member
    from training.fit.validation import build_validation

    if work.is_done(member, stage, epochs):
        return
    plan, folder = work.plan, work.folder
    recipe = plan.stages[stage]
    mixed = build_pool(plan.seen_by(member), work.drawn(recipe), recipe, work.store)
    fit_member(
        Pools(mixed.real_only(), mixed),
        recipe,
        plan.seed_of(member, stage),
        folder.checkpoint(plan, member, stage).folder,
        stop_after=min(recipe.epochs, epochs),
        initial=_initial(plan, folder, member, stage),
        validation=build_validation(plan.validation_of(member), recipe, work.part.validation_cases),
        on_epoch=on_epoch,
        on_step=on_step,
    )


def _initial(plan: TrainingPlan, folder: RunFolder, member: int, stage: int) -> list[Any] | None:
    """What a stage begins with, without an optimizer's state: the result of the stage before, or the plan's start."""
    from training.fit.trained_network import load_network

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


def final_records(plan: TrainingPlan, folder: RunFolder, members: Sequence[int]) -> dict[int, EpochRecord | None]:
    """The last record of each member."""
    histories = {member: _history(plan, folder, member) for member in members}
    return {member: history[-1] if history else None for member, history in histories.items()}
