"""`wmh-node setup`: asks what a node needs, tries it live, writes the settings file."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from db.errors import DatabaseError
from dicom_node.cli.context import ExitCode, complain, err, exit_codes, out
from dicom_node.cli.setting_up.file import settings_text, write_settings
from dicom_node.cli.setting_up.questions import QUESTIONS, Question
from dicom_node.node.errors import ConfigurationError, WmhNodeError
from dicom_node.node.settings import Settings, settings_of

_TOO_LONG = 3


def setup(
    file: Annotated[
        Path, typer.Option("--out", envvar="WMH_NODE_CONFIG", help="File to write; what it has already is the default.")
    ] = Path("wmh-node.toml"),
    ae_title: Annotated[str | None, typer.Option("--ae-title", help="AE title of this node.")] = None,
    listen: Annotated[str | None, typer.Option("--listen", help="PORT or ADDRESS:PORT to receive on.")] = None,
    peers: Annotated[str | None, typer.Option("--peers", help="Who may send: AET@ADDRESS, comma-separated.")] = None,
    destinations: Annotated[
        str | None, typer.Option("--destinations", help="Where results go: NAME=AET@HOST:PORT, comma-separated.")
    ] = None,
    storage: Annotated[str | None, typer.Option("--storage", help="Folder for images and results.")] = None,
    database: Annotated[str | None, typer.Option("--database", help="sqlite, or postgresql://USER@HOST/NAME.")] = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="Ask nothing: options count, then the file, then the defaults.")
    ] = False,
    untested: Annotated[
        bool, typer.Option("--untested", help="Try nothing live, for a node that is set up elsewhere.")
    ] = False,
) -> None:
    """Ask six questions, try each answer live, and write the settings file with comments.

    Tried: the port is free, names resolve, destinations answer C-ECHO and accept the results, the folder takes files,
    the database answers. Exit code 1: something does not work, and nothing was written.
    """
    given = {
        "ae-title": ae_title, "listen": listen, "peers": peers, "destinations": destinations, "storage": storage,
        "database": database,
    }  # fmt: skip
    is_asking = not yes and sys.stdin.isatty()
    with exit_codes():
        values = _of_file(file)
        for question in QUESTIONS:
            values = _answered(question, values, given[question.name], is_asking=is_asking, untested=untested)
        settings = settings_of(values)
        write_settings(file, settings_text(values))
    _say_what_next(file, settings)


def _answered(
    question: Question, values: dict[str, Any], given: str | None, *, is_asking: bool, untested: bool
) -> dict[str, Any]:
    """The values with the answer to one question, tried; asked again as long as it does not work.

    Raises:
        typer.Exit: it does not work, and no person can be asked.
    """
    answer = given
    for attempt in range(1, 100):
        if answer is None and is_asking:
            answer = typer.prompt(question.words, default=question.show(values), err=True)
        try:
            tried = _with_answer(question, values, answer)
            settings = settings_of(tried)
        except ConfigurationError as error:
            complain(f"{question.name}: {error}")
            if not is_asking:
                raise typer.Exit(ExitCode.USAGE) from error
            answer = None
            continue
        if untested or _works(question, settings):
            return tried
        if not is_asking:
            complain("nothing was written; --untested writes the file without trying")
            raise typer.Exit(ExitCode.FAILED)
        if typer.confirm("Keep this answer, although it does not work now?", default=attempt >= _TOO_LONG, err=True):
            return tried
        answer = None
    raise typer.Exit(ExitCode.FAILED)


def _with_answer(question: Question, values: Mapping[str, Any], answer: str | None) -> dict[str, Any]:
    """None, or the answer that is shown already, changes nothing: a destination may be more than its short form."""
    if answer is None or answer == question.show(values):
        missing = {} if any(name in values for name in question.names) else question.read(question.show(values))
        return {**missing, **values}
    others = {name: value for name, value in values.items() if name not in question.names}
    return {**others, **question.read(answer)}


def _works(question: Question, settings: Settings) -> bool:
    good = True
    for look in question.tries(settings):
        try:
            words = look()
        except (WmhNodeError, DatabaseError, OSError) as error:
            good = False
            err.print("[red]no[/]    ", end="")
            err.print(str(error), markup=False)
        else:
            err.print("[green]ok[/]    ", end="")
            err.print(words, markup=False)
    return good


def _of_file(file: Path) -> dict[str, Any]:
    try:
        with file.open("rb") as opened:
            return {name.lower(): value for name, value in tomllib.load(opened).items()}
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(f"cannot read {file}: {error}; move it away, or correct it") from error


def _say_what_next(file: Path, settings: Settings) -> None:
    out.print(f"{file} is written. Next:", markup=False)
    steps = [] if settings.database_url.startswith("sqlite") else [f"wmh-node db upgrade --config {file}"]
    steps += [f"wmh-node config check --config {file}", f"wmh-node serve --config {file}"]
    for step in steps:
        out.print(f"  {step}", markup=False)
    if settings.peers == () and settings.bind not in ("127.0.0.1", "::1"):
        complain("note: every machine that reaches the port may send; name them in peers")
