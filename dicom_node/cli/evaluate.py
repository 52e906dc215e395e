"""`wmh-node evaluate DATA --out DIR`: how good a model is on labelled cases, set beside the paper."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from dicom_node.cli.context import ConfigOption, JsonOption, err, exit_codes, out, print_json, settings_or_exit
from dicom_node.cli.labelled_cases import read_cases
from dicom_node.cli.named_bundle import load_named
from dicom_node.cli.progress import stage_bars
from dicom_node.cli.shards import SCORED, facts_of, part_of, print_shard
from dicom_node.models.choice import choose_model
from dicom_node.node.errors import ConfigurationError
from dicom_node.node.settings import Settings
from segmentation.bundle import ModelBundle
from segmentation.ensemble import open_ensemble
from training.data.cases import CaseOnDisk
from training.data.facts_index import FactsIndex
from training.data.recipe_settings import preset, with_settings
from training.errors import BackendUnavailable, BadRecipe
from training.evaluate.document import Evaluation, EvaluationSettings, TrainingSizeCurve
from training.evaluate.gallery import Gallery
from training.evaluate.run import EvaluationRequest, evaluate_cases, score_shard
from training.evaluate.scored_folder import ScoredFolder, Shard
from training.evaluate.training_size import train_on_growing_subsets
from training.evaluate.write import write_evaluation
from training.report.html import write_report
from training.report_files import prepare_folder

SPLITS = ("train", "validation", "test", "external")
DISTANCE_RULES = ("2d", "3d")
"""Folder of single cases' scores in --out."""


def evaluate(
    data: Annotated[Path, typer.Argument(help="Folder of labelled cases: NIfTI, or DICOM with SEG.")],
    out_folder: Annotated[
        Path,
        typer.Option(
            "--out",
            help="For report.html, evaluation.json, cases.csv, the score of each case (an ended call goes on from "
            "there), the images of cases converted from DICOM, and the trainings of --sizes.",
        ),
    ],
    bundle: Annotated[
        str | None,
        typer.Option(
            "--bundle",
            help="Bundle folder, registered digest or name, or `shipped`; default: the live one.",
        ),
    ] = None,
    patients: Annotated[Path | None, typer.Option("--patients", help="CSV; default: DATA/patients.csv.")] = None,
    split: Annotated[
        str | None, typer.Option("--split", help=f"Only these patients: {', '.join(SPLITS)}; a blank split is drawn.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the drawn split; use that of the training.")] = 2024,
    unseen_members: Annotated[
        bool, typer.Option("--unseen-members", help="Score each case only with members that never saw its patient.")
    ] = False,
    sizes: Annotated[
        str | None,
        typer.Option(
            "--sizes", help="Numbers of patients to train on (2,4,8), for the training-size curve; takes long."
        ),
    ] = None,
    preset: Annotated[str, typer.Option("--preset", help="Recipe for the trainings of --sizes.")] = "paper-2024",
    recipe_settings: Annotated[
        list[str] | None, typer.Option("--set", help="field=value of that recipe, for example epochs=20; repeatable.")
    ] = None,
    members: Annotated[int, typer.Option("--members", min=1, help="Networks in each training of --sizes.")] = 5,
    shard: Annotated[
        str | None,
        typer.Option(
            "--shard",
            help="Score only this part of the cases, such as 2/4, into OUT/scored; other processes or machines score "
            "the rest. The same command without --shard scores what is missing and makes the report.",
        ),
    ] = None,
    distance_rule: Annotated[
        str, typer.Option("--distance-rule", help="Periventricular: 2d in the slice (paper), or 3d in space.")
    ] = "2d",
    runtime: Annotated[str | None, typer.Option("--runtime", help="auto, tensorflow or openvino.")] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Evaluate a model on labelled cases: every table and figure of the paper, and more."""
    settings = settings_or_exit(config, **({} if runtime is None else {"runtime": runtime}))
    with exit_codes():
        _refuse_other("--split", split, SPLITS)
        _refuse_other("--distance-rule", distance_rule, DISTANCE_RULES)
        wanted = _sizes(sizes)
        part = _part(shard, sizes)
    with exit_codes(), stage_bars() as progress:
        known = FactsIndex(out_folder / facts_of(part))
        cases = read_cases(
            data, patients, split if not wanted else split or "test", seed, out_folder / "cases", progress, known
        )
        prepare_folder(out_folder)
        known.save()
        progress("model", 0, 1)
        model = _bundle(bundle, settings, config)
        progress("model", 1, 1)
        training = _Training(
            preset, tuple(recipe_settings or ()), members, seed, out_folder / "training-size", settings.threads
        )
        # Before the ensemble: training chooses the backend that Keras loads.
        curve = _training_size(cases, wanted, training, progress) if wanted else None
        request = EvaluationRequest.of(
            model,
            settings=EvaluationSettings(distance_rule=distance_rule),
            split=split,
            unseen_members=unseen_members,
            training_size=curve,
        )
        gallery = Gallery(request.settings.shown_cases)
        ensemble = open_ensemble(model, settings.runtime, settings.threads)
        kept = ScoredFolder(out_folder / SCORED)

        def report_case(done: int, total: int, _: str) -> None:
            progress("evaluate", done, total)

        if part is not None:
            count = score_shard(cases, ensemble, part, kept, report_case, request)
            print_shard(part, count, as_json)
            return
        evaluation = evaluate_cases(cases, ensemble, report_case, request, gallery, kept)
        progress("report", 0, 1)
        document, table = write_evaluation(evaluation, out_folder)
        report = write_report(evaluation, out_folder, gallery.shown)
        progress("report", 1, 1)
    if as_json:
        print_json(_summary(evaluation, report, document, table))
        return
    _print(evaluation)
    err.print(f"{report.name}, {document.name} and {table.name} in {out_folder}. Research use only.", markup=False)


@dataclass(frozen=True)
class _Training:
    """How the trainings of --sizes go."""

    preset: str
    settings: tuple[str, ...]
    members: int
    seed: int
    folder: Path
    threads: int | None


def _refuse_other(option: str, value: str | None, known: tuple[str, ...]) -> None:
    if value is not None and value not in known:
        raise ConfigurationError(f"{option}: expected one of {', '.join(known)}, got {value!r}")


def _sizes(text: str | None) -> tuple[int, ...]:
    """`2,4,8` as numbers, smallest first.

    Raises:
        ConfigurationError: not a list of positive whole numbers.
    """
    if text is None:
        return ()
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdigit() and int(part) > 0 for part in parts):
        raise ConfigurationError(f"--sizes: expected numbers of patients such as 100,200,500, got {text!r}")
    return tuple(sorted({int(part) for part in parts}))


def _part(shard: str | None, sizes: str | None) -> Shard | None:
    """The part of the cases to score; None: all.

    Raises:
        ConfigurationError: no such part, or trainings that every part would repeat.
    """
    if shard is None:
        return None
    if sizes is not None:
        raise ConfigurationError(
            "--shard: expected no --sizes with it, since every part would train the same networks: give --sizes to the "
            "command without --shard"
        )
    return part_of(shard)


def _bundle(named: str | None, settings: Settings, config: Path | None) -> ModelBundle:
    """The bundle of that name; without a name, the model that serves.

    Raises:
        see `load_named`; ModelError: the live model is unknown.
    """
    if named is not None:
        return load_named(named, config)

    return choose_model(settings).load()


def _training_size(
    cases: tuple[CaseOnDisk, ...], sizes: tuple[int, ...], training: _Training, progress: Any
) -> TrainingSizeCurve:

    try:
        recipe = with_settings(preset(training.preset), training.settings)
        return train_on_growing_subsets(
            cases, sizes, recipe, training.seed, training.folder, progress, training.members, training.threads
        )
    except (BadRecipe, BackendUnavailable) as error:
        raise ConfigurationError(str(error)) from error


_SHOWN = ("dsc_mean", "hd_mm_mean", "volume_r", "volume_ccc", "uncertainty_index_mean", "triage_percent_below")


def _print(evaluation: Evaluation) -> None:

    found = [item for name in _SHOWN if (item := evaluation.statistic(name)) is not None]
    table = Table("", "here", "95 % CI", "n", "paper", title=f"{evaluation.model.name} {evaluation.model.version}")
    for item in found:
        value = item.note if item.value is None else f"{item.value:.3f} {item.unit}".strip()
        interval = "" if item.ci_low is None or item.ci_high is None else f"{item.ci_low:.3f}-{item.ci_high:.3f}"
        table.add_row(item.title, value, interval, str(item.n), item.paper.text if item.paper else "")
    out.print(table)
    if evaluation.cohort.note:
        err.print(evaluation.cohort.note, markup=False)


def _summary(evaluation: Evaluation, report: Path, document: Path, table: Path) -> dict[str, Any]:
    """What scripts want at once; the whole document is in evaluation.json."""
    return {
        "model": evaluation.model.model_dump(),
        "cohort": evaluation.cohort.model_dump(),
        "group": evaluation.figure_group,
        "statistics": {
            item.name: item.value for item in evaluation.statistics if item.group == evaluation.figure_group
        },
        "files": {"report": str(report), "evaluation": str(document), "cases": str(table)},
    }
