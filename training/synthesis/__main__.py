"""`python -m training.synthesis --label-maps DIR --out DIR --count N`: synthetic scans as training cases."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import nibabel
import numpy as np
import typer
from rich.progress import track

from training.synthesis.case import SyntheticCase, draw_case
from training.synthesis.heads import head_files, load_head
from training.synthesis.lesions import load_library


def write_case(case: SyntheticCase, folder: Path) -> None:
    """Write one case folder: flair, wmh, ventricles and brain_mask on one grid, RAS+ NIfTI."""
    folder.mkdir(parents=True, exist_ok=True)
    depth, height, width = case.spacing_mm
    affine = np.diag([-width, -height, depth, 1.0])
    arrays = {"wmh": case.wmh, "ventricles": case.ventricles, "brain_mask": case.brain, "flair": case.flair}
    for name, array in arrays.items():
        kind = np.int16 if name == "flair" else np.uint8
        image = nibabel.Nifti1Image(np.ascontiguousarray(np.rint(array).transpose(2, 1, 0)).astype(kind), affine)
        nibabel.save(image, folder / f"{name}.nii.gz")


def main(
    label_maps: Annotated[Path, typer.Option(help="folder with heads/ and lesions/")],
    out: Annotated[Path, typer.Option(help="folder for the case folders")],
    count: Annotated[int, typer.Option(help="number of scans", min=1)] = 160,
    first_seed: Annotated[int, typer.Option(help="seed of the first one")] = 0,
) -> None:
    """Write synthetic scans; heads take turns. A scan that is there already is kept."""
    library = load_library(label_maps)
    files = head_files(label_maps)
    todo = [
        seed for seed in range(first_seed, first_seed + count) if not (out / f"synthetic-{seed}/flair.nii.gz").exists()
    ]
    # Head by head: reading and measuring one takes longer than a scan of it.
    todo.sort(key=lambda seed: seed % len(files))
    number, head = -1, None
    for seed in track(todo, description="synthetic scans"):
        if seed % len(files) != number or head is None:
            number = seed % len(files)
            head = load_head(files[number])
        write_case(draw_case(head, library, seed), out / f"synthetic-{seed}")


if __name__ == "__main__":
    typer.run(main)
