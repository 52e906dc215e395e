"""Beyond what intensities an image is unlike a model's training images: derived from these, for the bundle.

Three numbers of each training image, of its brain and in units of the brain's median: how bright the darkest twentieth
is at most (fluid is dark on FLAIR), the interquartile range, and the 99th percentile. A limit is the highest of the
training images plus `MARGIN` of it, since a dozen images of one scanner do not show all that is like them.

`python -m training.bundle.intensity_limits --data DIR` prints them; `--version` writes them into the bundle.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Final

import numpy as np
import typer
from numpy.typing import NDArray

from segmentation.bundle import load_bundle, reference_bundle
from segmentation.ensemble import open_ensemble
from segmentation.evidence import Evidence, gather
from segmentation.manifest import IntensityContract
from segmentation.measures import measure
from segmentation.segment import find_brain
from segmentation.volume import FlairVolume
from training.bundle.restate import restate_intensities
from training.data.cases import load_cases
from training.errors import BadCohort

MARGIN: Final = 0.5


FindBrain = Callable[[FlairVolume], NDArray[np.bool_]]


def intensity_limits(volumes: Sequence[FlairVolume], find: FindBrain = find_brain) -> IntensityContract:
    """The limits that training images support.

    Args:
        volumes: the images.
        find: finds the brain as results of the model have it found.

    Raises:
        BadCohort: fewer than two, or no brain in one.
    """
    if len(volumes) < 2:
        raise BadCohort(f"expected at least two training images, got {len(volumes)}")
    found = [_measured(volume, find(volume)) for volume in volumes]
    dark, spread, bright = (
        (1 + MARGIN) * max(values)
        for values in zip(*((limits.dark, limits.spread, limits.bright - 1) for limits in found), strict=True)
    )
    return IntensityContract(
        dark=round(min(dark, 1.0), 3), spread=round(spread, 3), bright=round(1 + bright, 3), images=len(found)
    )


def in_words(limits: IntensityContract) -> str:
    """The section of a model card."""
    return f"""
Of the brain in each of {limits.images} training images, in units of its median, the limits are: 5th percentile
**{limits.dark:.2f}**, interquartile range **{limits.spread:.2f}**, 99th percentile **{limits.bright:.2f}** (the highest
of the images plus {MARGIN:.0%}; of the 99th percentile, plus {MARGIN:.0%} of what it is above 1). A result of images
beyond them is sent to review (`unlike_flair`).
"""


def _measured(volume: FlairVolume, brain: NDArray[np.bool_]) -> Evidence:
    if not brain.any():
        raise BadCohort("a training image shows no brain")
    nothing = np.zeros(brain.shape, bool)
    return gather(volume, brain, nothing, 0.0, measure(nothing, nothing.astype(np.float32), volume.voxel_volume_ml))


def main(
    data: Annotated[list[Path], typer.Option(help="folders of the cases that the model was trained on", exists=True)],
    bundle: Annotated[Path | None, typer.Option(help="bundle folder; default: the shipped reference")] = None,
    version: Annotated[str | None, typer.Option(help="write them into the bundle, as this version")] = None,
) -> None:
    """Print the limits; with `--version` also write them into the bundle."""
    folder = bundle or reference_bundle()
    loaded = load_bundle(folder)
    trained, ensemble = loaded.manifest.training.images or {}, open_ensemble(loaded)
    volumes = [case.volume for folder in data for case in load_cases(folder)]
    known = [volume for volume in volumes if not trained or volume.voxels_digest in trained]
    limits = intensity_limits(known, lambda volume: find_brain(volume, ensemble.predict_anatomy(volume)))
    typer.echo(limits.model_dump_json(indent=1))
    if version is not None:
        written = restate_intensities(folder, version, in_words(limits), limits)
        typer.echo(f"{written.identity.name} {written.identity.version} {written.identity.digest}", err=True)


if __name__ == "__main__":
    typer.run(main)
