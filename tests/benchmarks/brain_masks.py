"""The brain mask on real scans: `python tests/benchmarks/brain_masks.py ../shared/data/flair-wmh --pictures DIR`.

Prints the volume, and where a case folder has brain_mask.nii.gz or wmh.nii.gz: Dice, the part of the mask that is
covered, and the part of the labelled WMH that lies inside.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from rich.table import Table
from scipy import ndimage

from segmentation.brain import brain_mask
from segmentation.nifti import NiftiGrid, read_flair_nifti, read_mask_nifti
from segmentation.volume import FlairVolume

_COLUMNS = 8
_TILE = 200
_MOST_TILES = 40


def main(
    data: Annotated[Path, typer.Argument(help="folder with NIfTI files, or with case folders", exists=True)],
    pictures: Annotated[Path | None, typer.Option(help="folder for a montage of each scan")] = None,
) -> None:
    """Measure the brain mask."""
    table = Table("scan", "brain mL", "Dice", "covered", "WMH inside")
    scans = sorted({*data.glob("*/flair.nii.gz"), *(p for p in data.glob("*.nii.gz"))})
    for path in scans:
        volume, grid = read_flair_nifti(path)
        found = brain_mask(volume)
        name = path.parent.name if path.name == "flair.nii.gz" else path.name.removesuffix(".nii.gz")
        labels = path.parent if path.name == "flair.nii.gz" else None
        truth = None if labels is None else _label(labels / "brain_mask.nii.gz", grid)
        wmh = None if labels is None else _label(labels / "wmh.nii.gz", grid)
        table.add_row(name, f"{found.sum() * volume.voxel_volume_ml:.0f}", *_against(found, truth), _part(wmh, found))
        if pictures is not None:
            pictures.mkdir(parents=True, exist_ok=True)
            _montage(volume, found).save(pictures / f"{name}.png")
    Console().print(table)


def _label(path: Path, grid: NiftiGrid) -> NDArray[np.bool_] | None:
    return read_mask_nifti(path, grid) if path.exists() else None


def _against(found: NDArray[np.bool_], truth: NDArray[np.bool_] | None) -> tuple[str, str]:
    if truth is None:
        return "-", "-"
    return f"{2 * (found & truth).sum() / (found.sum() + truth.sum()):.3f}", _part(truth, found)


def _part(inner: NDArray[np.bool_] | None, outer: NDArray[np.bool_]) -> str:
    return "-" if inner is None or not inner.any() else f"{(inner & outer).sum() / inner.sum():.4f}"


def _montage(volume: FlairVolume, mask: NDArray[np.bool_]) -> Image.Image:
    """Slices side by side, the mask outlined in red."""
    chosen = range(0, len(mask), max(1, -(-len(mask) // _MOST_TILES)))
    sheet = Image.new("RGB", (_COLUMNS * _TILE, -(-len(chosen) // _COLUMNS) * _TILE))
    top = np.percentile(volume.voxels, 99.5)
    for place, index in enumerate(chosen):
        grey = (np.clip(volume.voxels[index] / top, 0, 1) * 255).astype(np.uint8)
        picture = np.stack([grey] * 3, axis=-1)
        picture[mask[index] & ~ndimage.binary_erosion(mask[index])] = (255, 60, 60)
        tile = Image.fromarray(picture)
        tile.thumbnail((_TILE, _TILE))
        sheet.paste(tile, (place % _COLUMNS * _TILE, place // _COLUMNS * _TILE))
    return sheet


if __name__ == "__main__":
    typer.run(main)
