"""`wmh-node segment PATH --out DIR`: analysis without a job; of the database it asks only which model is live."""

from __future__ import annotations

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
from dicom_node.node.errors import ConfigurationError, NotFlair, UnreadableObject
from dicom_node.node.profiles import DEFAULT_PROFILE, PROFILES, DeliveryOptions
from dicom_node.series.dicom.folder import SeriesFiles, find_series
from dicom_node.series.rules.flair import judge_series

_NIFTI_ENDINGS = (".nii", ".nii.gz")
_MOST_REASONS = 10


def segment(
    path: Annotated[Path, typer.Argument(help="Folder or file of DICOM, or a NIfTI file.", exists=True)],
    out_folder: Annotated[Path, typer.Option("--out", help="Where the results go.")],
    series: Annotated[
        str | None, typer.Option("--series", help="SeriesInstanceUID, when the folder holds several FLAIR series.")
    ] = None,
    model: Annotated[Path | None, typer.Option("--model", help="Model bundle; the live model otherwise.")] = None,
    runtime: Annotated[str | None, typer.Option("--runtime", help="auto, tensorflow or openvino.")] = None,
    profile: Annotated[
        str, typer.Option("--profile", help=f"What else a destination of this profile gets: {', '.join(PROFILES)}.")
    ] = DEFAULT_PROFILE.name,
    probability_map: Annotated[
        bool, typer.Option("--probability-map", help="The ensemble's probabilities too, as FRACTIONAL SEG.")
    ] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Segment one FLAIR series into SEG, SR, measurements and pictures, without a database.

    DICOM gives seg.dcm, sr.dcm, measurements.json, overlay.png and what the profile adds; NIfTI gives wmh.nii.gz,
    measurements.json and overlay.png.
    """
    options = _options(profile, probability_map)
    overrides = {name: value for name, value in (("model", model), ("runtime", runtime)) if value is not None}
    settings = settings_or_exit(config, **overrides)
    with exit_codes():
        is_nifti = path.name.endswith(_NIFTI_ENDINGS)
        chosen = None if is_nifti else _choose(path, series)
        with exit_codes(), stage_bars() as progress:
            progress("model", 0, 1)
            ensemble = open_model(settings)
            progress("model", 1, 1)
            out_folder.mkdir(parents=True, exist_ok=True)
            rule = region_rule_of(settings)
            if chosen is None:
                measurements = _segment_nifti(path, ensemble, out_folder, progress, rule)
            else:
                measurements = _segment_dicom(chosen.paths, ensemble, out_folder, progress, rule, options)
    if as_json:
        print_json(measurements)
        return
    out.print(measures_table(measurements))
    err.print(f"results in {out_folder}. Research use only, not a medical device.", markup=False)


def _options(profile: str, probability_map: bool) -> DeliveryOptions:
    if profile not in PROFILES:
        raise typer.BadParameter(f"expected {', '.join(PROFILES)}, came {profile!r}", param_hint="--profile")
    return DeliveryOptions(PROFILES[profile], probability_map)


def _segment_dicom(
    paths: tuple[Path, ...], ensemble: Any, folder: Path, progress: Any, rule: Any, options: DeliveryOptions
) -> dict[str, Any]:

    analysis = analyse_files(paths, ensemble, progress, rule)
    return write_analysis(
        analysis, ensemble, arrival_of(paths), folder, progress, all_options={"files": options}
    ).measurements


def _segment_nifti(path: Path, ensemble: Any, folder: Path, progress: Any, rule: Any) -> dict[str, Any]:

    return segment_nifti(path, ensemble, folder, progress, rule)


def _choose(path: Path, wanted: str | None) -> SeriesFiles:
    """The one series to analyse.

    Raises:
        UnreadableObject, NotFlair: there is none, with the reason for each series.
        ConfigurationError: there are several, or not the one that was asked for.
    """
    found = find_series([path])
    if not found.series:
        reasons = "; ".join(reason for _, reason in found.unreadable[:3]) or "the folder is empty"
        raise UnreadableObject("no_dicom", f"No DICOM image series was found under {path}: {reasons}")
    if wanted is not None:
        for series in found.series:
            if series.series_instance_uid == wanted:
                return series
        raise ConfigurationError(f"--series: {wanted} is not among the {len(found.series)} series under {path}")
    if len(found.series) == 1:
        return found.series[0]  # let reading say what is wrong with it
    verdicts = [(series, judge_series(series.headers)) for series in found.series]
    accepted = [series for series, verdict in verdicts if verdict.accepted]
    if not accepted:
        reasons = "; ".join(f"{s.series_instance_uid}: {v.reason}" for s, v in verdicts[:_MOST_REASONS])
        raise NotFlair("no_flair", f"None of {len(verdicts)} series is a brain FLAIR. {reasons}")
    if len(accepted) > 1:
        uids = ", ".join(series.series_instance_uid for series in accepted[:_MOST_REASONS])
        raise ConfigurationError(f"{path} holds {len(accepted)} FLAIR series, choose one with --series: {uids}")
    return accepted[0]
