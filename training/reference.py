"""Make and judge the reference bundle: `python -m training.reference fit | bundle | leave-out`.

Member k of the ensemble is trained without the patients of fold k, and every patient is in exactly one fold. So each
shipped member can be judged on patients that it never saw, with the very weights that are shipped, by anyone who has
the data. The paper draws another random 90 % for each member; with ten patients a fold holds out two, thus 80 %.
"""

from __future__ import annotations

import json
import os
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from training.cases import load_cases
from training.folds import leave_patients_out
from training.presets import PRESETS
from training.scores import MemberScore, leave_out_scores

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__)

FOLDS = 5
FOLD_SEED = 2024
_FOLDS_FILE = "folds.json"

Data = Annotated[Path, typer.Option(help="folder of labelled cases (flair.nii.gz, wmh.nii.gz)")]
Patients = Annotated[Path | None, typer.Option(help="CSV with the columns case,patient; default: the shared MS cases'")]


def shared_patients() -> Path:
    """Which of the shared training cases are one patient."""
    return Path(str(resources.files("training") / "patients" / "ms3seg.csv"))


@app.command()
def fit(
    data: Data,
    out: Annotated[Path, typer.Option(help="folder for checkpoints; a killed run goes on here")],
    phantoms: Annotated[Path | None, typer.Option(help="folder of phantom cases, never held out")] = None,
    patients: Patients = None,
    preset: Annotated[str, typer.Option(help=f"one of {', '.join(PRESETS)}")] = "first-reference",
    members: Annotated[str, typer.Option(help="which members to train, from 0")] = "0,1,2,3,4",
    threads: Annotated[int, typer.Option(help="processor threads; 0: all")] = 0,
    stop_after: Annotated[
        int | None, typer.Option(help="stop after this many epochs; the same command goes on")
    ] = None,
) -> None:
    """Train the members, each without the patients of its fold."""
    if threads:
        os.environ["OMP_NUM_THREADS"] = os.environ["TF_NUM_INTRAOP_THREADS"] = str(threads)
    # TensorFlow reads its thread settings when it is first imported.
    from training.fit import Pools, fit_member
    from training.slices import build_pool

    recipe = PRESETS[preset]
    cases = load_cases(data, patients or shared_patients())
    drawn = load_cases(phantoms) if phantoms else ()
    folds = leave_patients_out(cases, FOLDS, FOLD_SEED)
    out.mkdir(parents=True, exist_ok=True)
    (out / _FOLDS_FILE).write_text(json.dumps({"preset": preset, "held_out": folds}, indent=2))
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        for member in map(int, members.split(",")):
            seen = [case for case in cases if case.patient not in folds[member]]
            task = progress.add_task(f"member {member}", total=recipe.epochs)

            def advance(epoch: int, _total: int, loss: float, task: Any = task, member: int = member) -> None:
                progress.update(task, completed=epoch, description=f"member {member} loss {loss:.3f}")

            pools = Pools(build_pool(seen, (), recipe), build_pool(seen, drawn, recipe))
            fit_member(pools, recipe, FOLD_SEED + member, out / f"member-{member}", advance, stop_after)


@app.command()
def bundle(
    data: Data,
    run: Annotated[Path, typer.Option(help="the `--out` folder of fit")],
    out: Annotated[Path, typer.Option(help="bundle folder to write")],
    version: Annotated[str, typer.Option(help="model version")],
    patients: Patients = None,
) -> None:
    """Write the trained members as a bundle, with a model card that holds the leave-patients-out DSC."""
    import keras

    from segmentation.bundle import write_bundle
    from segmentation.manifest import Training
    from segmentation.networks.unet import build_network
    from training.fit import predict_slices
    from training.model_card import DATA_SOURCES, LICENCE, model_card

    stand = json.loads((run / _FOLDS_FILE).read_text())
    recipe = PRESETS[stand["preset"]]
    cases = load_cases(data, patients or shared_patients())
    keras.config.set_dtype_policy("float32")
    models = []
    for member in range(FOLDS):
        model = build_network(recipe.network)
        model.load_weights(run / f"member-{member}" / f"epoch-{recipe.epochs:03d}.weights.h5")
        models.append(model)
    scores = leave_out_scores(
        cases, stand["held_out"], lambda member, images: predict_slices(models[member], images), recipe.preprocessing
    )
    software = {name: _version_of(name) for name in ("keras", "tensorflow-cpu", "numpy", "scipy")}
    written = write_bundle(
        out,
        models,
        name="wmh-se-unet",
        version=version,
        specification=recipe.network,
        preprocessing=recipe.preprocessing,
        training=Training(software=software, recipe=recipe.name, data=DATA_SOURCES),
        licence=LICENCE,
        model_card=model_card(recipe, version, scores, stand["held_out"], cases),
    )
    _print_scores(scores)
    typer.echo(f"{written.identity.name} {written.identity.version} {written.identity.digest}")


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
    folds = leave_patients_out(cases, loaded.members, FOLD_SEED)
    ensemble = open_ensemble(loaded, "auto")
    scores = leave_out_scores(
        cases, folds, lambda member, images: ensemble.predict(images)[member], loaded.preprocessing
    )
    if as_json:
        mean = float(np.mean([score.dsc for score in scores]))
        typer.echo(json.dumps({"mean_dsc": mean, "cases": [score.__dict__ for score in scores]}))
    else:
        _print_scores(scores)


def _print_scores(scores: list[MemberScore]) -> None:
    table = Table("case", "member", "DSC", "manual mL", "predicted mL", title="leave-patients-out, one member a case")
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
