"""`wmh-node segment PATH --out DIR`: analysis without a job; of the database it asks only which model is live."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from dicom_node.analyse.analysis import analyse_files, region_rule_of, write_analysis
from dicom_node.analyse.nifti import segment_nifti
from dicom_node.analyse.segment_series import arrival_of
from dicom_node.cli.context import ConfigOption, JsonOption, err, exit_codes, out, print_json, settings_or_exit
from dicom_node.cli.measures_table import measures_table
from dicom_node.cli.progress import stage_bars
from dicom_node.models.choice import open_model
from dicom_node.node.errors import ConfigurationError, NotAnalysable, UnreadableObject
from dicom_node.node.files import make_folder
from dicom_node.node.profiles import DEFAULT_PROFILE, PROFILES, DeliveryOptions
from dicom_node.series.dicom.folder import FoundSeries, SeriesFiles, find_series, lost_beside
from dicom_node.series.read.flair_series import UNREADABLE_FILES
from dicom_node.series.rules.selection import Selection, select_series

_NIFTI_ENDINGS = (".nii", ".nii.gz")
_MOST_NAMES = 5


def segment(
    path: Annotated[Path, typer.Argument(help="Folder or file of DICOM, or a NIfTI file.", exists=True)],
    out_folder: Annotated[Path, typer.Option("--out", help="Folder for the results.")],
    series: Annotated[
        str | None, typer.Option("--series", help="SeriesInstanceUID, to choose another than the best FLAIR.")
    ] = None,
    model: Annotated[Path | None, typer.Option("--model", help="Model bundle; default: the live model.")] = None,
    runtime: Annotated[str | None, typer.Option("--runtime", help="auto, tensorflow or openvino.")] = None,
    profile: Annotated[
        str, typer.Option("--profile", help=f"Write the objects of this profile: {', '.join(PROFILES)}.")
    ] = DEFAULT_PROFILE.name,
    probability_map: Annotated[
        bool, typer.Option("--probability-map", help="Also write the ensemble's probabilities, as FRACTIONAL SEG.")
    ] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Segment the FLAIR series of a folder into SEG, SR, measurements and pictures. No database is needed.

    Of several FLAIR series of one study the best is analysed; of several studies each goes to a folder of its own.

    DICOM gives seg.dcm, sr.dcm, measurements.json, overlay.png and what the profile adds; NIfTI gives wmh.nii.gz,
    measurements.json and overlay.png.
    """
    options = _options(profile, probability_map)
    overrides = {name: value for name, value in (("model", model), ("runtime", runtime)) if value is not None}
    settings = settings_or_exit(config, **overrides)
    with exit_codes():
        found = None if path.name.endswith(_NIFTI_ENDINGS) else _find(path)
        selection = None if found is None else _select(path, found, series)
        with exit_codes(), stage_bars() as progress:
            progress("model", 0, 1)
            ensemble = open_model(settings)
            progress("model", 1, 1)
            make_folder(out_folder)
            rule = region_rule_of(settings)
            if found is None or selection is None:
                measured = [segment_nifti(path, ensemble, out_folder, progress, rule)]
                refused: list[NotAnalysable] = []
            else:
                measured, refused = _segment_each(selection, found, ensemble, out_folder, progress, rule, options)
        _show(measured, out_folder, as_json)
        if refused:
            raise refused[0]


def _show(measured: Sequence[dict[str, Any]], folder: Path, as_json: bool) -> None:
    if as_json:
        print_json(measured[0] if len(measured) == 1 else list(measured))
        return
    for measurements in measured:
        out.print(measures_table(measurements))
    err.print(f"results in {folder}. Research use only, not a medical device.", markup=False)


def _options(profile: str, probability_map: bool) -> DeliveryOptions:
    if profile not in PROFILES:
        raise typer.BadParameter(f"expected {', '.join(PROFILES)}, got {profile!r}", param_hint="--profile")
    return DeliveryOptions(PROFILES[profile], probability_map)


def _segment_each(
    selection: Selection,
    found: FoundSeries,
    ensemble: Any,
    folder: Path,
    progress: Any,
    rule: Any,
    options: DeliveryOptions,
) -> tuple[list[dict[str, Any]], list[NotAnalysable]]:
    """One series into `folder`, each of several into a folder of its own; one that is refused stops no other.

    Raises:
        NotAnalysable: the only series is refused.
    """
    measured: list[dict[str, Any]] = []
    refused: list[NotAnalysable] = []
    for series in selection.chosen:
        target = folder if len(selection.chosen) == 1 else folder / series.series_instance_uid
        make_folder(target)
        try:
            measured.append(_segment_dicom(series, found, ensemble, target, progress, rule, options))
        except NotAnalysable as error:
            if len(selection.chosen) == 1:
                raise
            refused.append(error)
            err.print(f"not analysed: {series.series_instance_uid}: {error}", markup=False)
    return measured, refused


def _segment_dicom(
    series: SeriesFiles, found: FoundSeries, ensemble: Any, folder: Path, progress: Any, rule: Any,
    options: DeliveryOptions,
) -> dict[str, Any]:  # fmt: skip
    lost = lost_beside(series, found.unreadable)
    if lost:
        names = ", ".join(path.name for path in lost[:_MOST_NAMES]) + (", ..." if len(lost) > _MOST_NAMES else "")
        err.print(
            f"{len(lost)} files beside the series cannot be read and may be slices of it: {names}. The result is "
            "flagged; export the series again.",
            markup=False,
        )
    flags = [UNREADABLE_FILES] if lost else []
    analysis = analyse_files(series.paths, ensemble, progress, rule, flags)
    return write_analysis(
        analysis, ensemble, arrival_of(series.paths), folder, progress, all_options={"files": options}
    ).measurements


def _find(path: Path) -> FoundSeries:
    """The series under a path.

    Raises:
        UnreadableObject: there is none.
    """
    found = find_series([path])
    if not found.series:
        reasons = "; ".join(dict.fromkeys(reason for _, reason in found.unreadable)) or "the folder is empty"
        raise UnreadableObject("no_dicom", f"No DICOM image series was found under {path}: {reasons}")
    return found


def _select(path: Path, found: FoundSeries, wanted: str | None) -> Selection:
    """The series to analyse; what is skipped is named.

    Raises:
        NotAnalysable: see `select_series`.
        ConfigurationError: the one that was asked for is not there.
    """
    if wanted is not None:
        chosen = tuple(series for series in found.series if series.series_instance_uid == wanted)
        if not chosen:
            raise ConfigurationError(f"--series: {wanted} is not among the {len(found.series)} series under {path}")
        return Selection(chosen, ())
    selection = select_series(found.series)
    for one in selection.skipped:
        err.print(f"skipped: {one.series}; analysed: {one.better}. --series chooses another.", markup=False)
    return selection
