"""Phantoms as training cases: `python -m dicom_node.demo.phantom.training_cases --out DIR --count N`.

Each case folder holds what `training.data.cases` reads: flair.nii.gz, wmh.nii.gz, ventricles.nii.gz and
brain_mask.nii.gz on one grid.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import nibabel
import numpy as np
import typer
from rich.progress import track

from dicom_node.demo.phantom.phantom import Phantom, PhantomSpec, make_phantom

# Distinct from every seed that demo, tests and benchmarks use, so that what is measured there was never trained on.
FIRST_TRAINING_SEED = 1000


def random_spec(seed: int) -> PhantomSpec:
    """A phantom of random lesion load, slice count, tilt, noise and bias field; the same seed, the same phantom."""
    generator = np.random.default_rng(seed)
    return PhantomSpec(
        seed=seed,
        slices=int(generator.integers(18, 37)),
        oblique_degrees=float(generator.uniform(-15, 15)),
        wmh_ml=float(np.exp(generator.uniform(np.log(2), np.log(45)))),
        noise=float(generator.uniform(0.01, 0.06)),
        bias=float(generator.uniform(0.0, 0.3)),
    )


def write_case(phantom: Phantom, folder: Path) -> None:
    """Write one case folder; arrays (slice, row, column) in LPS become NIfTI in RAS+."""
    folder.mkdir(parents=True, exist_ok=True)
    affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ phantom.affine
    arrays = {
        "flair": phantom.flair,
        "wmh": phantom.wmh,
        "ventricles": phantom.ventricles,
        "brain_mask": phantom.brain,
    }
    for name, array in arrays.items():
        kind = np.float32 if name == "flair" else np.uint8
        image = nibabel.Nifti1Image(np.ascontiguousarray(array.transpose(2, 1, 0)).astype(kind), affine)
        nibabel.save(image, folder / f"{name}.nii.gz")


def main(
    out: Annotated[Path, typer.Option(help="folder for the case folders")],
    count: Annotated[int, typer.Option(help="number of phantoms", min=1)] = 24,
    first_seed: Annotated[int, typer.Option(help="seed of the first one")] = FIRST_TRAINING_SEED,
) -> None:
    """Write random phantoms as training cases."""
    for seed in track(range(first_seed, first_seed + count), description="phantoms"):
        write_case(make_phantom(random_spec(seed)), out / f"phantom-{seed}")


if __name__ == "__main__":
    typer.run(main)
