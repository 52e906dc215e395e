"""RUN: the folder of one training.

run.json          what is trained: recipe, seed, split, patients of each member, backend, software; made first
member-K/         checkpoint of member K (from 0); a stage before the last has a folder of its own in it
logs/member-K/    TensorBoard
case-facts.json   what was found in each case (`training.data.facts_index`)
cases/            cases converted from DICOM, where there are any
synthetic/        scans drawn from label maps, where --synthetic names these
slices/           preprocessed slices (`training.data.slice_store`), unless --store names another folder
bundle/           the model, once all members are finished
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

from training.data.recipe_settings import as_document, differences
from training.errors import NotSaved, OtherRun
from training.files import alone_with, write_whole
from training.fit.checkpoint import Checkpoint
from training.fit.plan import TrainingPlan, cohort_summary

SCHEMA: Final = 1
_LOCK: Final = ".lock"
_PACKAGES: Final = {
    "tensorflow": ("keras", "tensorflow-cpu", "tensorflow", "numpy", "scipy"),
    "jax": ("keras", "jax", "jaxlib", "numpy", "scipy"),
}
# More than one changed field is listed, but not a page of them.
_MOST_DIFFERENCES: Final = 5


@dataclass(frozen=True)
class RunFolder:
    """Paths of a run, and the promise that its folder holds one training only."""

    path: Path

    @property
    def record(self) -> Path:
        """run.json."""
        return self.path / "run.json"

    @property
    def bundle(self) -> Path:
        """The model."""
        return self.path / "bundle"

    @property
    def slices(self) -> Path:
        """Preprocessed slices; may be deleted once the run is finished."""
        return self.path / "slices"

    def logs(self, member: int) -> Path:
        """TensorBoard's folder of a member."""
        return self.path / "logs" / f"member-{member}"

    def member(self, member: int) -> Path:
        """Folder of a member's last stage."""
        return self.path / f"member-{member}"

    def checkpoint(self, plan: TrainingPlan, member: int, stage: int) -> Checkpoint:
        """Checkpoint of one stage of a member."""
        last = stage == len(plan.stages) - 1
        folder = self.member(member)
        return Checkpoint(folder if last else folder / plan.stages[stage].name)

    def weights(self, plan: TrainingPlan, member: int) -> Path | None:
        """Final weights of a member; None while it is not finished."""
        checkpoint = self.checkpoint(plan, member, len(plan.stages) - 1)
        result = checkpoint.folder / plan.recipe.result_file
        return result if checkpoint.finished_epochs() >= plan.recipe.epochs and result.exists() else None

    @contextmanager
    def alone(self) -> Iterator[None]:
        """What the members share (run.json, bundle) is made by one process at a time; the next one waits.

        Raises:
            NotSaved: the folder cannot be made.
        """
        with ExitStack() as stack:
            try:
                self.path.mkdir(parents=True, exist_ok=True)
                stack.enter_context(alone_with(self.path / _LOCK))
            except OSError as error:
                raise NotSaved(f"{self.path.name}/ could not be written: {error.strerror}") from error
            yield

    def open(self, plan: TrainingPlan, backend: str) -> None:
        """Write run.json, or make sure that the one there says the same.

        Raises:
            OtherRun: the folder belongs to another training: the differences are named.
            NotSaved: it cannot be written.
        """
        with self.alone():
            self._open(plan, backend)

    def _open(self, plan: TrainingPlan, backend: str) -> None:
        inputs = plan.inputs() | {"backend": backend}
        if self.record.exists():
            self._refuse_other(inputs)
            return
        if any(self.path.glob("member-*")):
            raise OtherRun(
                f"{self.path.name}/ has members but no run.json: it was not made by `train`; choose another --out"
            )
        document = {
            "schema": SCHEMA,
            "recipe": as_document(plan.recipe),
            "seed": plan.seed,
            "scheme": plan.scheme,
            "target": plan.recipe.target,
            "backend": backend,
            "software": software(backend),
            "cohort": cohort_summary(plan),
            "split": {case.name: case.split for case in plan.cases},
            "patients": plan.patients(),
            "members": [
                {"member": index, "seed": plan.seed_of(index, len(plan.stages) - 1)}
                | asdict(part)
                | ({} if plan.start is None else {"seen_before": sorted(plan.start.seen[index])})
                for index, part in enumerate(plan.parts)
            ],
            "inputs": inputs,
        }
        try:
            write_whole(self.record, json.dumps(document, indent=2, ensure_ascii=False) + "\n")
        except OSError as error:
            raise NotSaved(f"{self.path.name}/run.json could not be written: {error.strerror}") from error

    def _refuse_other(self, inputs: dict[str, Any]) -> None:
        try:
            found = json.loads(self.record.read_text(encoding="utf-8"))["inputs"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise OtherRun(f"{self.path.name}/run.json cannot be read; choose another --out") from error
        changed = differences(found, json.loads(json.dumps(inputs)))
        changed.sort(key=lambda field: field.startswith("cases."))  # another seed changes the cases' parts too
        if changed:
            more = f" and {len(changed) - _MOST_DIFFERENCES} more" if len(changed) > _MOST_DIFFERENCES else ""
            raise OtherRun(
                f"{self.path.name}/ holds another training, which this one would damage; differences: "
                f"{'; '.join(changed[:_MOST_DIFFERENCES])}{more}. Repeat the same command to continue it, or choose "
                "another --out"
            )

    @contextmanager
    def locked(self, member: int) -> Iterator[None]:
        """One process trains a member; the lock goes with the process, however it ends.

        Raises:
            OtherRun: another one does already.
            NotSaved: the folder cannot be made.
        """
        folder = self.member(member)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock = (folder / "lock").open("w")
        except OSError as error:
            raise NotSaved(f"{folder.name}/ could not be written: {error.strerror}") from error
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise OtherRun(
                    f"{folder.name} is being trained by another process; leave it out (--only-members)"
                ) from error
            yield


def software(backend: str) -> dict[str, str]:
    """Package -> version of what trains."""
    found = {}
    for package in _PACKAGES[backend]:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
