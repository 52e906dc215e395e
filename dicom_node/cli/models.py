"""`wmh-node models list | show | add | check | promote | rollback`."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, NoReturn

import typer
from rich.table import Table
from rich.text import Text

from db.records import Promotion, RegisteredModel
from dicom_node.cli.account import ByOption, account
from dicom_node.cli.context import (
    ConfigOption,
    ExitCode,
    JsonOption,
    complain,
    exit_codes,
    out,
    print_json,
    print_table,
    settings_or_exit,
)
from dicom_node.cli.labelled_cases import read_cases
from dicom_node.cli.model_words import (
    card_summary,
    cases_table,
    checks_table,
    in_words,
    models_table,
    plain_model,
    plain_promotion,
    promotion_line,
)
from dicom_node.cli.progress import stage_bars
from dicom_node.cli.registry import Registry, open_registry
from dicom_node.models.adding import add_model, register_shipped
from dicom_node.models.checks import ModelVerdict, check_model
from dicom_node.models.choice import registered_choice, registry_choice, shipped_digest
from dicom_node.models.evaluation import mean_dsc
from dicom_node.node.job_words import shown_time
from dicom_node.node.storage import require_storage
from segmentation.bundle import CARD_NAME
from segmentation.errors import BadBundle
from segmentation.untrusted import printable

app = typer.Typer(help="Register a model bundle, check it, make it live, roll back.", no_args_is_help=True)

_NO_MODELS = "no models: `wmh-node models add FOLDER` registers a bundle"

What = Annotated[
    str, typer.Argument(metavar="DIGEST|NAME[@VERSION]", help="A digest or its first digits (4 or more), or a name.")
]


@app.command("list")
def list_models(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List registered models, newest first, and say which one is live."""
    with open_registry(config) as registry:
        models, live = registry.table.list(), registry.table.live_digest()
    if as_json:
        print_json({"live": live, "pinned": registry.settings.model, "models": [plain_model(m, live) for m in models]})
        return
    print_table(models_table(models, live) if models else _NO_MODELS)
    if live is None:
        out.print("live: none was promoted yet, so the shipped reference model is used")
    registry.warn_if_pinned()


CasesOption = Annotated[
    Path | None,
    typer.Option("--cases", help="Labelled cases to compare both models on.", exists=True, file_okay=False),
]
PatientsOption = Annotated[
    Path | None, typer.Option("--patients", help="CSV; default: patients.csv in the folder of --cases.")
]
MarginOption = Annotated[
    float, typer.Option("--margin", min=0, max=1, help="How far the mean DSC may be below the live model's.")
]


@app.command()
def show(what: What, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show a model: its manifest, the beginning of its model card, its evaluation, and when it was live."""
    with open_registry(config) as registry:
        model = registry.table.find(what)
        promotions, live = registry.table.promotions(model.digest), registry.table.live_digest()
        try:
            manifest = registry.store.load(model.digest).manifest.model_dump(mode="json")
            damage = None
        except BadBundle as error:
            manifest, damage = None, str(error)
    card = None if damage else _card(registry, model)
    if as_json:
        print_json(
            {
                **plain_model(model, live),
                "folder": registry.store.folder_of(model.digest),
                "damage": damage,
                "manifest": manifest,
                "card": card,
                "evaluation": model.evaluation,
                "promotions": [plain_promotion(promotion) for promotion in promotions],
            }
        )
        return
    _print_model(registry, model, manifest, live)
    if damage is not None:
        complain(damage)
    if card is not None:
        _print_card(card)
    _print_history(promotions)
    registry.warn_if_pinned()


@app.command()
def add(
    folder: Annotated[Path, typer.Argument(help="The bundle's folder.", exists=True, file_okay=False)],
    evaluation: Annotated[
        Path | None,
        typer.Option("--evaluation", help="evaluation.json of `wmh-node evaluate`.", exists=True, dir_okay=False),
    ] = None,
    by: ByOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check a bundle, copy it into STORAGE/models and register it. The same bundle again changes nothing."""
    settings = settings_or_exit(config)
    with exit_codes():
        require_storage(settings.storage, settings.database_url)
    with open_registry(config, make=True) as registry:
        added = add_model(folder, evaluation, registry.store, registry.table, by or account())
        model = registry.table.get(added.digest)
        live = registry.table.live_digest()
    if as_json:
        print_json({**plain_model(model, live), "is_new": added.is_new, "stored": str(added.stored)})
        return
    out.print(f"{model.name} {model.version}, digest {model.digest}", markup=False)
    out.print(added.words, markup=False)


@app.command()
def promote(
    what: What,
    cases: CasesOption = None,
    patients: PatientsOption = None,
    margin: MarginOption = 0.02,
    force: Annotated[bool, typer.Option("--force", help="Promote although a check fails; needs --reason.")] = False,
    reason: Annotated[str | None, typer.Option("--reason", help="Reason, for the audit.")] = None,
    by: ByOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a registered model the live one, once it has passed its checks; workers take it between two jobs.

    The checks: it loads, it reproduces its own golden predictions, it finds the lesions of a drawn head, and on --cases
    its mean DSC is not below that of the live model by more than the margin. Exit 1 when it fails, also without
    --cases. --force --reason promotes what failed, but nothing that cannot be loaded.
    """
    if force and not (reason or "").strip():
        complain("--force: expected --reason TEXT with it, for the audit; got none")
        raise typer.Exit(ExitCode.USAGE)
    if patients is not None and cases is None:
        complain("--patients: expected --cases DIR with it, whose patients the CSV names; got none")
        raise typer.Exit(ExitCode.USAGE)
    with open_registry(config) as registry:
        model, live = registry.table.find(what), registry.table.live()
        if live is not None and live.digest == model.digest:
            _report(registry, model, live, None, as_json, f"{model} is live already; nothing was changed")
            return
        verdict = _check(registry, model, live, cases, patients, margin)
        if not as_json:
            _print_verdict(verdict)
        if not verdict.passed and not (force and verdict.can_be_overruled):
            _refuse(model, verdict, as_json)
        who = by or account()
        before = live.digest if live else register_shipped(registry.store, registry.table, model.digest, who)
        promotion = registry.table.promote(
            model.digest,
            who,
            before,
            reason=reason,
            gate=verdict.plain(),
            overruled=[str(check) for check in verdict.failed],
        )
        forced = ", although a check failed" if promotion.forced else ""
        _report(registry, model, promotion, plain_promotion(promotion), as_json, f"{model} is live now{forced}")


@app.command()
def check(
    what: What,
    cases: CasesOption = None,
    patients: PatientsOption = None,
    margin: MarginOption = 0.02,
    by: ByOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make the checks of `promote` and keep their report; the live model stays. The page promotes by this report.

    Exit 1 when a check fails.
    """
    if patients is not None and cases is None:
        complain("--patients: expected --cases DIR with it, whose patients the CSV names; got none")
        raise typer.Exit(ExitCode.USAGE)
    with open_registry(config) as registry:
        model, live = registry.table.find(what), registry.table.live()
        verdict = _check(registry, model, live, cases, patients, margin)
        # By digest also the shipped one: after an upgrade of the node it is another model.
        against = shipped_digest() if live is None else live.digest
        registry.table.note_checks(model.digest, by or account(), against, verdict.plain())
    if as_json:
        print_json({"model": model.digest, "gate": verdict.plain()})
    else:
        _print_verdict(verdict)
    if not verdict.passed:
        raise typer.Exit(ExitCode.FAILED)


@app.command()
def rollback(
    reason: Annotated[str | None, typer.Option("--reason", help="Reason, for the audit.")] = None,
    by: ByOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make the model live again that was live before the last promotion; workers take it between two jobs.

    Before the first promotion that was the shipped one.
    """
    with open_registry(config) as registry:
        # One read for both: a promotion after it makes the rollback fail, because the live model differs.
        history = registry.table.promotions()
        live = history[0] if history else None
        for earlier in history:
            if live is not None and earlier.id == live.previous_id:
                registry.store.load(earlier.digest)  # no worker could take a damaged one
        promotion = registry.table.rollback(by or account(), None if live is None else live.digest, reason)
        model = registry.table.get(promotion.digest)
        _report(registry, model, promotion, plain_promotion(promotion), as_json, f"{model} is live again")


def _refuse(model: RegisteredModel, verdict: ModelVerdict, as_json: bool) -> NoReturn:
    if as_json:
        print_json({"promoted": False, "model": model.digest, "gate": verdict.plain()})
    for check in verdict.failed:
        complain(str(check))
    if verdict.can_be_overruled:
        complain(f"{model} was not promoted. --force --reason TEXT promotes it anyway")
    else:
        complain(
            f"{model} was not promoted, and --force does not promote a model that cannot be loaded: no job could start"
        )
    raise typer.Exit(ExitCode.FAILED)


def _check(
    registry: Registry,
    model: RegisteredModel,
    live: Promotion | None,
    cases: Path | None,
    patients: Path | None,
    margin: float,
) -> ModelVerdict:

    with stage_bars() as progress, TemporaryDirectory(prefix="wmh-node-cases-") as cache:
        return check_model(
            candidate=registered_choice(registry.settings, model.digest),
            live=registry_choice(registry.settings, None if live is None else live.digest),
            runtime=registry.settings.runtime,
            threads=registry.settings.threads,
            # No part of a split is chosen, so that none is drawn, whatever the seed.
            cases=() if cases is None else read_cases(cases, patients, None, 0, Path(cache), progress),
            margin=margin,
            progress=progress,
        )


def _report(
    registry: Registry,
    model: RegisteredModel,
    promotion: Promotion,
    made: dict[str, Any] | None,
    as_json: bool,
    words: str,
) -> None:
    """What was changed; `made` is the row that was written, None when none was."""
    if as_json:
        print_json(
            {
                "promoted": made is not None,
                "model": model.digest,
                "pinned": registry.settings.model,
                "gate": promotion.gate,
                "promotion": made,
            }
        )
    else:
        out.print(words, markup=False)
    registry.warn_if_pinned()


def _print_verdict(verdict: ModelVerdict) -> None:

    if verdict.cases:
        out.print(cases_table(verdict))
    out.print(checks_table(verdict))


def _card(registry: Registry, model: RegisteredModel) -> str:

    return (registry.store.folder_of(model.digest) / CARD_NAME).read_text("utf-8", errors="replace")


def _print_model(registry: Registry, model: RegisteredModel, manifest: dict[str, Any] | None, live: str | None) -> None:

    table = Table(box=None, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    dsc = mean_dsc(model.evaluation)
    rows: dict[str, Any] = {
        "name": model.name,
        "version": model.version,
        "digest": model.digest,
        "live": "yes" if model.digest == live else "no",
        "added": f"{shown_time(model.added_at)} by {model.added_by}",
        "folder": registry.store.folder_of(model.digest),
        "size": f"{model.size_bytes / 1e6:.1f} MB",
        "DSC of its evaluation": "not evaluated" if dsc is None else dsc,
    }
    for name, value in (manifest or {}).items():
        if name not in {"files", "name", "version", "schema_version"} and value is not None:
            rows[name.replace("_", " ")] = in_words(value)
    for name, value in rows.items():
        table.add_row(name, Text(printable(str(value))))
    out.print(table)


def _print_card(card: str) -> None:

    out.print()
    out.print(card_summary(card), markup=False)


def _print_history(promotions: list[Promotion]) -> None:

    out.print()
    if not promotions:
        out.print("never promoted")
    for promotion in promotions:
        out.print(promotion_line(promotion), markup=False)
