"""`wmh-node db upgrade | check`."""

from __future__ import annotations

import typer

from db.engine.migrate import upgrade as upgrade_schema
from db.engine.schema_version import SchemaStatus
from db.engine.schema_version import check as check_schema
from db.engine.url import parse_url, shown
from dicom_node.cli.context import ConfigOption, ExitCode, JsonOption, exit_codes, out, print_json, settings_or_exit

app = typer.Typer(help="Upgrade and check the database's schema.", no_args_is_help=True)


@app.command()
def upgrade(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Make the tables, or bring them to what this version needs; does nothing when they are current."""
    settings = settings_or_exit(config)
    with exit_codes():
        _report(settings.database_url, upgrade_schema(settings.database_url), as_json)


@app.command()
def check(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Say whether the tables are what this version needs; exit 1 when they are not. Changes nothing."""
    settings = settings_or_exit(config)
    with exit_codes():
        status = check_schema(settings.database_url)
        _report(settings.database_url, status, as_json)
    if not status.is_current:
        raise typer.Exit(ExitCode.FAILED)


def _report(url: str, status: SchemaStatus, as_json: bool) -> None:

    where = shown(parse_url(url))
    if as_json:
        print_json({"database": where, "current": status.current, "head": status.head, "is_current": status.is_current})
        return
    out.print(f"{where}: {status}", markup=False)
