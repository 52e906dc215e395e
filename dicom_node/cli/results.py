"""`wmh-node results withdraw`."""

from __future__ import annotations

import re
from contextlib import closing
from typing import Annotated, Any

import typer

from db.engine import open_database
from db.errors import DatabaseError
from db.withdrawals import Withdrawal, WithdrawalTable
from dicom_node.cli.account import ByOption, account
from dicom_node.cli.context import (
    ConfigOption,
    ExitCode,
    JsonOption,
    complain,
    exit_codes,
    out,
    print_json,
    settings_or_exit,
)
from dicom_node.cli.jobs import require_schema
from dicom_node.node.errors import WmhNodeError
from dicom_node.node.settings import Settings
from dicom_node.results.withdrawing import holders_of_wrong, withdraw_results

app = typer.Typer(help="Withdraw results that are wrong, from every destination that has them.", no_args_is_help=True)

_DIGEST = re.compile(r"[0-9a-f]{8,64}")


@app.callback()
def _group() -> None:
    """Withdraw results that are wrong, from every destination that has them."""


@app.command()
def withdraw(
    reason: Annotated[str, typer.Option("--reason", help="Why; the note at the PACS, the job and the audit hold it.")],
    job_ids: Annotated[list[int] | None, typer.Argument(metavar="[JOB]...", help="Numbers of jobs.")] = None,
    model: Annotated[
        str | None, typer.Option("--model", help="All results of this model: its digest, or at least 8 digits of it.")
    ] = None,
    patient_safety: Annotated[
        bool, typer.Option("--patient-safety", help="They must not be seen any more (113037), not only bad (113001).")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list the affected jobs and destinations.")] = False,
    by: ByOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Withdraw results: every destination that has them gets a rejection note (IHE IOCM), nothing more of them is sent,
    and no later scan is compared with them.

    Exit code 1 when a result could not be withdrawn; the others are.
    """
    if (model is None) == (not job_ids):
        complain("expected numbers of jobs, or --model DIGEST, one of them")
        raise typer.Exit(ExitCode.USAGE)
    if model is not None and not _DIGEST.fullmatch(model.lower()):
        complain(f"--model: expected 8 to 64 hexadecimal digits (`wmh-node models list`), got {model!r}")
        raise typer.Exit(ExitCode.USAGE)
    if not reason.strip():
        complain("--reason: expected a text, got none")
        raise typer.Exit(ExitCode.USAGE)
    settings = settings_or_exit(config)
    with exit_codes(), closing(open_database(settings.database_url)) as database:
        require_schema(settings.database_url)
        table = WithdrawalTable(database)
        ids = list(job_ids or []) or [job.id for job in table.of_model((model or "").lower())]
        rows = [
            _dry(table, job_id)
            if dry_run
            else _withdraw(settings, table, job_id, by or account(), reason.strip(), patient_safety)
            for job_id in ids
        ]
    if as_json:
        print_json(rows)
    else:
        _print(rows, dry_run)
    if any(row["problem"] for row in rows):
        raise typer.Exit(ExitCode.FAILED)


def _dry(table: WithdrawalTable, job_id: int) -> dict[str, Any]:
    try:
        table.job(job_id)
        names = [holder.destination for holder in holders_of_wrong(table, job_id)]
    except DatabaseError as error:
        return _row(job_id, problem=str(error))
    return _row(job_id, destinations=names)


def _withdraw(
    settings: Settings, table: WithdrawalTable, job_id: int, by: str, reason: str, patient_safety: bool
) -> dict[str, Any]:
    """One job; what keeps it from being withdrawn does not keep the others."""
    storage = settings.storage.absolute()
    try:
        done: Withdrawal = withdraw_results(
            table, storage, job_id, by, reason, table.now(), patient_safety=patient_safety
        )
    except (WmhNodeError, DatabaseError) as error:
        return _row(job_id, problem=str(error))
    return _row(job_id, destinations=list(done.destinations), compared_with_it=list(done.compared_with_it))


def _row(job_id: int, **found: Any) -> dict[str, Any]:
    return {"job": job_id, "destinations": [], "compared_with_it": [], "problem": None, **found}


def _print(rows: list[dict[str, Any]], dry_run: bool) -> None:
    for row in rows:
        if row["problem"]:
            complain(f"job {row['job']}: {row['problem']}")
            continue
        names = ", ".join(row["destinations"])
        verb = "would go" if dry_run else "goes"
        goes = f"a rejection note {verb} to {names}" if names else "no destination has its results"
        out.print(f"job {row['job']}{'' if dry_run else ' withdrawn'}: {goes}", markup=False)
        if row["compared_with_it"]:
            others = ", ".join(map(str, row["compared_with_it"]))
            out.print(f"  results of these jobs give a change since it: {others}; look at them too", markup=False)
    if not rows:
        out.print("no results of that model: `wmh-node jobs explain JOB` has the first digits of a model's digest")
