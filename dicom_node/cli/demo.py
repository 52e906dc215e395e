"""`wmh-node demo`: the whole way on one machine."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from dicom_node.cli.context import ExitCode, JsonOption, complain, err, exit_codes, out, print_json
from dicom_node.cli.measures_table import measures_table
from dicom_node.cli.progress import stage_bars
from dicom_node.demo.run import run_demo


def demo(
    input_folder: Annotated[
        Path | None,
        typer.Option("--input", exists=True, file_okay=False, help="Folder of your own DICOM; default: a phantom."),
    ] = None,
    out_folder: Annotated[Path, typer.Option("--out", help="Folder for the results.")] = Path("wmh-demo"),
    as_json: JsonOption = False,
) -> None:
    """Send a FLAIR series through a node on this machine to a stand-in PACS; show the measurements."""
    with exit_codes(), stage_bars() as progress:
        outcome = run_demo(out_folder, input_folder, progress)
    analysed = [series for series in outcome.series if series.measurements is not None]
    if as_json:
        print_json(asdict(outcome))
    for series in outcome.series:
        if series.measurements is None:
            complain(f"series {series.series_instance_uid} {series.state}: {series.reason}")
        elif not as_json:
            out.print(f"series {series.series_instance_uid}", markup=False)
            out.print(measures_table(series.measurements, outcome.truth))
            out.print(f"{', '.join(series.objects)}, measurements.json, overlay.png in {series.folder}", markup=False)
    err.print(f"{outcome.seconds:.0f} s in all. Research use only, not a medical device.", markup=False)
    if not analysed:
        raise typer.Exit(ExitCode.NOT_ANALYSABLE)
