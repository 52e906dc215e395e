"""Make training cases of single FLAIR slices without a WMH label: `python -m training.bundle.pseudo_labels`.

For slices of stroke patients, whose acute infarcts are marked and whose WMH is not. A pixel gets a label where every
member, on the slice and on its mirror image, says nearly the same; an infarct is no WMH; the rest is ignored, and so is
a margin around the infarct, whose outline is drawn on another contrast.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Final

import numpy as np
import typer
from numpy.typing import NDArray
from scipy import ndimage

from segmentation.anatomy import Anatomy, anatomy_images, anatomy_of
from segmentation.bundle import load_bundle
from segmentation.ensemble import Ensemble, open_ensemble
from segmentation.preprocessing.case import preprocess
from segmentation.runtimes.runtime import BATCH
from training.bundle.anatomy.cohort import write_labelled
from training.bundle.single_slices import MarkedSlice, read_slices
from training.data.cases import LabelledCase
from training.data.ignored import brightness
from training.errors import BadCohort

Mask = NDArray[np.bool_]

_MARGIN: Final = 3  # pixels around an infarct


@dataclass(frozen=True)
class Agreement:
    """When a pixel gets a label.

    Attributes:
        mean: least mean of all opinions, for WMH.
        least: least opinion of any member, for WMH.
        bright_sd: least brightness, for WMH: SD of the brain above its median.
        most: highest opinion of any member, for no WMH.
    """

    mean: float = 0.6
    least: float = 0.3
    bright_sd: float = 1.0
    most: float = 0.25


def labels_of(
    said: NDArray[np.float32], bright: NDArray[np.float32], infarct: Mask, rule: Agreement
) -> NDArray[np.bool_]:
    """WMH and ignored pixels of one slice.

    Args:
        said: float32 (opinion, row, column) in 0..1.
        bright: float32 (row, column), SD of the brain above its median.
        infarct: bool (row, column).
        rule: when a pixel gets a label.

    Returns:
        bool (2, row, column): what is WMH, what is ignored.
    """
    wmh = (said.mean(axis=0) >= rule.mean) & (said.min(axis=0) >= rule.least) & (bright >= rule.bright_sd)
    none = said.max(axis=0) <= rule.most
    around = ndimage.binary_dilation(infarct, iterations=_MARGIN) & ~infarct if infarct.any() else infarct
    wmh = wmh & ~infarct & ~around
    return np.stack([wmh, ~wmh & ~infarct & (~none | around)])


def pseudo_cases(found: Sequence[MarkedSlice], ensemble: Ensemble, rule: Agreement) -> list[LabelledCase]:
    """Slices as cases of one slice each; the networks see them together, which is faster.

    Raises:
        BadCohort: the bundle has no anatomy network.
    """
    cases = [_without_label(one, anatomy) for one, anatomy in zip(found, _anatomies(found, ensemble), strict=True)]
    ready = [preprocess(case.volume, ensemble.preprocessing, case.brain) for case in cases]
    images = np.concatenate([one.images for one in ready])
    there = ensemble.predict(images)
    back = ensemble.predict(np.ascontiguousarray(images[:, :, ::-1]))[..., ::-1]
    said = np.ascontiguousarray(np.concatenate([there, back]))
    return [
        _labelled(case, one.grid.to_native(said[:, place]), marked.infarct, rule)
        for place, (case, one, marked) in enumerate(zip(cases, ready, found, strict=True))
    ]


def _anatomies(found: Sequence[MarkedSlice], ensemble: Ensemble) -> list[Anatomy]:
    if not ensemble.anatomy_size:
        raise BadCohort("--bundle: expected one with an anatomy network, got one without")
    views = [anatomy_images(one.volume, ensemble.anatomy_size) for one in found]
    said = ensemble.predict_parts(np.concatenate([images for images, _ in views]))
    assert said is not None
    return [anatomy_of(said[:, place : place + 1], grid) for place, (_, grid) in enumerate(views)]


def _without_label(one: MarkedSlice, anatomy: Anatomy) -> LabelledCase:
    nothing = np.zeros(one.volume.voxels.shape, bool)
    return LabelledCase(one.name, one.name, one.volume, nothing, anatomy.brain, anatomy.ventricles)


def _labelled(case: LabelledCase, said: NDArray[np.float32], infarct: Mask, rule: Agreement) -> LabelledCase:
    wmh, ignore = labels_of(said, brightness(case)[0], infarct, rule)
    return replace(case, wmh=wmh[np.newaxis], ignore=ignore[np.newaxis])


def main(
    slices: Annotated[Path, typer.Option(help="npz with flair and stroke_mask (slice, row, column)")],
    bundle: Annotated[Path, typer.Option(help="whose members label them")],
    out: Annotated[Path, typer.Option(help="folder for the cases; those that are there already are kept")],
    first: Annotated[int, typer.Option(help="number of the first slice; those before it score", min=0)] = 300,
    count: Annotated[int, typer.Option(help="slices to label", min=1)] = 600,
) -> None:
    """Write OUT/<case>/, which `wmh-node train --synthetic OUT` takes."""
    ensemble = open_ensemble(load_bundle(bundle), "auto")
    out.mkdir(parents=True, exist_ok=True)
    wanted = [one for one in read_slices(slices, first, count) if not (out / one.name).exists()]
    for start in range(0, len(wanted), BATCH):
        for case in pseudo_cases(wanted[start : start + BATCH], ensemble, Agreement()):
            partial = out / f".{case.name}"
            write_labelled(case, partial)
            partial.rename(out / case.name)
        typer.echo(f"{min(start + BATCH, len(wanted))} of {len(wanted)} slices")


if __name__ == "__main__":
    typer.run(main)
