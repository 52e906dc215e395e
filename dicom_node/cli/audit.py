"""`wmh-node audit list | verify | export | archive`."""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from db.audit import audit_entries, entries_after, rows_before, verify_chain
from db.audit_exports import AuditExportTable
from db.engine import Database, open_database
from db.records import AuditEntry
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
from dicom_node.node.job_words import shown_time
from dicom_node.node.settings import Settings
from dicom_node.upkeep.audit.archive import archive_step, archived_rows
from dicom_node.upkeep.audit.export import Repository
from dicom_node.upkeep.audit.messages import AuditSource, syslog_line

app = typer.Typer(help="Show, verify and export the audit trail.", no_args_is_help=True)

_BATCH = 500


class ExportForm(StrEnum):
    """How entries are written."""

    JSON = "json"
    SYSLOG = "syslog"


@app.command("list")
def list_entries(
    limit: Annotated[int, typer.Option("--limit", min=1, help="Largest number of entries, newest first.")] = 50,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the audit trail: people, roles, images that came, results that went; who, when, what."""
    with _database(config) as (_, database):
        entries = audit_entries(database, limit, everything=True)
    if as_json:
        print_json([asdict(entry) for entry in entries])
        return
    for entry in entries:
        what = entry.action if entry.job_id is None else f"{entry.action} job {entry.job_id}"
        out.print(f"{shown_time(entry.at)}  {entry.who}  {what}: {entry.detail}", markup=False)


@app.command()
def verify(
    holds: Annotated[
        str | None, typer.Option("--holds", help="A hash that was printed earlier: the trail must still have it.")
    ] = None,
    archives: Annotated[
        bool, typer.Option("--archives", help="Read the files in STORAGE/audit too: the trail from its first entry on.")
    ] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Read the whole audit trail and check its chain of hashes; exit 1 when an entry was changed or is missing.

    Keep the hash that it prints elsewhere: with --holds, entries that were removed from the end show too.
    """
    with _database(config) as (settings, database):
        files = archived_rows(settings.storage.absolute()) if archives else iter(())
        found = verify_chain(database, holds, files)
    if as_json:
        print_json({"whole": found.is_whole, **asdict(found)})
    elif found.broken_at is not None:
        complain(f"the audit trail is broken at entry {found.broken_at}: {found.words}; {found.entries} before it fit")
    elif not found.is_whole:
        why = "the newest ones were removed"
        if found.begins_after:
            why = f"it is in the archives, which --archives reads too, or {why}"
        complain(f"the {found.entries} entries fit, but none has the hash {holds}: {why}")
    else:
        begins = f", which follow {found.begins_after} in the archives" if found.begins_after else ""
        out.print(f"the audit trail is whole: {found.entries} entries{begins}, newest hash {found.head or 'none'}")
    if not found.is_whole:
        raise typer.Exit(ExitCode.FAILED)


@app.command()
def export(
    form: Annotated[
        ExportForm, typer.Option("--format", help="A JSON object a line, or syslog lines with DICOM audit messages.")
    ] = ExportForm.JSON,
    since: Annotated[
        datetime | None, typer.Option("--since", formats=["%Y-%m-%d"], help="From this day on (UTC).")
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Write the audit trail to stdout, oldest first, one entry a line."""
    with _database(config) as (settings, database):
        source = AuditSource(settings.ae_title, socket.gethostname(), os.getpid())
        for number, entry in _all(database):
            if since is not None and entry.at.replace(tzinfo=None) < since:
                continue
            if form is ExportForm.JSON:
                line = json.dumps({"number": number, **asdict(entry)}, ensure_ascii=False, default=str)
            else:
                line = syslog_line(number, entry, source).decode().replace("\n", " ")
            sys.stdout.write(line + "\n")


@app.command()
def archive(
    before: Annotated[datetime, typer.Option("--before", formats=["%Y-%m-%d"], help="Entries of earlier days (UTC).")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say how many.")] = False,
    by: ByOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Move old entries from the database to files in STORAGE/audit; the trail stays verifiable.

    Entries that the repository of AUDIT_REPOSITORY lacks stay. KEEP_AUDIT_DAYS does the same by itself.
    """
    day = before.replace(tzinfo=UTC)
    with _database(config) as (settings, database):
        repository = None if settings.audit_repository is None else Repository.of(settings).name
        taken = None if repository is None else AuditExportTable(database).position(repository)
        count = len(rows_before(database, day, taken, None)) if dry_run else 0
        storage, who = settings.storage.absolute(), by or account()
        while not dry_run and (moved := archive_step(database, storage, day, taken, who)):
            count += moved
    if as_json:
        print_json({"entries": count, "before": day.isoformat(), "dry_run": dry_run})
    else:
        out.print(f"{count} entries would be archived" if dry_run else f"{count} entries archived in STORAGE/audit")


def _all(database: Database) -> Iterator[tuple[int, AuditEntry]]:
    number = 0
    while batch := entries_after(database, number, _BATCH):
        yield from batch
        number = batch[-1][0]


@contextmanager
def _database(config: Path | None) -> Iterator[tuple[Settings, Database]]:
    settings = settings_or_exit(config)
    with exit_codes(), closing(open_database(settings.database_url)) as database:
        require_schema(settings.database_url)
        yield settings, database
