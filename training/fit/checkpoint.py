"""Where a member's fit stands on disk: after a kill, a full disk or a power cut the last finished epoch is there."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from training.errors import CheckpointLost, NotSaved
from training.files import ask_for_room, sync, write_whole

_PARTIAL: Final = "partial.weights.h5"  # Keras insists on the ending
_BYTES_A_NUMBER: Final = 4
# What HDF5 and Keras's groups cost beside the numbers (seen: 500), generous: too little asked ends in a crash.
_BYTES_A_DATASET: Final = 2048


@dataclass(frozen=True)
class EpochRecord:
    """One finished epoch.

    Attributes:
        epoch: counted from 1.
        loss: mean over the epoch's batches.
        validation_dsc: mean over the validation cases; None where there are none.
    """

    epoch: int
    loss: float
    validation_dsc: float | None = None


@dataclass(frozen=True)
class Checkpoint:
    """A folder with the weights and optimizer state of the last finished epoch, and state.json that names them.

    state.json: `epochs`, `weights` (file name) and `history` (one EpochRecord an epoch; absent in older folders).
    """

    folder: Path

    @property
    def name(self) -> str:
        """The member, and where it has several the stage, for a message."""
        parent = self.folder.parent.name
        return f"{parent}/{self.folder.name}" if parent.startswith("member-") else self.folder.name

    @property
    def _state(self) -> Path:
        return self.folder / "state.json"

    def finished_epochs(self) -> int:
        """Epochs whose weights are on disk.

        Raises:
            CheckpointLost: state.json cannot be read, or names weights that are gone.
        """
        if not self._state.exists():
            return 0
        epochs = int(self._read()["epochs"])
        if not self.weights(epochs).exists():
            raise self._lost(f"{self.weights(epochs).name} is missing")
        return epochs

    def history(self) -> tuple[EpochRecord, ...]:
        """What was recorded of each finished epoch, oldest first; empty for folders of older versions."""
        return (
            tuple(EpochRecord(**record) for record in self._read().get("history", ())) if self._state.exists() else ()
        )

    def weights(self, epochs: int) -> Path:
        """Weights after that many epochs."""
        return self.folder / f"epoch-{epochs:03d}.weights.h5"

    def restore(self, model: Any) -> int:
        """Load the last good weights and optimizer state into a compiled model; returns its finished epochs.

        Raises:
            CheckpointLost: the file cannot be read, or is of another network.
        """
        epochs = self.finished_epochs()
        if epochs:
            try:
                model.load_weights(self.weights(epochs))
            except (OSError, RuntimeError, ValueError, KeyError) as error:
                raise self._lost(f"{self.weights(epochs).name} cannot be read ({type(error).__name__})") from error
        return epochs

    def save(self, model: Any, epochs: int, history: Sequence[EpochRecord] = ()) -> None:
        """Weights first, each file and the folder synced, then the state that names them: a kill leaves a good pair.

        Raises:
            NotSaved: the disk is full or failing; the checkpoint before is still there.
        """
        try:
            self._write_weights(model, self.weights(epochs))
            self._write_state(epochs, history)
        except (OSError, RuntimeError) as error:  # HDF5 reports a full disk as either
            self._drop_others(self._named())
            raise NotSaved(self._not_saved(f"epoch {epochs}", error)) from error
        self._drop_others(self.weights(epochs))

    def save_result(self, model: Any, name: str) -> None:
        """What is made of the last epoch's weights, whole or not at all, beside them.

        Raises:
            NotSaved: the disk is full or failing; the last epoch is still there.
        """
        try:
            self._write_weights(model, self.folder / name)
        except (OSError, RuntimeError) as error:
            raise NotSaved(self._not_saved(name, error)) from error

    def _write_weights(self, model: Any, target: Path) -> None:
        partial = self.folder / _PARTIAL
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._ask_for_room(model)
            model.save_weights(partial)
            sync(partial)
            partial.replace(target)
            sync(self.folder)
        finally:
            partial.unlink(missing_ok=True)

    def _ask_for_room(self, model: Any) -> None:
        """Reserve the disk that the file will need and give it back: HDF5 may end the process when a write fails.

        Raises:
            OSError: there is not so much.
        """
        optimizer = getattr(model, "optimizer", None)
        variables = [*model.weights, *(optimizer.variables if optimizer is not None else ())]
        needed = sum(math.prod(variable.shape) * _BYTES_A_NUMBER + _BYTES_A_DATASET for variable in variables)
        ask_for_room(self.folder, needed)

    def _write_state(self, epochs: int, history: Sequence[EpochRecord]) -> None:
        state = {
            "epochs": epochs,
            "weights": self.weights(epochs).name,
            "history": [asdict(record) for record in history],
        }
        write_whole(self._state, json.dumps(state))

    def _read(self) -> dict[str, Any]:
        try:
            state = json.loads(self._state.read_text(encoding="utf-8"))
            int(state["epochs"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise self._lost(f"state.json cannot be read ({type(error).__name__})") from error
        return dict(state)

    def _named(self) -> Path | None:
        return self.weights(int(self._read()["epochs"])) if self._state.exists() else None

    def _drop_others(self, kept: Path | None) -> None:
        for old in self.folder.glob("epoch-*.weights.h5"):
            if old != kept:
                old.unlink()

    def _lost(self, what: str) -> CheckpointLost:
        return CheckpointLost(
            f"{self.name}: {what}; delete state.json and epoch-*.weights.h5 in that folder (not the folders in it) to "
            "train this again"
        )

    def _not_saved(self, what: str, error: Exception) -> str:
        named = self._named()
        last = "no epoch was saved before" if named is None else f"the last good checkpoint is {named.name}"
        return (
            f"{self.name}: {what} could not be saved ({_reason(error)}); {last}. Free space on the disk and run the "
            "same command again: it continues from there"
        )


def _reason(error: Exception) -> str:
    # h5py keeps the number, but words it as HDF5 does.
    number = getattr(error, "errno", None)
    return os.strerror(number) if number else f"{type(error).__name__}: {str(error).splitlines()[0][:200]}"
