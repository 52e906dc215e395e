"""Make and judge the reference bundle: `python -m training.bundle.reference fit | scores | bundle | leave-out`.

Member k of the ensemble is trained without the patients of fold k, and every patient is in exactly one fold. So each
shipped member can be judged on patients that it never saw, with the very weights that are shipped, by anyone who has
the data. The paper draws another random 90 % for each member; with ten patients a fold holds out two, thus 80 %.

The ventricle network is one for all. Five more of it, trained without a fold each, are judged and not shipped.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, cast

import numpy as np
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from segmentation.preprocessing.settings import ScaleRule
from training.bundle.anatomy.score import AnatomyScore
from training.bundle.anatomy.score import network as anatomy_network
from training.bundle.score_file import ScoreFile
from training.bundle.scores import MemberScore, judge, leave_out_scores
from training.bundle.trained_members import FOLDS_FILE, TrainedMembers, start_weights
from training.data.cases import LabelledCase, load_cases
from training.data.folds import leave_patients_out
from training.data.presets import PRESETS
from training.data.recipe_settings import as_document, differences, stages

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__)

FOLDS = 5
FOLD_SEED = 2024

Data = Annotated[Path, typer.Option(help="folder of labelled cases (flair.nii.gz, wmh.nii.gz)")]
Patients = Annotated[Path | None, typer.Option(help="CSV with the columns case,patient; default: the shared MS cases'")]


def shared_patients() -> Path:
    """Which of the shared training cases are one patient."""
    return Path(str(resources.files("training") / "data" / "patients" / "ms3seg.csv"))


@app.command()
def fit(
    data: Data,
    out: Annotated[Path, typer.Option(help="folder for checkpoints; a killed run continues here")],
    drawn: Annotated[
        list[Path] | None, typer.Option(help="folder of synthetic or phantom cases, never held out")
    ] = None,
    start: Annotated[
        Path | None, typer.Option(help="`--out` folder, or bundle, of the preset that this one continues")
    ] = None,
    patients: Patients = None,
    preset: Annotated[str, typer.Option(help=f"one of {', '.join(PRESETS)}")] = "reference",
    members: Annotated[str, typer.Option(help="which members to train, from 0; 5 sees every patient")] = "0,1,2,3,4",
    threads: Annotated[int, typer.Option(help="processor threads; 0: all")] = 0,
    stop_after: Annotated[
        int | None, typer.Option(help="stop after this many epochs; the same command continues")
    ] = None,
) -> None:
    """Train the members, each without the patients of its fold."""
    if threads:
        os.environ["OMP_NUM_THREADS"] = os.environ["TF_NUM_INTRAOP_THREADS"] = str(threads)
    # TensorFlow reads its thread settings when it is first imported.
    from training.data.slices import build_group, join_pool
    from training.fit.fit import Pools, fit_member

    recipe = PRESETS[preset]
    if (recipe.start_from is None) != (start is None):
        raise typer.BadParameter(f"preset {preset} goes on from {recipe.start_from or 'nothing'}", param_hint="--start")
    cases = load_cases(data, patients or shared_patients())
    folds = leave_patients_out(cases, FOLDS, FOLD_SEED)
    out.mkdir(parents=True, exist_ok=True)
    _claim(
        out / FOLDS_FILE, {"preset": preset, "held_out": [list(fold) for fold in folds], "recipe": as_document(recipe)}
    )
    scans = [case for folder in drawn or () for case in load_cases(folder)]
    group = build_group(scans, recipe, is_drawn=True) if scans else None
    del scans
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        for member in map(int, members.split(",")):
            held_out = folds[member] if member < FOLDS else ()
            seen = [case for case in cases if case.patient not in held_out]
            task = progress.add_task(f"member {member}", total=recipe.epochs)

            def advance(epoch: int, _total: int, loss: float, task: Any = task, member: int = member) -> None:
                progress.update(task, completed=epoch, description=f"member {member} loss {loss:.3f}")

            pool = join_pool(build_group(seen, recipe), group, recipe)
            begin = start_weights(start, recipe, member, folds) if start else None
            seed = FOLD_SEED * len(stages(recipe)) + member  # a stage must not draw the batches of the one before
            pools = Pools(pool.real_only(), pool)
            fit_member(pools, recipe, seed, out / f"member-{member}", advance, stop_after, initial=begin)


def _claim(file: Path, training: dict[str, Any]) -> None:
    """Write what a folder holds, or make sure that the folder there holds the same."""
    if file.exists():
        there = json.loads(file.read_text())
        changed = differences(there, {key: value for key, value in training.items() if key in there})
        if changed:
            raise typer.BadParameter(
                f"{file.parent.name}/ holds another training ({'; '.join(changed[:3])}); choose another folder",
                param_hint="--out",
            )
    file.write_text(json.dumps(training, indent=2))


@app.command()
def scores(
    data: Data,
    run: Annotated[Path, typer.Option(help="the `--out` folder of fit")],
    out: Annotated[Path, typer.Option(help="JSON file to write; what it holds of other members is kept")],
    patients: Patients = None,
) -> None:
    """Judge the finished members of a run on the patients that each never saw, and keep the scores.

    Members of a recipe that takes long are trained on different days, and their weights need not be kept.
    """
    trained = TrainedMembers.load(run)
    held_out = trained.held_out
    cases = [
        case for case in load_cases(data, patients or shared_patients()) if judge(case, held_out) in trained.models
    ]
    found = ScoreFile.of(trained.recipe.name, trained.scores(cases))
    if out.exists():
        found = ScoreFile.from_json(out.read_bytes()).require(trained.recipe.name).updated(found)
    out.write_text(found.to_json(), encoding="utf-8")
    _print_scores(found.scores, trained.recipe.name)


@app.command()
def bundle(
    data: Data,
    out: Annotated[Path, typer.Option(help="bundle folder to write")],
    version: Annotated[str, typer.Option(help="model version")],
    run: Annotated[Path | None, typer.Option(help="the `--out` folder of fit")] = None,
    members_of: Annotated[
        Path | None, typer.Option(help="instead of --run: a bundle whose WMH members are kept unchanged")
    ] = None,
    ventricles: Annotated[
        Path | None, typer.Option(help="the `--out` folder of fit with the preset ventricles, members 0-5")
    ] = None,
    ventricles_of: Annotated[
        Path | None, typer.Option(help="instead of --ventricles: a bundle whose ventricle network is kept unchanged")
    ] = None,
    baseline: Annotated[
        Path | None, typer.Option(help="file of `scores`: another recipe on the same folds, for the card")
    ] = None,
    ventricle_scores: Annotated[
        Path | None, typer.Option(help="file of `scores`: ventricles by members 0-4, where their weights are not there")
    ] = None,
    patients: Patients = None,
    scale: Annotated[
        str | None, typer.Option(help="slice-maximum or brain-level: input contract in place of the recipe's")
    ] = None,
    anatomy: Annotated[Path | None, typer.Option(help="weights of training.bundle.anatomy.fit")] = None,
    anatomy_scores: Annotated[
        Path | None, typer.Option(help="JSON of training.bundle.anatomy.score, for the card")
    ] = None,
) -> None:
    """Write the trained members as a bundle, calibrated, with a model card that holds the leave-patients-out DSC."""
    from segmentation.bundle import write_bundle
    from segmentation.manifest import Training
    from training.bundle.model_card import DATA_SOURCES, LICENCE, Findings, model_card

    cases = load_cases(data, patients or shared_patients())
    trained, temperature = _members(run, members_of, cases, scale)
    kept = ScoreFile.from_json(ventricle_scores.read_bytes()) if ventricle_scores else None
    fluid = _ventricles(ventricles, ventricles_of, kept)
    fluid.require([FOLDS] if kept else range(FOLDS + 1))
    trained.require(range(FOLDS))
    compared = ScoreFile.from_json(baseline.read_bytes()) if baseline else None
    findings = Findings(
        wmh=trained.scores(cases),
        ventricles=kept.scores if kept else fluid.scores(cases),
        baseline=compared.scores if compared else (),
        baseline_recipe=compared.recipe if compared else "",
        temperature=temperature,
        anatomy=_anatomy_scores(anatomy, anatomy_scores),
    )
    software = {name: _version_of(name) for name in ("keras", "tensorflow-cpu", "numpy", "scipy")}
    written = write_bundle(
        out,
        [trained.models[member] for member in range(FOLDS)],
        name="wmh-se-unet",
        version=version,
        specification=trained.recipe.network,
        preprocessing=trained.recipe.preprocessing,
        training=Training(
            software=software,
            recipe=trained.recipe.name,
            data=DATA_SOURCES,
            patients=tuple(sorted({case.patient for case in cases})),
            held_out=trained.held_out,
        ),
        licence=LICENCE,
        model_card=model_card(trained.recipe, fluid.recipe, version, findings, trained.held_out, cases),
        ventricles=fluid.models[FOLDS],
        mirrors_ventricles=fluid.recipe.is_mirrored,
        temperature=temperature,
        anatomy=None if anatomy is None else anatomy_network(anatomy),
    )
    _print_scores(findings.wmh, "WMH")
    _print_scores(findings.ventricles, "ventricles")
    typer.echo(f"{written.identity.name} {written.identity.version} {written.identity.digest}")


def _members(
    run: Path | None, bundle: Path | None, cases: Sequence[LabelledCase], scale: str | None = None
) -> tuple[TrainedMembers, float | None]:
    """The WMH members, and the temperature that is folded into them."""
    from segmentation.bundle import load_bundle

    if run is not None and bundle is None:
        trained = _with_scale(TrainedMembers.load(run), scale)
        return trained, trained.calibrate(cases)
    if bundle is not None and run is None:
        loaded = load_bundle(bundle)
        return _with_scale(TrainedMembers.of_bundle(loaded), scale), loaded.manifest.temperature
    raise typer.BadParameter("expected --run, or --members-of alone", param_hint="--run")


def _anatomy_scores(weights: Path | None, scores: Path | None) -> tuple[AnatomyScore, ...]:
    """What the card says of the anatomy network."""
    if (weights is None) != (scores is None):
        raise typer.BadParameter("expected --anatomy and --anatomy-scores, or neither", param_hint="--anatomy")
    return () if scores is None else tuple(AnatomyScore(**one) for one in json.loads(scores.read_bytes()))


def _with_scale(trained: TrainedMembers, scale: str | None) -> TrainedMembers:
    """The members under another intensity scale; the weights stay."""
    if scale is None:
        return trained
    preprocessing = replace(trained.recipe.preprocessing, scale=cast(ScaleRule, scale))
    return replace(trained, recipe=replace(trained.recipe, preprocessing=preprocessing))


def _ventricles(run: Path | None, bundle: Path | None, kept: ScoreFile | None) -> TrainedMembers:
    from segmentation.bundle import load_bundle

    if run is not None and bundle is None:
        trained = TrainedMembers.load(run)
        if kept is not None:
            kept.require(trained.recipe.name)
        return trained
    if bundle is not None and run is None and kept is not None:
        return TrainedMembers.ventricles_of_bundle(load_bundle(bundle), kept.recipe)
    raise typer.BadParameter(
        "expected --ventricles, or --ventricles-of with --ventricle-scores", param_hint="--ventricles"
    )


@app.command(name="leave-out")
def leave_out(
    data: Data,
    bundle: Annotated[Path | None, typer.Option(help="bundle folder; default: the shipped reference")] = None,
    patients: Patients = None,
    as_json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Print each case's DSC by the shipped member that never saw its patient, and the mean."""
    from segmentation.bundle import load_bundle, reference_bundle
    from segmentation.ensemble import open_ensemble

    loaded = load_bundle(bundle or reference_bundle())
    cases = load_cases(data, patients or shared_patients())
    folds = loaded.manifest.training.held_out or leave_patients_out(cases, loaded.members, FOLD_SEED)
    ensemble = open_ensemble(loaded, "auto")
    scores = leave_out_scores(
        cases, folds, lambda member, images: ensemble.predict(images)[member], loaded.preprocessing
    )
    if as_json:
        mean = float(np.mean([score.dsc for score in scores]))
        typer.echo(json.dumps({"mean_dsc": mean, "cases": [score.__dict__ for score in scores]}))
    else:
        _print_scores(scores, "WMH")


def _print_scores(scores: Sequence[MemberScore], what: str) -> None:
    table = Table(
        "case", "member", "DSC", "manual mL", "predicted mL", title=f"{what}: leave-patients-out, one member a case"
    )
    for score in scores:
        table.add_row(
            score.case, str(score.member + 1), f"{score.dsc:.3f}", f"{score.manual_ml:.1f}", f"{score.predicted_ml:.1f}"
        )
    table.add_section()
    table.add_row("mean", "", f"{np.mean([score.dsc for score in scores]):.3f}", "", "")
    Console().print(table)


def _version_of(package: str) -> str:
    from importlib.metadata import version

    return version(package)


if __name__ == "__main__":
    app()
