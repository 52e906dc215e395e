"""`wmh-node backup create | verify | restore | release`."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

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
from dicom_node.cli.purge import shown_bytes
from dicom_node.node.held_deliveries import release_deliveries
from dicom_node.upkeep.backup.backup import Manifest
from dicom_node.upkeep.backup.backup import create as create_backup
from dicom_node.upkeep.backup.backup import restore as restore_backup
from dicom_node.upkeep.backup.backup import verify as verify_backup

app = typer.Typer(help="Back the node up, check a backup, make a node from it.", no_args_is_help=True)

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="Folder of the backup.")]


@app.command()
def create(folder: Folder, by: ByOption = None, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Copy database and files into a new folder; the node may run. Exit 1 when files were missing."""
    settings = settings_or_exit(config)
    with exit_codes():
        require_schema(settings.database_url)
        manifest = create_backup(settings.database_url, settings.storage.absolute(), folder, by or account())
    _report(manifest, "backed up", as_json)
    if manifest.missing:
        complain(f"{len(manifest.missing)} files were missing in STORAGE, such as {manifest.missing[0]}")
        raise typer.Exit(ExitCode.FAILED)


@app.command()
def verify(folder: Folder, as_json: JsonOption = False) -> None:
    """Read every byte of a backup; exit 1 when something is missing or changed."""
    with exit_codes():
        manifest = verify_backup(folder)
    _report(manifest, "sound", as_json)


@app.command()
def restore(
    folder: Folder,
    into: Annotated[Path, typer.Option("--into", help="New or empty folder: the STORAGE of the restored node.")],
    check: Annotated[bool, typer.Option("--check", help="Only check the backup; restore nothing.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a node from a backup, in an empty folder and an empty database. Nothing is sent before `backup release`."""
    if check:
        verify(folder, as_json)
        return
    # SQLite goes into the folder; a PostgreSQL database is the one of the settings.
    settings = settings_or_exit(config)
    is_sqlite = settings.database_url.startswith("sqlite")
    url = f"sqlite:///{(into / 'node.sqlite').absolute()}" if is_sqlite else settings.database_url
    with exit_codes():
        manifest = restore_backup(folder, into.absolute(), url)
    _report(manifest, "restored", as_json)
    if not as_json:
        out.print(
            f"Next: set STORAGE to {into.absolute()} and start the node; it sends nothing until "
            "`wmh-node backup release`",
            markup=False,
        )


@app.command()
def release(config: ConfigOption = None) -> None:
    """Let a restored node send results."""
    settings = settings_or_exit(config)
    with exit_codes():
        was_held = release_deliveries(settings.storage.absolute())
    words = "results are sent again" if was_held else "nothing was held: is this the STORAGE that was restored?"
    out.print(f"{settings.storage.absolute()}: {words}", markup=False)


def _report(manifest: Manifest, what: str, as_json: bool) -> None:
    size = sum(file.size_bytes for file in manifest.files)
    if as_json:
        print_json({
            "at": manifest.at, "version": manifest.version, "revision": manifest.revision,
            "files": len(manifest.files), "bytes": size, "missing": list(manifest.missing),
        })  # fmt: skip
        return
    at = f"{datetime.fromisoformat(manifest.at).astimezone(UTC):%Y-%m-%d %H:%M:%SZ}"
    out.print(f"{what}: database and {len(manifest.files)} files, {shown_bytes(size)}, of {at}", markup=False)
