"""`wmh-node compare A B --cases DIR`: several models, and plainer methods, on the same cases."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer
from rich.table import Table

from dicom_node.cli.context import ConfigOption, JsonOption, err, exit_codes, out, print_json, settings_or_exit
from dicom_node.cli.labelled_cases import read_cases
from dicom_node.cli.named_bundle import load_named
from dicom_node.cli.progress import stage_bars
from dicom_node.cli.shards import SCORED, facts_of, part_of, print_shard
from dicom_node.node.errors import ConfigurationError
from dicom_node.node.settings import Settings
from training.data.cases import CaseOnDisk
from training.data.facts_index import FactsIndex
from training.errors import BadCohort, BadEvaluation
from training.evaluate.comparison.contender import Candidate, baseline_candidate, bundle_candidate
from training.evaluate.comparison.document import Comparison
from training.evaluate.comparison.run import compare_candidates, score_shard_of_all
from training.evaluate.comparison.write import write_comparison
from training.evaluate.scored_folder import Shard
from training.report.comparison_html import sentence, write_comparison_html
from training.report.words import interval, number, plural
from training.report_files import prepare_folder

BASELINES = ("threshold", "one-member")
_FEWEST = 2


def compare(
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL...", help="Bundle folders, digests or names of registered models, or `shipped`; 1 to 26."
        ),
    ],
    cases_folder: Annotated[Path, typer.Option("--cases", help="Folder of labelled cases: NIfTI, or DICOM with SEG.")],
    out_folder: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="For comparison.html, comparison.json, cases.csv, the score of each case (an ended call goes on from "
            "there), and the images of cases converted from DICOM.",
        ),
    ] = None,
    baseline: Annotated[
        list[str] | None,
        typer.Option("--baseline", help=f"{' or '.join(BASELINES)} (of the first MODEL); may be given twice."),
    ] = None,
    patients: Annotated[Path | None, typer.Option("--patients", help="CSV; default: DIR/patients.csv.")] = None,
    split: Annotated[str | None, typer.Option("--split", help="Only these patients: train, validation, ...")] = None,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the drawn split; use that of the training.")] = 2024,
    unseen_members: Annotated[
        bool, typer.Option("--unseen-members", help="Score each case only with members that never saw its patient.")
    ] = False,
    earlier: Annotated[
        Path | None,
        typer.Option("--earlier", help="comparison.json of the same cases: add its models without running them again."),
    ] = None,
    shard: Annotated[
        str | None,
        typer.Option(
            "--shard",
            help="Score only this part of the cases, such as 2/4, into OUT/scored; other processes or machines score "
            "the rest. The same command without --shard scores what is missing and compares.",
        ),
    ] = None,
    runtime: Annotated[str | None, typer.Option("--runtime", help="auto, tensorflow or openvino.")] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare models on the same labelled cases: paired tests and every case.

    Also the gain of the ensemble over one network."""
    settings = settings_or_exit(config, **({} if runtime is None else {"runtime": runtime}))
    baselines = tuple(dict.fromkeys(baseline or ()))
    with exit_codes():
        _refuse_unusable(models, baselines, earlier, unseen_members=unseen_members)
        part = _part(shard, out_folder)
    with exit_codes(), stage_bars() as progress, TemporaryDirectory() as scratch:
        cache = Path(scratch) if out_folder is None else out_folder / "cases"
        before = None if earlier is None else _read_earlier(earlier, out_folder)
        known = FactsIndex(None if out_folder is None else out_folder / facts_of(part))
        cases = _chosen(read_cases(cases_folder, patients, split, seed, cache, progress, known), split)
        if out_folder is not None:
            prepare_folder(out_folder)
            known.save()
        candidates = _candidates(models, baselines, settings, config)
        if part is not None and out_folder is not None:
            kept = out_folder / SCORED
            count = score_shard_of_all(candidates, cases, part, kept, progress, unseen_members=unseen_members)
            print_shard(part, count, as_json)
            return
        comparison, evaluations = compare_candidates(
            candidates,
            cases,
            progress,
            unseen_members=unseen_members,
            earlier=before,
            kept=None if out_folder is None else out_folder / SCORED,
        )
        files: dict[str, Path] = {}
        if out_folder is not None:
            progress("report", 0, 1)
            files["comparison"], files["cases"] = write_comparison(comparison, evaluations, out_folder)
            files["report"] = write_comparison_html(comparison, out_folder)
            progress("report", 1, 1)
    if as_json:
        print_json({**comparison.model_dump(mode="json"), "files": {name: str(path) for name, path in files.items()}})
        return
    _print(comparison)
    if files:
        names = ", ".join(path.name for path in files.values())
        err.print(f"{names} in {out_folder}. Research use only, not a medical device.", markup=False)


def _refuse_unusable(
    models: list[str], baselines: tuple[str, ...], earlier: Path | None, *, unseen_members: bool
) -> None:
    if unknown := sorted(set(baselines) - set(BASELINES)):
        raise ConfigurationError(f"--baseline: expected {' or '.join(BASELINES)}, got {unknown[0]!r}")
    if unseen_members and "one-member" in baselines:
        raise ConfigurationError(
            "--baseline one-member: cannot be combined with --unseen-members: only patients that the first member "
            "never saw would remain, and the model scores these with that member too, so a network would be "
            "compared with itself; leave the baseline out, or compare on new patients without --unseen-members"
        )
    if earlier is None and len(models) + len(baselines) < _FEWEST:
        raise ConfigurationError(
            "expected two models, or one and --baseline or --earlier: one method alone cannot be compared"
        )


def _part(shard: str | None, out_folder: Path | None) -> Shard | None:
    if shard is not None and out_folder is None:
        raise ConfigurationError("--shard: expected --out with it, the folder where the parts meet")
    return part_of(shard)


def _read_earlier(file: Path, out_folder: Path | None) -> Comparison:

    if out_folder is not None and out_folder.resolve() == file.resolve().parent:
        raise ConfigurationError("--out: expected another folder than that of --earlier, whose files would be replaced")
    try:
        return Comparison.from_json(file.read_bytes())
    except OSError as error:
        raise BadCohort(f"--earlier {file}: expected the comparison.json of a comparison, {error.strerror}") from error
    except BadEvaluation as error:
        raise BadEvaluation(f"--earlier {file}: {error}") from error


def _chosen(cases: tuple[CaseOnDisk, ...], split: str | None) -> tuple[CaseOnDisk, ...]:

    chosen = cases if split is None else tuple(case for case in cases if case.split == split)
    if not chosen:
        raise BadCohort(f"expected cases of the split {split!r}, found none: see the column split of patients.csv")
    return chosen


def _candidates(
    models: list[str], baselines: tuple[str, ...], settings: Settings, config: Path | None
) -> list[Candidate]:

    bundles = [load_named(name, config) for name in models]
    return [
        *(bundle_candidate(bundle, settings.runtime, settings.threads) for bundle in bundles),
        *(baseline_candidate(name, bundles[0], settings.runtime, settings.threads) for name in baselines),
    ]


def _print(comparison: Comparison) -> None:

    question = comparison.measures[0]
    unit = question.unit
    counted = (
        f"mean {question.title} of {plural(comparison.patients, 'patient')}, {plural(len(comparison.cases), 'scan')}"
    )
    table = Table("", "", "by patient", "95 % CI", "by scan", "paper", title=counted)
    for contender, of in zip(comparison.contenders, question.summaries, strict=True):
        row: list[Any] = [contender.key, contender.label, number(of.patient_mean, unit)]
        row += [interval(of.patient_ci_low, of.patient_ci_high, unit), number(of.mean, unit)]
        table.add_row(*row, of.paper.number if of.paper else "")
    out.print(table)
    for pair in question.pairs:
        out.print(sentence(pair, question), markup=False)
    for line in (
        *(f"{contender.key}: {contender.note}" for contender in comparison.contenders if contender.note),
        *comparison.notes,
    ):
        err.print(line, markup=False)
