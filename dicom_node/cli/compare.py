"""`wmh-node compare A B --cases DIR`: several models, and plainer methods, on the same cases."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dicom_node.cli.context import ConfigOption, JsonOption, err, exit_codes, out, print_json, settings_or_exit
from dicom_node.cli.progress import stage_bars
from dicom_node.errors import ConfigurationError

if TYPE_CHECKING:
    from dicom_node.settings import Settings
    from segmentation.bundle import ModelBundle
    from training.cases import LabelledCase
    from training.comparison.contender import Candidate
    from training.comparison.document import Comparison

BASELINES = ("threshold", "one-member")
SHIPPED = "shipped"
_FEWEST = 2


def compare(
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL...", help="Bundle folders, digests or names of registered models, or `shipped`; 1 to 26."
        ),
    ],
    cases_folder: Annotated[Path, typer.Option("--cases", help="Folder of labelled cases (flair.nii.gz, wmh.nii.gz).")],
    out_folder: Annotated[
        Path | None, typer.Option("--out", help="For comparison.html, comparison.json and cases.csv.")
    ] = None,
    baseline: Annotated[
        list[str] | None,
        typer.Option("--baseline", help=f"{' or '.join(BASELINES)} (of the first MODEL); may be given twice."),
    ] = None,
    patients: Annotated[Path | None, typer.Option("--patients", help="CSV; default: DIR/patients.csv.")] = None,
    split: Annotated[str | None, typer.Option("--split", help="Only these patients: train, validation, ...")] = None,
    seed: Annotated[int, typer.Option("--seed", help="Of the split that is drawn: that of the training.")] = 2024,
    unseen_members: Annotated[
        bool, typer.Option("--unseen-members", help="Judge each case only by members that never saw its patient.")
    ] = False,
    runtime: Annotated[str | None, typer.Option("--runtime", help="auto, tensorflow or openvino.")] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare models on the same labelled cases: paired tests, every case, and what the ensemble buys."""
    settings = settings_or_exit(config, **({} if runtime is None else {"runtime": runtime}))
    baselines = tuple(dict.fromkeys(baseline or ()))
    with exit_codes():
        _refuse_unknown(models, baselines)
        # Imported late: `wmh-node --help` must not wait for SciPy and the runtime.
        from training.comparison.run import compare_candidates
        from training.comparison.write import write_comparison
        from training.report.comparison_html import write_comparison_html

    with exit_codes(), stage_bars() as progress:
        progress("cases", 0, 1)
        cases = _cases(cases_folder, patients, split, seed)
        progress("cases", 1, 1)
        candidates = _candidates(models, baselines, settings, config)
        comparison, evaluations = compare_candidates(candidates, cases, progress, unseen_members=unseen_members)
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


def _refuse_unknown(models: list[str], baselines: tuple[str, ...]) -> None:
    if unknown := sorted(set(baselines) - set(BASELINES)):
        raise ConfigurationError(f"--baseline: expected {' or '.join(BASELINES)}, came {unknown[0]!r}")
    if len(models) + len(baselines) < _FEWEST:
        raise ConfigurationError("expected two models, or one and a --baseline: one method has nothing to compare with")


def _cases(folder: Path, patients: Path | None, split: str | None, seed: int) -> tuple[LabelledCase, ...]:
    from training.cases import load_cases
    from training.errors import BadCohort
    from training.splits import with_splits

    cases = load_cases(folder, patients)
    if split is None:
        return cases
    drawn = with_splits(cases, seed) if any(not case.split for case in cases) else cases
    chosen = tuple(case for case in drawn if case.split == split)
    if not chosen:
        raise BadCohort(f"expected cases of the split {split!r}, found none: see the column split of patients.csv")
    return chosen


def _candidates(
    models: list[str], baselines: tuple[str, ...], settings: Settings, config: Path | None
) -> list[Candidate]:
    from training.comparison.contender import baseline_candidate, bundle_candidate

    bundles = [_bundle(name, config) for name in models]
    return [
        *(bundle_candidate(bundle, settings.runtime) for bundle in bundles),
        *(baseline_candidate(name, bundles[0], settings.runtime) for name in baselines),
    ]


def _bundle(named: str, config: Path | None) -> ModelBundle:
    """The bundle of a folder, of the registry, or the shipped one.

    Raises:
        BadBundle: it is damaged.
        UnknownModel: no folder and no registered model of that name.
    """
    from segmentation.bundle import load_bundle, reference_bundle

    if Path(named).is_dir():
        return load_bundle(Path(named))
    if named == SHIPPED:
        return load_bundle(reference_bundle())
    from dicom_node.cli.registry import open_registry

    with open_registry(config) as registry:
        return registry.store.load(registry.table.find(named).digest)


def _print(comparison: Comparison) -> None:
    from rich.table import Table

    from training.report.comparison_html import sentence
    from training.report.words import interval, number

    question = comparison.measures[0]
    table = Table("", "", f"mean {question.title}", "95 % CI", "n")
    for contender, summary in zip(comparison.contenders, question.summaries, strict=True):
        row: list[Any] = [contender.key, contender.label, number(summary.mean, question.unit)]
        table.add_row(*row, interval(summary.ci_low, summary.ci_high, question.unit), str(summary.n))
    out.print(table)
    for pair in question.pairs:
        out.print(sentence(pair, question), markup=False)
    for line in (*(f"{one.key}: {one.note}" for one in comparison.contenders if one.note), *comparison.notes):
        err.print(line, markup=False)
