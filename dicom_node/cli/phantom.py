"""`wmh-node phantom`: write a FLAIR series with known WMH."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from dicom_node.cli.context import JsonOption, err, exit_codes, print_json
from dicom_node.cli.context import out as stdout
from dicom_node.demo.phantom.phantom import Phantom, PhantomSpec, make_phantom
from dicom_node.demo.phantom.training_cases import write_case
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
    patient: Annotated[str, typer.Option(help="PatientID; the same for two visits makes a follow-up pair.")] = "",
    date: Annotated[
        str, typer.Option(help="Day of the acquisition, such as 2024-06-30; on each day the head lies differently.")
    ] = "",
    as_case: Annotated[
        bool, typer.Option("--as-case", help="Write a training case (NIfTI: flair, wmh, ventricles, brain_mask).")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Write a synthetic FLAIR series of a head with white matter hyperintensities of known volume."""
    with exit_codes():
        spec = PhantomSpec(
            seed=seed,
            slices=slices,
            matrix=matrix,
            oblique_degrees=oblique,
            enhanced=enhanced,
            wmh_ml=wmh_ml,
            chin=chin,
            patient=patient,
            date=date,
        )
        with err.status("drawing a head"):
            drawn = make_phantom(spec)
        if as_case:
            _write_case(drawn, out, as_json)
            return
        files = write_phantom_series(drawn, out)
        truth = json.loads((out / "truth.json").read_text(encoding="utf-8"))
    if as_json:
        print_json(truth)
        return
    stdout.print(f"WMH {truth['wmh_volume_ml']:.2f} mL in {truth['lesion_count']} lesions")
    err.print(f"{len(files)} DICOM files, truth.nii.gz, ventricles.nii.gz and truth.json in {out}", markup=False)


def _write_case(drawn: Phantom, out: Path, as_json: bool) -> None:
    write_case(drawn, out)
    if as_json:
        print_json({"wmh_volume_ml": drawn.truth_ml, "lesion_count": drawn.lesion_count, "seed": drawn.spec.seed})
        return
    stdout.print(f"WMH {drawn.truth_ml:.2f} mL in {drawn.lesion_count} lesions")
    err.print(f"flair, wmh, ventricles and brain_mask as NIfTI in {out}: a case for train and evaluate", markup=False)
