"""`wmh-node phantom`: write a FLAIR series with known WMH."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from dicom_node.cli.context import JsonOption, err, exit_codes, print_json
from dicom_node.cli.context import out as stdout
from dicom_node.demo.phantom.phantom import PhantomSpec, make_phantom
from dicom_node.demo.phantom.writing import write_phantom_series


def phantom(
    out: Annotated[Path, typer.Option("--out", help="Folder for the DICOM files and the truth.")],
    seed: Annotated[int, typer.Option(help="The same seed gives the same series: same voxels, same UIDs.")] = 1,
    slices: Annotated[int, typer.Option(help="Number of axial slices.")] = 24,
    matrix: Annotated[int, typer.Option(help="Rows and columns.")] = 256,
    oblique: Annotated[float, typer.Option(help="Tilt of the slices about the left-right axis, degrees.")] = 0.0,
    enhanced: Annotated[bool, typer.Option("--enhanced", help="One Enhanced MR instance, frames interleaved.")] = False,
    wmh_ml: Annotated[float, typer.Option(help="Volume of white matter hyperintensity to place, mL.")] = 15.0,
    chin: Annotated[bool, typer.Option("--chin", help="Slices from the chin up: neck, jaw and teeth too.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Write a synthetic FLAIR series of a head with white matter hyperintensities of known volume."""
    # Imported late: `wmh-node --help` must not wait for SciPy.

    with exit_codes():
        spec = PhantomSpec(
            seed=seed,
            slices=slices,
            matrix=matrix,
            oblique_degrees=oblique,
            enhanced=enhanced,
            wmh_ml=wmh_ml,
            chin=chin,
        )
        with err.status("drawing a head"):
            files = write_phantom_series(make_phantom(spec), out)
        truth = json.loads((out / "truth.json").read_text(encoding="utf-8"))
    if as_json:
        print_json(truth)
        return
    stdout.print(f"WMH {truth['wmh_volume_ml']:.2f} mL in {truth['lesion_count']} lesions")
    err.print(f"{len(files)} DICOM files, truth.nii.gz, ventricles.nii.gz and truth.json in {out}", markup=False)
