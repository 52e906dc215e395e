"""`wmh-node segment PATH... --out DIR`: analysis without a job; of the database it asks only which model is live."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from dicom_node.analyse.analysis import region_rule_of
from dicom_node.analyse.many.inputs import FoundInputs, InputSeries, find_inputs
from dicom_node.analyse.many.one import SeriesOptions, analyse_input
from dicom_node.analyse.many.result import ScanResult
from dicom_node.analyse.many.segment_many import bids_writer, segment_found
from dicom_node.cli.context import (
    ConfigOption,
    ExitCode,
    JsonOption,
    err,
    exit_codes,
    out,
    print_json,
    settings_or_exit,
)
from dicom_node.cli.measures_table import many_table, measures_table
from dicom_node.cli.progress import series_bar, stage_bars
from dicom_node.models.choice import open_model
from dicom_node.node.errors import ConfigurationError, NotFlair
from dicom_node.node.files import make_folder
from dicom_node.node.profiles import DEFAULT_PROFILE, PROFILES, DeliveryOptions
from segmentation.ensemble import Ensemble

_MOST_NAMES = 5


def segment(
    paths: Annotated[
        list[Path],
        typer.Argument(help="Folders, DICOMDIRs, BIDS trees, NIfTI files, or .txt lists of these.", exists=True),
    ],
    out_folder: Annotated[Path, typer.Option("--out", help="Folder for the results.")],
    series: Annotated[
        str | None, typer.Option("--series", help="SeriesInstanceUID, to choose another than the best FLAIR.")
    ] = None,
    jobs: Annotated[int, typer.Option("--jobs", min=1, help="Series at the same time; more memory each.")] = 1,
    bids: Annotated[bool, typer.Option("--bids", help="Also write DIR/bids, a BIDS derivatives data set.")] = False,
    model: Annotated[Path | None, typer.Option("--model", help="Model bundle; default: the live model.")] = None,
    runtime: Annotated[str | None, typer.Option("--runtime", help="auto, tensorflow or openvino.")] = None,
    profile: Annotated[
        str, typer.Option("--profile", help=f"Write the objects of this profile: {', '.join(PROFILES)}.")
    ] = DEFAULT_PROFILE.name,
    probability_map: Annotated[
        bool, typer.Option("--probability-map", help="Also write the ensemble's probabilities (FRACTIONAL SEG, NIfTI).")
    ] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Segment FLAIR series from files into SEG, SR, measurements and pictures. No database is needed.

    Of several FLAIR series of one study the best is analysed. One series goes into DIR; several go to a folder each,
    with DIR/results.csv and DIR/contact-sheet.html, and a second run skips what is finished.

    DICOM gives seg.dcm, sr.dcm, measurements.json, overlay.png and what the profile adds; NIfTI gives wmh.nii.gz,
    regions.nii.gz, measurements.json and overlay.png. Exit code 3: at least one series could not be analysed.
    """
    options = _delivery(profile, probability_map)
    overrides = {name: value for name, value in (("model", model), ("runtime", runtime)) if value is not None}
    settings = settings_or_exit(config, **overrides)
    with exit_codes():
        writer = bids_writer(paths, out_folder, probability_map) if bids else None
        chosen = SeriesOptions(options, region_rule_of(settings), bids=writer)
        found = _find(paths, series)
        if (only := _only_one(paths, found)) is None:
            ensemble = open_model(settings)
            raise typer.Exit(_segment_many(found, out_folder, ensemble, chosen, jobs, as_json))
        with exit_codes(), stage_bars() as progress:
            progress("model", 0, 1)
            ensemble = open_model(settings)
            progress("model", 1, 1)
            make_folder(out_folder)
            if writer is not None:
                writer.begin()
            measured, _ = analyse_input(only, ensemble, out_folder, chosen, progress)
        _show(measured, out_folder, as_json)


def _find(paths: Sequence[Path], wanted: str | None) -> FoundInputs:
    """What is under the paths; what is left out is named.

    Raises:
        ConfigurationError: the series that was asked for is not there.
    """
    with err.status("looking for series"):
        found = find_inputs(paths, wanted)
    if wanted is not None and not found.series:
        raise ConfigurationError(f"--series: {wanted} is not among the series under {', '.join(map(str, paths))}")
    for sentence in found.skipped:
        err.print(f"{sentence}. --series chooses another.", markup=False)
    for input_ in found.series:
        if input_.lost:
            names = ", ".join(path.name for path in input_.lost[:_MOST_NAMES])
            more = ", ..." if len(input_.lost) > _MOST_NAMES else ""
            err.print(
                f"{len(input_.lost)} files beside the series cannot be read and may be slices of it: {names}{more}. "
                "The result is flagged; export the series again.",
                markup=False,
            )
    return found


def _only_one(paths: Sequence[Path], found: FoundInputs) -> InputSeries | None:
    """The one series of one path, which goes into the folder itself; other studies there that hold no FLAIR are named.

    Raises:
        NotAnalysable: the only thing there is cannot be analysed.
    """
    if len(paths) > 1:
        return None
    if not found.series and len(found.refused) == 1:
        raise found.refused[0].error
    others_hold_no_flair = all(isinstance(refused.error, NotFlair) for refused in found.refused)
    if len(found.series) != 1 or not others_hold_no_flair:
        return None
    for refused in found.refused:
        err.print(f"skipped: {refused.source}: {refused.error}", markup=False)
    return found.series[0]


def _segment_many(
    found: FoundInputs, folder: Path, ensemble: Ensemble, options: SeriesOptions, jobs: int, as_json: bool
) -> ExitCode:
    """Analyse every series into a folder of its own; the exit code says whether each has a result."""
    results: list[ScanResult] = []
    with series_bar() as bar:
        for result in segment_found(found, folder, ensemble, options, jobs, bar.expect):
            results.append(result)
            bar.advance(counts=result.folder is not None and not result.is_resumed)
            if result.measurements is None:
                err.print(f"not analysed: {result.source}: {result.reason} [{result.code}]", markup=False)
    if as_json:
        print_json([_as_json(result) for result in results])
    else:
        out.print(many_table(results))
    resumed = sum(result.is_resumed for result in results)
    err.print(
        f"{len(results)} series, {resumed} of them finished before: results.csv and contact-sheet.html in {folder}. "
        "Research use only, not a medical device.",
        markup=False,
    )
    statuses = {result.status for result in results}
    if "failed" in statuses:
        return ExitCode.FAILED
    return ExitCode.NOT_ANALYSABLE if "not_analysable" in statuses else ExitCode.DONE


def _as_json(result: ScanResult) -> dict[str, Any]:
    """The measurements, or why there are none."""
    if result.measurements is not None:
        return result.measurements
    return {"input": str(result.source), "status": result.status, "code": result.code, "reason": result.reason}


def _show(measurements: dict[str, Any], folder: Path, as_json: bool) -> None:
    if as_json:
        print_json(measurements)
        return
    out.print(measures_table(measurements))
    err.print(f"results in {folder}. Research use only, not a medical device.", markup=False)


def _delivery(profile: str, probability_map: bool) -> DeliveryOptions:
    if profile not in PROFILES:
        raise typer.BadParameter(f"expected {', '.join(PROFILES)}, got {profile!r}", param_hint="--profile")
    return DeliveryOptions(PROFILES[profile], probability_map)
