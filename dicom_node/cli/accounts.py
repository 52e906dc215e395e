"""`wmh-node accounts add | list | remove | unlock | token`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from db.accounts import AccountTable
from db.engine import open_database
from db.engine.migrate import upgrade
from db.engine.schema_version import check
from db.errors import SchemaOutOfDate
from db.records import Account, AccountRole
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
from dicom_node.cli.jobs import no_database
from dicom_node.node.errors import ConfigurationError
from dicom_node.node.files import make_folder
from dicom_node.node.job_words import shown_time
from dicom_node.web.people.passwords import hash_password, require_name, require_password
from dicom_node.web.people.secrets import digest_of, new_secret

app = typer.Typer(help="Add, list and remove accounts and tokens of the page.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the account.")]


@app.command()
def add(
    name: Name,
    role: Annotated[AccountRole, typer.Option("--role", help="What the account may do.")] = AccountRole.VIEWER,
    from_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from the first line of standard input.")
    ] = False,
    by: ByOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add an account, or give an existing one a new password and role; its sessions end."""
    try:
        require_name(name)
        password = sys.stdin.readline().rstrip("\n") if from_stdin else _asked()
        require_password(password)
    except ConfigurationError as error:
        complain(str(error))
        raise typer.Exit(ExitCode.USAGE) from error
    with _accounts(config, make=True) as table:
        added = table.add(name, hash_password(password), role, by or account())
    if as_json:
        print_json({"name": added.name, "role": str(added.role)})
    else:
        out.print(f"{added.name} may log in as {added.role}", markup=False)


@app.command("list")
def list_accounts(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List accounts and tokens, without their secrets."""
    with _accounts(config) as table:
        found, tokens = table.list(), table.tokens()
    if as_json:
        print_json(
            {
                "accounts": [
                    {
                        "name": account.name, "role": str(account.role), "created_at": account.created_at.isoformat(),
                        "last_login_at": account.last_login_at and account.last_login_at.isoformat(),
                        "locked_until": account.locked_until and account.locked_until.isoformat(),
                        "login": _login_of(account),
                    }
                    for account in found
                ],
                "tokens": [dict(token) for token in tokens],
            }
        )  # fmt: skip
        return
    table_ = Table(box=None)
    for heading in ("account", "role", "logs in with", "last login", ""):
        table_.add_column(heading, no_wrap=True)
    for row in found:
        locked = "locked until " + shown_time(row.locked_until) if row.locked_until else ""
        last = shown_time(row.last_login_at) if row.last_login_at else "never"
        table_.add_row(row.name, str(row.role), _login_of(row).replace("_", " "), last, locked)
    print_table(table_ if found else "no accounts: `wmh-node accounts add NAME --role admin` adds one")
    for token in tokens:
        used = shown_time(token["used_at"]) if token["used_at"] else "never"
        out.print(f"token {token['digest']} of {token['account']}: {token['label']}, last used {used}", markup=False)


@app.command()
def remove(name: Name, by: ByOption = None, config: ConfigOption = None) -> None:
    """Remove an account, with its sessions and tokens."""
    with _accounts(config) as table:
        table.remove(name, by or account())
    out.print(f"{name} is removed", markup=False)


@app.command()
def unlock(name: Name, by: ByOption = None, config: ConfigOption = None) -> None:
    """Let an account log in again that too many wrong passwords have locked."""
    with _accounts(config) as table:
        table.unlock(name, by or account())
    out.print(f"{name} may log in", markup=False)


@app.command()
def token(
    name: Name,
    label: Annotated[str | None, typer.Option("--label", help="What the token is for; makes a token.")] = None,
    revoke: Annotated[str | None, typer.Option("--revoke", help="First digits of a token to revoke.")] = None,
    by: ByOption = None,
    config: ConfigOption = None,
) -> None:
    """Make a token with which scripts use the page's API as this account, or revoke one; it is shown only once."""
    if (label is None) == (revoke is None):
        complain("expected --label TEXT to make a token, or --revoke DIGITS to revoke one")
        raise typer.Exit(ExitCode.USAGE)
    with _accounts(config) as table:
        if revoke is not None:
            table.remove_token(revoke, by or account())
            out.print("the token is revoked")
            return
        secret = new_secret()
        table.add_token(name, str(label), digest_of(secret), by or account())
    out.print(secret, markup=False)


def _login_of(account: Account) -> str:
    return "password" if account.subject is None else "identity_provider"


def _asked() -> str:
    try:
        asked: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    except typer.Abort as error:
        raise ConfigurationError(
            "no password was given: type it twice, or let a script give it by --password-stdin"
        ) from error
    return asked


@contextmanager
def _accounts(config: Path | None, *, make: bool = False) -> Iterator[AccountTable]:
    settings = settings_or_exit(config)
    with exit_codes(), closing(open_database(settings.database_url)) as database:
        is_sqlite = settings.database_url.startswith("sqlite")
        if make and is_sqlite:
            make_folder(settings.storage)
        status = upgrade(settings.database_url) if make and is_sqlite else check(settings.database_url)
        if status.current is None:
            raise no_database(settings.database_url, status)
        if not status.is_current:
            raise SchemaOutOfDate(f"the database's schema is not current ({status}): run `wmh-node db upgrade`")
        yield AccountTable(database)
