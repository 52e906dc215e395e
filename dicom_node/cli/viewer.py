"""`wmh-node viewer`: the whole way, with OHIF at its end."""

from __future__ import annotations

import signal
import sys
import time
from contextlib import ExitStack, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from dicom_node.cli.context import JsonOption, complain, err, exit_codes, out, print_json
from dicom_node.cli.measures_table import measures_table
from dicom_node.cli.progress import stage_bars
from dicom_node.demo.viewer.run import Viewer, find_parts, open_viewer

_LOOK_SECONDS = 1.0


def viewer(
    input_folder: Annotated[
        Path | None,
        typer.Option("--input", exists=True, file_okay=False, help="Folder of your own DICOM; default: a phantom."),
    ] = None,
    out_folder: Annotated[Path, typer.Option("--out", help="Folder for the results.")] = Path("wmh-viewer"),
    ohif: Annotated[Path, typer.Option("--ohif", help="Folder of OHIF's built viewer.")] = Path(".node-peers/ohif"),
    configuration: Annotated[
        Path, typer.Option("--configuration", help="Folder with app-config.js, orthanc.json, routing.lua.")
    ] = Path("deploy/viewer"),
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="Port for the browser.")] = 3000,
    as_json: JsonOption = False,
) -> None:
    """Show a FLAIR series and its results in OHIF, on this machine only.

    Orthanc is the PACS; Ctrl-C ends both."""
    # Said for SIGINT too: a shell starts what it puts in the background with SIGINT ignored.
    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, signal.default_int_handler)
    with exit_codes(), ExitStack() as stack:
        parts = find_parts(ohif, configuration)
        with stage_bars() as progress:
            opened = stack.enter_context(open_viewer(parts, out_folder, input_folder, port, progress))
        _report(opened, as_json)
        with suppress(KeyboardInterrupt):
            while True:
                opened.require_alive()
                time.sleep(_LOOK_SECONDS)


def _report(opened: Viewer, as_json: bool) -> None:
    """What was measured, and where to look at it; the address comes last."""
    if as_json:
        print_json({"url": opened.url, "series": [asdict(outcome) for outcome in opened.series], "truth": opened.truth})
        sys.stdout.flush()
    for series in opened.series:
        if series.measurements is None:
            complain(f"series {series.series_instance_uid} {series.state}: {series.reason}")
        elif not as_json:
            out.print(f"series {series.series_instance_uid}", markup=False)
            out.print(measures_table(series.measurements, opened.truth))
    orthanc = opened.orthanc
    err.print(
        f"More studies: wmh-node send FOLDER --to {orthanc.ae_title}@127.0.0.1:{orthanc.dicom_port}. "
        "Research use only, not a medical device.",
        markup=False,
    )
    if not as_json:
        out.print(f"Open {opened.url} (Ctrl-C ends it)", markup=False)
