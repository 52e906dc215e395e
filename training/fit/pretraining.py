"""Pretrain one WMH network for all members: `python -m training.fit.pretraining`. A killed run goes on where it was.

It sees drawn scans only (`training.synthesis.stream`): no real patient's label is in it, so that every fold may begin
from it. The input is that of `segmentation.preprocessing.masked`, with the drawn brain mask made a little wrong, as a
network's is. Scans are used while others are drawn; each is shown a few times.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
import typer
from numpy.typing import NDArray

from segmentation.networks.specification import NetworkSpecification
from segmentation.preprocessing.masked import LOWEST, grown, masked_images
from segmentation.runtimes.processor import trains_in_bfloat16
from training.data.augmentation import AugmentationSettings, augment_brain
from training.files import write_whole
from training.fit.backend import choose_backend, prepare_backend
from training.synthesis.coded_head import Part
from training.synthesis.stream import read_scan, scan_files

SPECIFICATION: Final = NetworkSpecification(width=0.5)
"""Of a member, which sees whole slices; the pretraining sees crops of them."""
CROP: Final = 160
BATCH: Final = 8
_SAVE_EVERY: Final = 50
_EMPTY_WEIGHT: Final = 0.4
_MOST_SCANS: Final = 500
_WARM_UP: Final = 400
_STEPS: Final = "steps"
_AUGMENTATION: Final = AugmentationSettings(gamma=0.2, contrast=0.15, brightness=0.15, noise=0.08, bias_field=0.12)

Slices = tuple[NDArray[np.float16], NDArray[np.bool_]]

# Keras, and what imports it, is imported where it is used: it takes seconds, and reads the number of threads.

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__)


def slices_of(path: Path) -> Slices:
    """The slices of a drawn scan that hold brain: input float16 and WMH bool, (slice, row, column)."""
    scan = read_scan(path)
    generator = np.random.default_rng(int(path.stem.split("-")[1]))
    brain = (scan.parts & Part.BRAIN) > 0
    kept = brain.sum(axis=(1, 2)) > CROP
    pixel_mm = scan.spacing_mm[1]
    marked = grown(brain[kept], generator.uniform(-2.0, 2.0) / pixel_mm)
    return masked_images(scan.flair[kept], marked, pixel_mm).astype(np.float16), scan.wmh[kept]


class Drawn:
    """Crops of the scans drawn so far."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._scans: dict[Path, Slices] = {}
        self._places: list[tuple[Path, int]] = []
        self._weights: NDArray[np.float64] = np.zeros(0)
        self.refresh(200)

    def refresh(self, at_once: int = 20) -> None:
        """Read scans that were not read before; the oldest give way."""
        for path in [path for path in scan_files(self._folder) if path not in self._scans][:at_once]:
            self._scans[path] = slices_of(path)
        while len(self._scans) > _MOST_SCANS:
            del self._scans[next(iter(self._scans))]
        self._places = [(path, index) for path, (images, _) in self._scans.items() for index in range(len(images))]
        weights = [np.where(wmh.any(axis=(1, 2)), 1.0, _EMPTY_WEIGHT) for _, wmh in self._scans.values()]
        joined = np.concatenate(weights)
        self._weights = joined / joined.sum()

    def batch(self, generator: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Images and labels (batch, CROP, CROP, 1)."""
        chosen = generator.choice(len(self._places), BATCH, p=self._weights)
        pairs = [self._crop(self._places[index], generator) for index in chosen]
        return np.stack([image for image, _ in pairs])[..., None], np.stack([label for _, label in pairs])[..., None]

    def _crop(self, place: tuple[Path, int], generator: np.random.Generator) -> tuple[Any, Any]:
        path, index = place
        images, wmh = self._scans[path]
        image, label = images[index].astype(np.float32), wmh[index].astype(np.float32)
        window = _window_on_brain(image > LOWEST, generator)
        return augment_brain(image, label, _AUGMENTATION, generator, window)


def _window_on_brain(brain: NDArray[np.bool_], generator: np.random.Generator) -> tuple[slice, slice]:
    """A square that holds a random pixel of the brain about its middle."""
    places = np.argwhere(brain)
    row, column = places[generator.integers(len(places))] if len(places) else (len(brain) // 2, len(brain) // 2)
    top, left = (int(np.clip(at - CROP // 2, 0, len(brain) - CROP)) for at in (row, column))
    return slice(top, top + CROP), slice(left, left + CROP)


@app.command()
def pretrain(
    scans: Annotated[Path, typer.Option(help="folder of drawn scans; it may still grow")],
    out: Annotated[Path, typer.Option(help="folder of the checkpoint")],
    steps: Annotated[int, typer.Option(help="batches of 8 crops in all")] = 37500,
    rate: Annotated[float, typer.Option(help="highest learning rate")] = 1.5e-3,
    threads: Annotated[int, typer.Option(help="processor threads")] = 2,
    compute: Annotated[
        str, typer.Option(help="Keras dtype policy; auto: bfloat16 where the processor has instructions for it")
    ] = "auto",
    start: Annotated[Path | None, typer.Option(help="npz of `export`, to go on from on another machine")] = None,
) -> None:
    """Train; the rate falls over `steps` as a cosine. state.json counts the steps."""
    prepare_backend(choose_backend(), threads)
    import keras

    from training.fit.losses import dice_and_cross_entropy

    keras.utils.set_random_seed(13)
    if compute == "auto":
        compute = "mixed_bfloat16" if trains_in_bfloat16() else "float32"
    keras.config.set_dtype_policy(compute)
    model = build()
    schedule = keras.optimizers.schedules.CosineDecay(rate / 10, steps, warmup_target=rate, warmup_steps=_WARM_UP)
    model.compile(keras.optimizers.Adam(schedule), dice_and_cross_entropy, jit_compile=False)
    model.optimizer.build(model.trainable_variables)
    done = _restore(out, model, start)
    model.optimizer.iterations.assign(done)  # the rate goes on where it was
    drawn, losses = Drawn(scans), []
    typer.echo(f"{done} of {steps}")
    while done < steps:
        images, labels = drawn.batch(np.random.default_rng((13, done)))
        losses.append(float(model.train_on_batch(images, labels)))
        done += 1
        if done % _SAVE_EVERY == 0 or done == steps:
            _save(out, model, done)
            typer.echo(f"{done} of {steps}: loss {np.mean(losses):.4f}")
            losses.clear()
            drawn.refresh()


@app.command()
def export(
    out: Annotated[Path, typer.Option(help="folder of the checkpoint")],
    file: Annotated[Path, typer.Option(help="npz to write: weights float16, and the steps done")],
) -> None:
    """Write the weights small enough for the repository; the optimizer begins again from them."""
    model = build()
    model.load_weights(out / "weights.weights.h5")
    arrays: dict[str, Any] = {
        f"w{index:03d}": weights.astype(np.float16) for index, weights in enumerate(model.get_weights())
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    steps = json.loads((out / "state.json").read_text())["steps"]
    arrays[_STEPS] = np.asarray(steps)
    np.savez(file, **arrays)


def build(size: int = CROP) -> Any:
    """The network of one member."""
    from segmentation.networks.unet import build_network

    return build_network(replace(SPECIFICATION, size=size), seed=13)


def exported_weights(file: Path) -> list[NDArray[np.float32]]:
    """The weights of `export`, in their network's order."""
    with np.load(file, allow_pickle=False) as found:
        return [found[name].astype(np.float32) for name in sorted(found.files) if name != _STEPS]


def _save(out: Path, model: Any, done: int) -> None:
    out.mkdir(parents=True, exist_ok=True)
    partial = out / "partial.weights.h5"
    model.save_weights(partial)
    partial.replace(out / "weights.weights.h5")
    write_whole(out / "state.json", json.dumps({"steps": done}))


def _restore(out: Path, model: Any, start: Path | None) -> int:
    if (out / "state.json").exists():
        model.load_weights(out / "weights.weights.h5")
        return int(json.loads((out / "state.json").read_text())["steps"])
    if start is None:
        return 0
    model.set_weights(exported_weights(start))
    with np.load(start, allow_pickle=False) as found:
        return int(found[_STEPS])


if __name__ == "__main__":
    app()
