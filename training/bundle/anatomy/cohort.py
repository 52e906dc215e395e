"""Make one cohort for `wmh-node train` of several folders: `python -m training.bundle.anatomy.cohort`.

Every case gets the brain that a bundle's anatomy network finds, as the members will see it in use, and its ventricles
where no reader drew them. Thin 3D scans come as slabs of several thicknesses and tilts, as clinical 2D shows them.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Final

import nibabel
import numpy as np
import typer
from numpy.typing import NDArray
from scipy import ndimage

from segmentation.bundle import load_bundle, reference_bundle
from segmentation.ensemble import Ensemble, open_ensemble
from segmentation.volume import FlairVolume
from training.bundle.vendor_scores import in_slabs
from training.data.cases import (
    BRAIN_NAME,
    FLAIR_NAME,
    IGNORE_NAME,
    VENTRICLES_NAME,
    WMH_NAME,
    LabelledCase,
    load_cases,
)
from training.data.cohort import FILE_NAME
from training.errors import BadCohort

SLABS: Final = ((3.0, 0.0), (5.0, 12.0), (6.0, -15.0))
"""Thickness in mm and tilt in degrees about the axis from left to right."""

_THICK_MM: Final = 2.5  # from here on a scan is clinical 2D already


def variants(case: LabelledCase) -> Iterator[LabelledCase]:
    """The case itself where it is clinical 2D, else as slabs, each a case of the same patient."""
    if case.volume.spacing_mm[0] >= _THICK_MM:
        yield case
        return
    for slab_mm, degrees in SLABS:
        slabs = in_slabs(tilted(case, degrees), slab_mm)
        yield replace(slabs, name=f"{case.name}-{slab_mm:g}mm")


def tilted(case: LabelledCase, degrees: float) -> LabelledCase:
    """The head nodded by so much: image linearly, masks by a half, what comes from outside 0."""
    if not degrees:
        return case
    depth, height, _ = case.volume.spacing_mm
    angle = np.deg2rad(degrees)
    # In mm about the centre; columns stay.
    cosine, sine, aspect = np.cos(angle), np.sin(angle), height / depth
    matrix = np.array([[cosine, sine * aspect, 0], [-sine / aspect, cosine, 0], [0, 0, 1]])
    centre = (np.array(case.wmh.shape) - 1) / 2
    offset = centre - matrix @ centre

    def moved(values: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(ndimage.affine_transform(values, matrix, offset, order=1), np.float32)

    def moved_mask(mask: NDArray[np.bool_] | None) -> NDArray[np.bool_] | None:
        return None if mask is None else moved(mask.astype(np.float32)) >= 0.5

    wmh = moved_mask(case.wmh)
    assert wmh is not None
    volume = FlairVolume(moved(case.volume.voxels), case.volume.spacing_mm)
    return replace(
        case,
        volume=volume,
        wmh=wmh,
        brain=moved_mask(case.brain),
        ventricles=moved_mask(case.ventricles),
        ignore=moved_mask(case.ignore),
    )


def with_anatomy(case: LabelledCase, ensemble: Ensemble) -> LabelledCase:
    """The case with the network's brain, and its ventricles where no reader drew them.

    Raises:
        BadCohort: the bundle has no anatomy network.
    """
    found = ensemble.predict_anatomy(case.volume)
    if found is None:
        raise BadCohort("--bundle: expected one with an anatomy network, got one without")
    return replace(case, brain=found.brain, ventricles=found.ventricles if case.ventricles is None else case.ventricles)


def write_labelled(case: LabelledCase, folder: Path) -> None:
    """One case folder, RAS+ NIfTI: intensities as float32, masks as bytes."""
    folder.mkdir(parents=True)
    depth, height, width = case.volume.spacing_mm
    affine = np.diag([-width, -height, depth, 1.0])
    arrays = {
        FLAIR_NAME: case.volume.voxels, WMH_NAME: case.wmh, BRAIN_NAME: case.brain, VENTRICLES_NAME: case.ventricles,
        IGNORE_NAME: case.ignore,
    }  # fmt: skip
    for name, array in arrays.items():
        if array is not None:
            kind = np.float32 if name == FLAIR_NAME else np.uint8
            turned = np.ascontiguousarray(array.transpose(2, 1, 0)).astype(kind)
            nibabel.save(nibabel.Nifti1Image(turned, affine), folder / name)


def main(
    data: Annotated[list[Path], typer.Option(help="folders of labelled cases; repeatable")],
    out: Annotated[Path, typer.Option(help="folder to make; it must not be there")],
    patients: Annotated[list[Path] | None, typer.Option(help="CSVs: case,patient; one a folder")] = None,
    bundle: Annotated[Path | None, typer.Option(help="has an anatomy network; default: the shipped one")] = None,
) -> None:
    """Write OUT/<case>/ and OUT/patients.csv."""
    if out.exists():
        raise BadCohort(f"--out: expected a new folder, {out.name}/ is there: delete it, or choose another")
    ensemble = open_ensemble(load_bundle(bundle or reference_bundle()), "auto")
    rows = []
    for case in _cases(data, patients or ()):
        for variant in variants(case):
            write_labelled(with_anatomy(variant, ensemble), out / variant.name)
            rows.append((variant.name, case.patient, case.site, ""))
            typer.echo(variant.name)
    with (out / FILE_NAME).open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("case", "patient", "site", "split"), *rows])


def _cases(folders: Sequence[Path], patients: Sequence[Path]) -> Iterator[LabelledCase]:
    for place, folder in enumerate(folders):
        yield from load_cases(folder, patients[place] if place < len(patients) else None)


if __name__ == "__main__":
    typer.run(main)
