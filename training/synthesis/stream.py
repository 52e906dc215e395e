"""Drawn scans as files, one after the other, for trainings that run beside it: `python -m training.synthesis.stream`.

A scan is there whole or not at all, so that a training may read while this draws. The same number gives the same scan.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import numpy as np
import typer
from numpy.typing import NDArray

from segmentation.volume import FlairVolume
from training.data.cases import LabelledCase
from training.errors import BadCohort
from training.synthesis.coded_head import Part, load_coded_head
from training.synthesis.heads import head_files
from training.synthesis.lesions import load_library
from training.synthesis.scan import Scan, draw_scan

_PATTERN: Final = "scan-*.npz"
_SCANS_A_HEAD: Final = 6  # before the next head is read, which costs as much as six scans


def write_scan(scan: Scan, path: Path) -> None:
    """One scan: float16 intensities, bits of the truth."""
    partial = path.with_suffix(".part")
    with partial.open("wb") as file:
        np.savez(
            file,
            flair=scan.flair.astype(np.float16),
            wmh=np.packbits(scan.wmh, axis=-1),
            parts=scan.parts,
            spacing_mm=np.asarray(scan.spacing_mm),
            is_stripped=np.asarray(scan.is_stripped),
        )
    partial.replace(path)


def read_scan(path: Path) -> Scan:
    """What `write_scan` wrote."""
    with np.load(path, allow_pickle=False) as file:
        wmh: NDArray[np.uint8] = file["wmh"]
        depth, height, width = (float(length) for length in file["spacing_mm"])
        return Scan(
            flair=file["flair"].astype(np.float32),
            wmh=np.unpackbits(wmh, axis=-1).astype(bool),
            parts=file["parts"],
            spacing_mm=(depth, height, width),
            is_stripped=bool(file["is_stripped"]),
        )


def scan_files(folder: Path) -> list[Path]:
    """The scans that are there, in order of their numbers.

    Raises:
        BadCohort: none.
    """
    found = sorted(folder.glob(_PATTERN))
    if not found:
        raise BadCohort(f"expected drawn scans in {folder.name}/, found none: python -m training.synthesis.stream")
    return found


def has_scans(folder: Path) -> bool:
    """Whether a folder holds scans of this stream."""
    return any(folder.glob(_PATTERN))


def as_case(path: Path) -> LabelledCase:
    """A drawn scan as a labelled case, named by its file."""
    scan = read_scan(path)
    ventricles = (scan.parts & Part.VENTRICLES.value) > 0
    brain = (scan.parts & Part.BRAIN.value) > 0
    return LabelledCase(path.stem, path.stem, FlairVolume(scan.flair, scan.spacing_mm), scan.wmh, brain, ventricles)


def main(
    label_maps: Annotated[Path, typer.Option(help="folder with heads/ and lesions/")],
    out: Annotated[Path, typer.Option(help="folder for the scans")],
    count: Annotated[int, typer.Option(help="scans to have", min=1)] = 600,
    first: Annotated[int, typer.Option(help="number of the first one", min=0)] = 0,
) -> None:
    """Draw scans; those that are there already are kept."""
    files, library = head_files(label_maps), load_library(label_maps)
    out.mkdir(parents=True, exist_ok=True)
    for start in range(first, first + count, _SCANS_A_HEAD):
        wanted = list(range(start, min(start + _SCANS_A_HEAD, first + count)))
        missing = [number for number in wanted if not (out / f"scan-{number:06d}.npz").exists()]
        if missing:
            head = load_coded_head(files[(start // _SCANS_A_HEAD) % len(files)])
        for number in missing:
            write_scan(draw_scan(head, library, number), out / f"scan-{number:06d}.npz")


if __name__ == "__main__":
    typer.run(main)
