"""`wmh-node train DATA --out RUN`: an ensemble from labelled cases, by a named recipe."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated, Any, cast, get_args

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from dicom_node.cli.context import JsonOption, err, exit_codes, out, print_json
from dicom_node.cli.labelled_cases import FACTS, read_cases
from dicom_node.cli.progress import stage_bars
from dicom_node.node.errors import ConfigurationError
from segmentation.bundle import ModelBundle
from segmentation.preprocessing.settings import ScaleRule
from segmentation.runtimes.processor import trains_in_bfloat16
from training.bundle.about import About, BundleName, read_about
from training.bundle.parts import read_parts
from training.bundle.run_bundle import finish_run
from training.data.cases import CaseOnDisk, open_case, open_cases
from training.data.cohort import PatientRow
from training.data.facts_index import FactsIndex
from training.data.presets import Recipe
from training.data.recipe_settings import for_target, with_settings
from training.data.recipe_settings import preset as named
from training.data.slice_store import SliceStore
from training.data.splits import Scheme
from training.errors import BackendUnavailable, BadRecipe
from training.fit.backend import Backend, choose_backend, prepare_backend
from training.fit.estimate import Cost, cost_of, seconds_a_step
from training.fit.plan import TrainingPlan, cohort_summary, make_plan
from training.fit.progress import MemberProgress, Report
from training.fit.run import PlanPart, final_records
from training.fit.run import train as carry_out
from training.fit.run_folder import RunFolder
from training.fit.start import read_start
from training.synthesis.drawn import draw_cases
from training.synthesis.stream import as_case, has_scans, scan_files

# Default of --members: the paper's ensemble, and its one ventricle network; by folds one network a fold.
_TARGETS = ("wmh", "ventricles")
_MEMBERS = 5


def train(
    data: Annotated[Path, typer.Argument(help="Folder of cases: NIfTI, or DICOM series with SEG; patients.csv.")],
    out_folder: Annotated[Path, typer.Option("--out", help="Run folder; the same command continues a run.")],
    preset: Annotated[str, typer.Option("--preset", help="Named recipe, such as paper-2024.")] = "paper-2024",
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="field=value of the recipe, for example network.width=0.5; repeatable. With several "
            "stages: of the last.",
        ),
    ] = None,
    epochs: Annotated[int | None, typer.Option("--epochs", help="Same as --set epochs=N.")] = None,
    target: Annotated[str | None, typer.Option("--target", help="wmh or ventricles; default: the preset's.")] = None,
    members: Annotated[
        int | None,
        typer.Option("--members", help="Number of networks; default: 5, for ventricles 1. With folds: of folds."),
    ] = None,
    scheme: Annotated[
        str,
        typer.Option(
            "--scheme",
            help="subsets: each member on 90 % (paper); folds: without its fold of patients, and for ventricles one "
            "more that sees all.",
        ),
    ] = "subsets",
    patients: Annotated[Path | None, typer.Option("--patients", help="CSV; default: DATA/patients.csv.")] = None,
    start: Annotated[
        Path | None,
        typer.Option("--start", help="Run or bundle to continue from, instead of the preset's earlier stages."),
    ] = None,
    synthetic: Annotated[
        list[Path] | None,
        typer.Option("--synthetic", help="Label maps to draw scans from, or a folder of drawn scans or cases."),
    ] = None,
    synthetic_count: Annotated[int, typer.Option("--synthetic-count", min=1, help="Number of scans to draw.")] = 160,
    store: Annotated[
        Path | None,
        typer.Option("--store", help="Folder of preprocessed slices, shared by runs; default: RUN/slices."),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="The same seed gives the same weights (CPU).")] = 2024,
    backend: Annotated[str, typer.Option("--backend", help="auto, tensorflow or jax.")] = "auto",
    threads: Annotated[int, typer.Option("--threads", min=0, help="Processor threads; 0: all.")] = 0,
    only_members: Annotated[
        str | None,
        typer.Option(
            "--only-members", help="Train only these members now, for example 0,2; the others elsewhere or later."
        ),
    ] = None,
    stop_after: Annotated[
        int | None,
        typer.Option("--stop-after", min=1, help="Stop after this number of epochs; the same command continues."),
    ] = None,
    validation_cases: Annotated[
        int, typer.Option("--validation-cases", min=0, help="Number of cases to score after each epoch; 0: none.")
    ] = 8,
    ventricles: Annotated[
        Path | None, typer.Option("--ventricles", help="Finished run of --target ventricles, for the bundle.")
    ] = None,
    anatomy: Annotated[
        Path | None, typer.Option("--anatomy", help="Anatomy network (training.bundle.anatomy), for the bundle.")
    ] = None,
    baseline: Annotated[
        Path | None, typer.Option("--baseline", help="scores.json of another run by folds, for the model card.")
    ] = None,
    scale: Annotated[
        str | None, typer.Option("--scale", help="Intensity scale of the bundle's input, such as brain-level.")
    ] = None,
    about: Annotated[
        Path | None, typer.Option("--about", help="TOML: data sets and limits, for the manifest and the model card.")
    ] = None,
    name: Annotated[str, typer.Option("--name", help="Of the bundle.")] = "wmh-se-unet",
    version: Annotated[str, typer.Option("--version", help="Of the bundle.")] = "0.1.0",
    licence: Annotated[str, typer.Option("--licence", help="Of the weights, for the bundle.")] = BundleName.licence,
    data_name: Annotated[
        str, typer.Option("--data-name", help="Description of the cohort, for the bundle.")
    ] = BundleName.data,
    hide_patients: Annotated[
        bool, typer.Option("--hide-patients", help="Keep names of patients, cases and sites out of the bundle.")
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Check, convert and draw the cases, print steps, disk, memory and time of all members, and train "
            "nothing.",
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Train an ensemble on labelled cases; ends with a model bundle in RUN/bundle.

    By folds it ends with RUN/scores.json too. Research use only."""
    with exit_codes():
        # Nothing here imports Keras: bad input is reported in seconds, and the backend can still be chosen.

        try:
            recipe = _recipe(preset, settings or (), epochs, target)
            chosen = choose_backend(_one_of("--backend", backend, ("auto", "tensorflow", "jax")))
            parts = cast(Scheme, _one_of("--scheme", scheme, get_args(Scheme)))
            is_single = recipe.target == "ventricles" and parts == "subsets"
            count = members if members is not None else 1 if is_single else _MEMBERS
            bundle_name = BundleName(
                name=name,
                version=version,
                licence=licence,
                data=data_name,
                lists_patients=not hide_patients,
                scale=None if scale is None else _one_of("--scale", scale, get_args(ScaleRule)),
                about=About() if about is None else read_about(about),
            )
            trained = None if start is None else read_start(start)
            part = PlanPart(_numbers(only_members), stop_after, validation_cases)
            known = FactsIndex(out_folder / FACTS)
            with stage_bars() as progress:
                cases = read_cases(data, patients, None, seed, out_folder / "cases", progress, known)
                plan_with = partial(
                    make_plan, cases, recipe=recipe, scheme=parts, members=count, seed=seed, start=trained
                )
                # All errors are reported before scans are drawn, which takes minutes to hours.
                others = read_parts(plan_with(drawn=()), ventricles, anatomy, baseline)
                drawn = _drawn(synthetic or (), out_folder / "synthetic", synthetic_count, known, progress)
                plan = plan_with(drawn=drawn)
            known.save()
            _announce(plan, bool(synthetic), chosen)
            folder = RunFolder(out_folder)
            prepare_backend(chosen, threads)
            if dry_run:
                _print_cost(cost_of(plan, seconds_a_step), as_json)
                return
            slices = SliceStore(store or folder.slices)
            with stage_bars() as progress, _member_bars() as report:
                done = partial(progress, "slices")
                finished = carry_out(plan, folder, chosen, part, report, slices, done, threads or None)
            bundle = None
            if finished:
                with stage_bars() as progress:
                    progress("bundle", 0, 1)
                    bundle = finish_run(plan, folder, bundle_name, others, chosen)
                    progress("bundle", 1, 1)
        except (BadRecipe, BackendUnavailable) as error:
            raise ConfigurationError(str(error)) from error
    summary = _summary(plan, folder, chosen, finished, bundle)
    if as_json:
        print_json(summary)
        return
    _print(plan, folder, summary)


def _recipe(preset: str, settings: Any, epochs: int | None, target: str | None) -> Recipe:

    recipe = named(preset)
    if target is not None:
        recipe = for_target(recipe, _one_of("--target", target, _TARGETS))
    return with_settings(recipe, (*settings, *(() if epochs is None else (f"epochs={epochs}",))))


def _drawn(folders: Sequence[Path], into: Path, count: int, known: FactsIndex, progress: Any) -> tuple[CaseOnDisk, ...]:
    """Scans drawn from label maps (kept in the run folder), and those that folders of cases hold already."""
    found: list[CaseOnDisk] = []
    for folder in folders:
        if (folder / "heads").is_dir():
            names = set(draw_cases(folder, into, count, lambda done, total: progress("synthetic", done, total)))
            found += (case for case in open_cases(into, None, known) if case.name in names)
        elif has_scans(folder):
            found += (_drawn_scan(path, known) for path in scan_files(folder)[:count])
        else:
            found += open_cases(folder, None, known)
    return tuple(found)


def _drawn_scan(path: Path, known: FactsIndex) -> CaseOnDisk:
    return open_case(path, PatientRow(path.stem, path.stem), partial(as_case, path), known)


def _one_of(option: str, value: str, allowed: tuple[str, ...]) -> Any:
    if value not in allowed:
        raise ConfigurationError(f"{option}: expected {' or '.join(allowed)}, got {value!r}")
    return value


def _numbers(text: str | None) -> tuple[int, ...] | None:
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdigit() for part in parts):
        raise ConfigurationError(f"--only-members: expected numbers from 0, such as 0,2, got {text!r}")
    return tuple(dict.fromkeys(int(part) for part in parts))


def _announce(plan: TrainingPlan, has_synthetic: bool, backend: Backend) -> None:
    """What is going to be trained on, in one line or two."""
    cohort = cohort_summary(plan)
    parts = ", ".join(f"{part} {number}" for part, number in cohort["patients"].items())
    err.print(
        f"{cohort['cases']} cases, patients: {parts}; {cohort['cases_without_lesions']} cases without lesions "
        "(DSC 1 when nothing is found, otherwise 0)",
        markup=False,
    )
    if plan.recipe.compute == "mixed_bfloat16" and backend == "tensorflow" and not trains_in_bfloat16():
        err.print(
            "this processor has no instructions for bfloat16, which the recipe computes in, and steps are slow: "
            "--set compute=float32 is several times as fast here",
            markup=False,
        )
    if not has_synthetic and any(stage.synthetic_share for stage in plan.stages):
        err.print(
            "the recipe would mix in synthetic scans, but --synthetic was not given: real scans only", markup=False
        )


def _print_cost(cost: Cost, as_json: bool) -> None:
    if as_json:
        print_json(asdict(cost))
        return
    hours, minutes = divmod(round(cost.seconds / 60), 60)
    out.print(
        f"{cost.steps} steps of all members at {cost.seconds_a_step:.2f} s: about {hours} h {minutes} min on this "
        "machine, without preprocessing and validation.\n"
        f"At most {cost.slices} preprocessed slices: {cost.disk_gb:.1f} GB of disk.\n"
        f"{cost.memory_gb:.1f} GB of memory, however many cases there are; before that up to four processes that "
        "preprocess, of about 0.5 GB each. Nothing was trained.",
        markup=False,
    )


@contextmanager
def _member_bars() -> Iterator[Report]:
    """One bar a member with loss, validation DSC and time left; where stderr is no terminal, one line an epoch."""
    columns = (
        TextColumn("member {task.fields[member]}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[figures]}"),
        TimeRemainingColumn(compact=True, elapsed_when_finished=True),
    )
    with Progress(*columns, console=err, disable=not err.is_terminal, speed_estimate_period=3600) as progress:
        tasks: dict[int, Any] = {}

        def report(stand: MemberProgress) -> None:
            if stand.member not in tasks:
                tasks[stand.member] = progress.add_task("", total=stand.epochs, member=stand.member, figures="")
            progress.update(tasks[stand.member], completed=stand.epoch + stand.part, figures=_figures(stand))
            if stand.resumed:  # epochs of an earlier call say nothing of this one's speed
                progress.reset(tasks[stand.member], completed=stand.epoch)
            if not err.is_terminal and not stand.part and (stand.epoch or not stand.resumed):
                words = "is at" if stand.resumed else "finished"
                err.print(
                    f"member {stand.member} {words} epoch {stand.epoch}/{stand.epochs} {_figures(stand)}", markup=False
                )

        yield report


def _figures(stand: MemberProgress) -> str:
    if stand.loss is not None:
        return f"loss {stand.loss:.4f} in epoch {stand.epoch + 1}, {stand.part:.0%}"
    if stand.last is None:
        return ""
    dsc = stand.last.validation_dsc
    return f"loss {stand.last.loss:.4f}" + ("" if dsc is None else f" validation DSC {dsc:.3f}")


def _summary(
    plan: TrainingPlan, folder: RunFolder, backend: str, finished: bool, bundle: ModelBundle | None
) -> dict[str, Any]:

    records = final_records(plan, folder, range(len(plan.parts)))
    return {
        "run": folder.path,
        "preset": plan.recipe.name,
        "target": plan.recipe.target,
        "scheme": plan.scheme,
        "seed": plan.seed,
        "backend": backend,
        "finished": finished,
        "cohort": cohort_summary(plan),
        "members": [
            {
                "member": member,
                "epochs": 0 if record is None else record.epoch,
                "loss": None if record is None else record.loss,
                "validation_dsc": None if record is None else record.validation_dsc,
                "patients": len(plan.parts[member].seen),
                "held_out": len(plan.parts[member].held_out),
            }
            for member, record in records.items()
        ],
        "bundle": None
        if bundle is None
        else {
            "path": folder.bundle,
            "name": bundle.identity.name,
            "version": bundle.identity.version,
            "digest": bundle.identity.digest,
        },
    }


def _print(plan: TrainingPlan, folder: RunFolder, summary: dict[str, Any]) -> None:
    for row in summary["members"]:
        loss = "-" if row["loss"] is None else f"{row['loss']:.4f}"
        dsc = "-" if row["validation_dsc"] is None else f"{row['validation_dsc']:.3f}"
        out.print(f"member {row['member']}: epoch {row['epochs']}/{plan.epochs}, loss {loss}, validation DSC {dsc}")
    if summary["bundle"] is not None:
        out.print(f"model {summary['bundle']['name']} {summary['bundle']['version']} {summary['bundle']['digest']}")
        err.print(f"bundle in {folder.bundle}; next: wmh-node evaluate, wmh-node models add", markup=False)
    elif summary["finished"]:
        err.print(f"finished; wmh-node train ... --ventricles {folder.path} puts it into a bundle", markup=False)
    else:
        err.print("not finished; the same command continues", markup=False)
    err.print("Research use only, not a medical device.", markup=False)
