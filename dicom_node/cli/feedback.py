"""`wmh-node feedback list | show | export | retry`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from db.engine import Database, open_database
from db.feedback import FeedbackTable
from db.inbox import Inbox
from db.jobs import JobTable
from db.reviews import ReviewTable
from dicom_node.analyse.follow_up.patient_key import open_hasher
from dicom_node.cli.account import ByOption, account
from dicom_node.cli.context import (
    ConfigOption,
    ExitCode,
    JsonOption,
    complain,
    err,
    exit_codes,
    out,
    print_json,
    print_table,
    settings_or_exit,
)
from dicom_node.cli.feedback_words import figures, plain_feedback, standing
from dicom_node.cli.jobs import require_schema
from dicom_node.cli.progress import stage_bars
from dicom_node.feedback.export import Exporter
from dicom_node.node.job_words import shown_time
from dicom_node.node.settings import Settings
from dicom_node.series.read.received_series import ReceivedSeriesReader

app = typer.Typer(help="Show and export segmentations that radiologists corrected and sent back.", no_args_is_help=True)


FeedbackIds = Annotated[list[int], typer.Argument(metavar="FEEDBACK...", help="Numbers of corrections.")]


@dataclass(frozen=True)
class _Opened:
    settings: Settings
    database: Database
    feedback: FeedbackTable


@app.command("list")
def list_feedback(
    everything: Annotated[
        bool,
        typer.Option("--all", help="Also list superseded corrections, and the node's own results that were sent back."),
    ] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many, newest first.")] = 50,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List corrections, newest first: who sent which, and how it compares with the model's own mask."""
    with _opened(config) as opened:
        found = opened.feedback.list(everything=everything, limit=limit)
    if as_json:
        print_json([plain_feedback(row) for row in found])
        return
    table = Table(box=None)
    for heading in ("feedback", "state", "received", "who", "DSC", "model mL", "corrected mL", "model"):
        table.add_column(heading, no_wrap=True)
    table.add_column("series", overflow="fold")  # never cut: it is there to be copied
    table.add_column("reason")
    for row in found:
        table.add_row(
            str(row.id), Text(standing(row)), shown_time(row.received_at), Text(row.who), *figures(row),
            Text(_model(row.comparison)), Text(row.source_series_uid or "-"), Text(row.reason or ""),
        )  # fmt: skip
    print_table(table if found else "no feedback")


@app.command()
def show(
    feedback_id: Annotated[int, typer.Argument(metavar="FEEDBACK", help="Number of the correction.")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show everything that is known of one correction."""
    with _opened(config) as opened:
        one = opened.feedback.get(feedback_id)
    if as_json:
        print_json(plain_feedback(one))
        return
    table = Table(box=None, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in plain_feedback(one).items():
        if name == "comparison" and value is not None:
            for figure, number in value.items():
                shown = f"{number:.3f}" if isinstance(number, float) else str(number)
                table.add_row(f"compared {figure}", Text(_model(value) if figure == "model" else shown))
        elif name == "notes":
            for note in value:
                table.add_row("note", Text(note))
        elif value is not None and name != "refers_to":
            table.add_row(name, Text(standing(one) if name == "state" else str(value)))
    out.print(table)


@app.command()
def export(
    out_folder: Annotated[Path, typer.Option("--out", help="Folder of training cases; may hold an earlier export.")],
    accepted: Annotated[
        bool, typer.Option("--accepted", help="Also results that readers accepted as they are, with the model's mask.")
    ] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write the corrections that count as training cases, ready for `wmh-node train`; without patient data."""
    with _opened(config) as opened, closing(ReceivedSeriesReader()) as reader, stage_bars() as progress:
        storage = opened.settings.storage.absolute()
        exporter = Exporter(
            opened.feedback, Inbox(opened.database), JobTable(opened.database), storage, open_hasher(storage), reader
        )
        done = exporter.export(
            out_folder,
            lambda count, total: progress("cases", count, total),
            reviews=ReviewTable(opened.database) if accepted else None,
        )
    if as_json:
        print_json(
            {
                "folder": out_folder,
                "written": done.written,
                "unchanged": done.unchanged,
                "failed": [_plain_failure(words, reason) for words, reason in done.failed],
            }
        )
    else:
        out.print(f"{len(done.written)} cases written, {len(done.unchanged)} unchanged, in {out_folder}", markup=False)
        err.print("Check patients.csv (site, split); next: wmh-node train. Research use only.", markup=False)
    for words, reason in done.failed:
        complain(f"{words} was not exported: {reason}")
    if done.failed:
        raise typer.Exit(ExitCode.FAILED)


def _plain_failure(words: str, reason: str) -> dict[str, Any]:
    kind, _, number = words.partition(" ")
    return {kind: int(number), "reason": reason}


@app.command()
def retry(feedback_ids: FeedbackIds, by: ByOption = None, config: ConfigOption = None) -> None:
    """Look again at corrections that wait or were refused."""
    with _opened(config) as opened:
        for number in feedback_ids:
            opened.feedback.look_again(number, by or account())
            out.print(f"feedback {number} will be checked again")


@contextmanager
def _opened(config: Path | None) -> Iterator[_Opened]:

    settings = settings_or_exit(config)
    with exit_codes(), closing(open_database(settings.database_url)) as database:
        require_schema(settings.database_url)
        yield _Opened(settings, database, FeedbackTable(database))


def _model(comparison: Any) -> str:
    if comparison is None:
        return ""
    model = comparison["model"]
    return f"{model['name']} {model['version']} ({model['digest'][:12]})"
