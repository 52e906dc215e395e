"""Train the anatomy network: `python -m training.bundle.anatomy.fit`. A killed run goes on from its last checkpoint."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Final

import cv2
import numpy as np
import typer
from numpy.typing import NDArray

from segmentation.anatomy import PARTS
from segmentation.networks.specification import NetworkSpecification
from training.bundle.anatomy.slices import AnatomySlices, join, of_drawn, of_real
from training.data.cases import load_cases
from training.data.folds import FOLD_SEED, FOLDS, leave_patients_out, shared_patients
from training.data.ignored import UNKNOWN
from training.files import write_whole
from training.fit.backend import choose_backend, prepare_backend
from training.synthesis.stream import scan_files

# Without dropout: before batch normalisation it gave so narrow a network other statistics in use than in training.
SPECIFICATION: Final = NetworkSpecification(
    squeeze_excitation=False, variant="text", width=0.25, size=128, outputs=len(PARTS)
)
WEIGHTS_NAME: Final = "weights.weights.h5"
BATCH: Final = 16
_SAVE_EVERY: Final = 100
_THIN_STEP: Final = 5  # slices of 1 mm are much alike
_EPSILON: Final = 1.0

# Keras, and what imports it, is imported where it is used: it takes seconds, and reads the number of threads.

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__)


def masked_loss(labels: Any, probabilities: Any) -> Any:
    """Cross-entropy and 1 - Dice of each part, over the voxels whose truth is known (labels 0 and 1, not -1).

    Cross-entropy counts little: weighted by the number of parts it drove the ventricles, a hundredth of a slice, to 0.
    """
    from keras import ops

    labels = ops.cast(labels, "float32")
    known = ops.cast(labels > UNKNOWN + 0.5, "float32")
    truth = labels * known
    safe = ops.clip(probabilities, 1e-6, 1 - 1e-6)
    entropy = -(truth * ops.log(safe) + (1 - truth) * ops.log(1 - safe)) * known
    axes = (0, 1, 2)
    overlap = ops.sum(truth * safe, axes)
    dice = (2 * overlap + _EPSILON) / (ops.sum(truth, axes) + ops.sum(safe * known, axes) + _EPSILON)
    return ops.sum(entropy) / (ops.sum(known) + 1) + ops.mean(1 - dice)


class Mixture:
    """Batches of drawn and real slices; the drawn scans that have come since are read every so often."""

    def __init__(self, scans: Path, real: AnatomySlices | None, real_share: float, most_scans: int) -> None:
        self._folder, self._real, self._share, self._most = scans, real, real_share, most_scans
        self._read: dict[Path, AnatomySlices] = {}
        self._drawn: AnatomySlices | None = None
        self.refresh()

    def refresh(self, at_once: int = 60) -> None:
        """Read up to `at_once` scans that were not read before; the oldest give way."""
        fresh = [path for path in scan_files(self._folder) if path not in self._read][:at_once]
        for path in fresh:
            self._read[path] = of_drawn(path, SPECIFICATION.size)
        while len(self._read) > self._most:
            del self._read[next(iter(self._read))]
        if fresh:
            self._drawn = join(list(self._read.values()))

    def __len__(self) -> int:
        return sum(len(part) for part in self._read.values()) + (len(self._real) if self._real is not None else 0)

    def batch(self, generator: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Images (batch, size, size, 1) and labels (batch, size, size, part)."""
        assert self._drawn is not None
        images, labels = [], []
        for _ in range(BATCH):
            is_real = self._real is not None and generator.random() < self._share
            source = self._real if is_real and self._real is not None else self._drawn
            index = int(generator.integers(len(source)))
            image, label = vary(source.images[index].astype(np.float32), source.labels[index], is_real, generator)
            images.append(image)
            labels.append(label)
        return np.stack(images)[..., None], np.stack(labels).astype(np.float32)


def vary(
    image: NDArray[np.float32], label: NDArray[np.int8], is_real: bool, generator: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.int8]]:
    """One random variant of a slice: mirrored (left and right with it), moved, its level wrong by up to a fifth."""
    if generator.random() < 0.5:
        image, label = image[:, ::-1], label[:, ::-1].copy()
        side, brain = PARTS.index("left"), PARTS.index("brain")
        known = label[..., side] != UNKNOWN
        label[known, side] = label[known, brain] - label[known, side]
    size = len(image)
    reach = 12.0 if is_real else 5.0
    scale = float(np.exp(generator.normal(0, 0.08)))
    move = cv2.getRotationMatrix2D((size / 2, size / 2), float(generator.normal(0, reach)), scale)
    move[:, 2] += generator.normal(0, 4, 2)
    moved = cv2.warpAffine(np.ascontiguousarray(image), move, (size, size), borderValue=-1.0)
    # Nearest places: labels are no numbers. What comes from outside the image is no part of the head.
    turned = np.stack([_moved(label[..., part], move) for part in range(label.shape[-1])], axis=-1)
    level = float(np.exp(generator.normal(0, 0.12)))
    unit = np.clip((moved + 1) / 2.5, 0, 1) ** float(np.exp(generator.normal(0, 0.15)))
    varied = np.clip(unit * 2.5 * level, 0, 2.5) - 1
    if is_real:
        varied = varied + np.float32(generator.uniform(0, 0.06)) * generator.standard_normal(varied.shape, np.float32)
    return varied.astype(np.float32), turned


def _moved(label: NDArray[np.int8], move: NDArray[np.float64]) -> NDArray[np.int8]:
    size = len(label)
    counted = (label - UNKNOWN).astype(np.uint8)
    moved = cv2.warpAffine(counted, move, (size, size), flags=cv2.INTER_NEAREST, borderValue=-UNKNOWN)
    return np.asarray(moved.astype(np.int8) + UNKNOWN, np.int8)


@app.command()
def fit(
    scans: Annotated[Path, typer.Option(help="folder of drawn scans (training.synthesis.stream)")],
    out: Annotated[Path, typer.Option(help="folder of the checkpoint")],
    steps: Annotated[int, typer.Option(help="batches of 16 slices in all")] = 4000,
    data: Annotated[Path | None, typer.Option(help="folder of labelled cases")] = None,
    stripped: Annotated[Path | None, typer.Option(help="folder of labelled cases without skull")] = None,
    fold: Annotated[int, typer.Option(help="fold whose patients are left out; -1: none")] = -1,
    start: Annotated[Path | None, typer.Option(help="weights to begin with, .h5 or .npz")] = None,
    rate: Annotated[float, typer.Option(help="highest learning rate")] = 2e-3,
    real_share: Annotated[float, typer.Option(help="share of the slices that are of real scans")] = 0.35,
    most_scans: Annotated[int, typer.Option(help="drawn scans held in memory")] = 900,
    threads: Annotated[int, typer.Option(help="processor threads")] = 1,
) -> None:
    """Train; `out`/weights.weights.h5 is the last checkpoint."""
    prepare_backend(choose_backend(), threads)
    import keras

    from segmentation.networks.unet import build_network

    keras.utils.set_random_seed(7 + fold)
    mixture = Mixture(scans, _real(data, stripped, fold), real_share if data else 0.0, most_scans)
    model = build_network(SPECIFICATION, seed=7)
    schedule = keras.optimizers.schedules.CosineDecay(rate / 10, steps, warmup_target=rate, warmup_steps=steps // 20)
    model.compile(keras.optimizers.Adam(schedule), masked_loss, jit_compile=False)
    model.optimizer.build(model.trainable_variables)
    done = _restore(out, model, start)
    model.optimizer.iterations.assign(done)  # the rate goes on where it was
    typer.echo(f"{done} of {steps}: {len(mixture)} slices, {model.count_params()} parameters")
    losses: list[float] = []
    while done < steps:
        x, y = mixture.batch(np.random.default_rng((fold + 1, done)))
        losses.append(float(model.train_on_batch(x, y)))
        done += 1
        if done % _SAVE_EVERY == 0 or done == steps:
            _save(out, model, done, float(np.mean(losses)))
            typer.echo(f"{done} of {steps}: loss {np.mean(losses):.4f}")
            losses.clear()
            mixture.refresh()


def _real(data: Path | None, stripped: Path | None, fold: int) -> AnatomySlices | None:
    if data is None:
        return None
    cases = load_cases(data, shared_patients())
    held_out = leave_patients_out(cases, FOLDS, FOLD_SEED)[fold] if fold >= 0 else ()
    seen = [of_real(case, SPECIFICATION.size) for case in cases if case.patient not in held_out]
    if stripped is not None:
        thin = [of_real(case, SPECIFICATION.size, is_stripped=True) for case in load_cases(stripped)]
        seen += [AnatomySlices(slices.images[::_THIN_STEP], slices.labels[::_THIN_STEP]) for slices in thin]
    return join(seen)


def _save(out: Path, model: Any, done: int, loss: float) -> None:
    out.mkdir(parents=True, exist_ok=True)
    partial = out / "partial.weights.h5"
    model.save_weights(partial)
    partial.replace(out / WEIGHTS_NAME)
    # A third of the size, without the optimizer: for a training that goes on from it on another machine.
    np.savez(out / "weights.npz", *(weights.astype(np.float16) for weights in model.get_weights()))
    write_whole(out / "state.json", json.dumps({"steps": done, "loss": loss}))


def _restore(out: Path, model: Any, start: Path | None) -> int:
    if (out / "state.json").exists():
        model.load_weights(out / WEIGHTS_NAME)
        return int(json.loads((out / "state.json").read_text())["steps"])
    if start is not None:
        from segmentation.networks.unet import build_network

        if start.suffix == ".npz":
            with np.load(start, allow_pickle=False) as found:
                model.set_weights([found[f"arr_{index}"].astype(np.float32) for index in range(len(found.files))])
            return 0
        first = build_network(SPECIFICATION)
        first.load_weights(start)
        model.set_weights(first.get_weights())
    return 0


if __name__ == "__main__":
    app()
