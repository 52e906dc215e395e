"""Catch and false-alarm rates of the plausibility rules: `python tests/benchmarks/plausibility.py ../shared/data`.

Real scans as they are, for false alarms; and what each rule is for, for catches: real scans whose prediction is spoiled
(a mask shifted by 40 mm, a model that marks all that is bright, one that is unsure of everything, a shell at the skull,
one half only with a painted mass, extreme pixels), a real glioma, and slices of acute infarcts. The networks run once a
scan; `--predictions DIR` keeps what they say.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Final

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy import ndimage

from segmentation.bundle import load_bundle, reference_bundle
from segmentation.ensemble import open_ensemble
from segmentation.evidence import Evidence, gather
from segmentation.measures import measure
from segmentation.nifti import read_flair_nifti
from segmentation.plausibility import assess_plausibility
from segmentation.preprocessing.case import FLAG_EXTREME_PIXELS, preprocess
from segmentation.segment import find_brain, mean_probability, within_brain
from segmentation.volume import FlairVolume

Array = NDArray[np.float32]
Mask = NDArray[np.bool_]

_THRESHOLD: Final = 0.5
_MASSES: Final = ("tcga-fg-6692_siemens_glioma",)
# Areas of infarct in one slice, cm2: WMH beside a small one is not to be doubted, a large one is to be caught.
_INFARCTS: Final = ((0.0, 0.01), (0.01, 3.0), (3.0, 6.0), (6.0, 12.0), (12.0, 500.0))


def main(
    data: Annotated[Path, typer.Argument(help="folder that holds flair-wmh, flair-unlabelled, ...", exists=True)],
    predictions: Annotated[Path | None, typer.Option(help="folder where predictions are kept")] = None,
    slices: Annotated[int, typer.Option(help="of so many patients with an infarct")] = 400,
) -> None:
    """Measure the rules."""
    verdicts: dict[str, Counter[str]] = {}
    rules: dict[str, Counter[str]] = {}
    for name, volume, probability in _predicted(data, predictions):
        for kind, evidence in _cases(name, volume, probability):
            found = assess_plausibility(evidence)
            verdicts.setdefault(kind, Counter())[found.reliability] += 1
            rules.setdefault(kind, Counter()).update({reason.code for reason in found.reasons})
            if kind in ("as it is", "glioma"):
                typer.echo(f"{name}: {found.reliability} {[reason.code for reason in found.reasons]}", err=True)
    _print(verdicts, rules)
    _print_infarcts(data / "stroke-slices" / "soop_axial_slices.npz", slices)


def _predicted(data: Path, kept: Path | None) -> Iterator[tuple[str, FlairVolume, Array]]:
    ensemble = None
    paths = [*data.glob("flair-*/*/flair.nii.gz"), *(p for p in data.glob("flair-*/*.nii.gz"))]
    for path in sorted(paths):
        name = path.parent.name if path.name == "flair.nii.gz" else path.name.removesuffix(".nii.gz")
        volume, _ = read_flair_nifti(path)
        file = None if kept is None else kept / f"{name}.npy"
        if file is not None and file.exists():
            yield name, volume, np.load(file).astype(np.float32)
            continue
        ensemble = ensemble or open_ensemble(load_bundle(reference_bundle()))
        case = preprocess(volume, ensemble.preprocessing)
        probability = case.grid.to_native(mean_probability(ensemble.predict(case.images)))
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
            np.save(file, probability.astype(np.float16))
        yield name, volume, probability


def _cases(name: str, volume: FlairVolume, probability: Array) -> Iterator[tuple[str, Evidence]]:
    brain = find_brain(volume)
    kind = "glioma" if name in _MASSES else "as it is"
    yield kind, _evidence(volume, brain, probability)
    if kind != "as it is":
        return
    for spoiled, (changed, said) in _spoiled(volume, brain, probability).items():
        yield spoiled, _evidence(changed, brain, said)
    hot = volume.voxels.copy()
    hot[:, 3, 3] = 50 * hot.max()
    flagged = FLAG_EXTREME_PIXELS in preprocess(FlairVolume(hot, volume.spacing_mm)).flags
    yield "extreme pixels", replace(_evidence(volume, brain, probability), scaled_by_extremes=flagged)


def _spoiled(volume: FlairVolume, brain: Mask, probability: Array) -> Mapping[str, tuple[FlairVolume, Array]]:
    """Images and predictions that must not pass."""
    median = float(np.median(volume.voxels[brain]))
    bright = np.where(volume.voxels > 1.1 * median, np.float32(0.97), np.float32(0.02))
    shell = np.zeros_like(brain)
    for index, inside in enumerate(brain):
        depth = ndimage.distance_transform_edt(np.pad(inside, 1), volume.spacing_mm[1:])[1:-1, 1:-1]
        shell[index] = (depth > 0) & (depth < 4)
    shift = round(40 / volume.spacing_mm[2])
    middle = int(np.nonzero(brain.any(axis=(0, 1)))[0].mean())
    half = probability.copy()
    half[:, :, middle:] = 0.0
    painted, mass = _painted_mass(volume, brain, middle, median)
    return {
        "mask shifted by 40 mm": (volume, np.roll(probability, shift, axis=2)),
        "model marks all that is bright": (volume, bright),
        "model is unsure of everything": (volume, np.where(probability >= 0.5, np.float32(0.6), probability)),
        "model rules nothing out": (volume, np.maximum(probability, np.float32(0.3))),
        "mask is a shell at the skull": (volume, np.where(shell, np.float32(0.95), np.float32(0.0))),
        "mass of 40 mm, marked": (painted, np.maximum(half, np.where(mass, np.float32(0.95), np.float32(0.0)))),
        "mass of 40 mm, not marked": (painted, probability),
    }


def _painted_mass(volume: FlairVolume, brain: Mask, middle: int, median: float) -> tuple[FlairVolume, Mask]:
    """A ball of 20 mm radius, 1.5 times as bright as the brain, in the left half of the picture."""
    start = int(np.argmax(brain.sum(axis=(1, 2))))
    rows = np.nonzero(brain[start].any(axis=1))[0]
    centre = (start, (rows[0] + rows[-1]) // 2, middle - round(35 / volume.spacing_mm[2]))
    axes = np.ogrid[tuple(slice(0, n) for n in brain.shape)]
    away = sum(((axis - c) * s) ** 2 for axis, c, s in zip(axes, centre, volume.spacing_mm, strict=True))
    mass = np.asarray(away < 20.0**2) & brain
    voxels = np.where(mass, np.float32(1.5 * median), volume.voxels)
    return FlairVolume(voxels.astype(np.float32), volume.spacing_mm), mass


def _evidence(volume: FlairVolume, brain: Mask, probability: Array) -> Evidence:
    kept, outside_ml = within_brain(probability, brain, _THRESHOLD, volume.voxel_volume_ml)
    mask = kept >= _THRESHOLD
    return gather(volume, brain, mask, outside_ml, measure(mask, kept, volume.voxel_volume_ml))


def _print(verdicts: Mapping[str, Counter[str]], rules: Mapping[str, Counter[str]]) -> None:
    table = Table("case", "of", "ok", "review", "not reliable", "rules that hold")
    for kind, counted in verdicts.items():
        by_rule = ", ".join(f"{code} {count}" for code, count in rules[kind].most_common())
        numbers = [str(counted[verdict]) for verdict in ("ok", "review", "not_reliable")]
        table.add_row(kind, str(counted.total()), *numbers, by_rule)
    Console(width=160).print(table)


def _print_infarcts(path: Path, count: int) -> None:
    """The rule about bright tissue on single slices, by the area of the infarct."""
    if not path.exists():
        return
    stored = np.load(path)
    chosen = np.random.default_rng(0).permutation(len(stored["flair"]))[:count]
    table = Table("infarct in the slice, cm2", "of", "bright_mass")
    found: dict[tuple[float, float], list[bool]] = {limits: [] for limits in _INFARCTS}
    flair, masks = stored["flair"], stored["stroke_mask"]
    for index in chosen:
        pixels = flair[index].astype(np.float32)
        brain = ndimage.binary_fill_holes(ndimage.binary_closing(pixels > 0, iterations=2))
        brain = ndimage.binary_erosion(brain, iterations=2)[None]
        volume = FlairVolume(pixels[None], (5.0, 1.0, 1.0))
        empty = np.zeros_like(brain)
        evidence = gather(volume, brain, empty, 0.0, measure(empty, empty.astype(np.float32), 0.005))
        area = float(masks[index].sum()) / 100
        codes = {reason.code for reason in assess_plausibility(evidence).reasons}
        next(seen for (low, high), seen in found.items() if low <= area < high).append("bright_mass" in codes)
    for (low, high), seen in found.items():
        name = "none" if high <= 0.01 else f"{low:g} to {high:g}"
        table.add_row(name, str(len(seen)), f"{sum(seen)} ({sum(seen) / max(1, len(seen)):.0%})")
    Console().print(table)


if __name__ == "__main__":
    typer.run(main)
