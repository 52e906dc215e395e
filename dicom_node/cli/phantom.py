"""`wmh-node phantom`: write a FLAIR series with known WMH."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer


def phantom(
    out: Annotated[Path, typer.Option("--out", help="Folder for the DICOM files, truth.nii.gz and truth.json.")],
    seed: Annotated[int, typer.Option(help="The same seed gives the same series, voxels and UIDs alike.")] = 1,
    slices: Annotated[int, typer.Option(help="Number of axial slices.")] = 24,
    matrix: Annotated[int, typer.Option(help="Rows and columns.")] = 256,
    oblique: Annotated[float, typer.Option(help="Tilt of the slices about the left-right axis, degrees.")] = 0.0,
    enhanced: Annotated[bool, typer.Option("--enhanced", help="One Enhanced MR instance, frames interleaved.")] = False,
    wmh_ml: Annotated[float, typer.Option(help="Volume of white matter hyperintensity to place, mL.")] = 15.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the truth as JSON.")] = False,
) -> None:
    """Write a synthetic FLAIR series of a head with white matter hyperintensities of known volume."""
    # Imported late: `wmh-node --help` must not wait for SciPy.
    from dicom_node.phantom.phantom import PhantomSpec, make_phantom
    from dicom_node.phantom.writing import write_phantom_series

    spec = PhantomSpec(
        seed=seed, slices=slices, matrix=matrix, oblique_degrees=oblique, enhanced=enhanced, wmh_ml=wmh_ml
    )
    files = write_phantom_series(make_phantom(spec), out)
    truth = json.loads((out / "truth.json").read_text(encoding="utf-8"))
    if as_json:
        typer.echo(json.dumps(truth))
        return
    typer.echo(f"{len(files)} DICOM files in {out}")
    typer.echo(f"WMH {truth['wmh_volume_ml']:.2f} mL in {truth['lesion_count']} lesions")
