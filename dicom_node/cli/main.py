"""`wmh-node`: the table of commands.

Only the module of the command that was asked for is imported, so that `wmh-node receive` stays small (no TensorFlow, no
OpenVINO) and every command starts fast. `--help` imports all of them; they import heavy things inside their functions.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Annotated, Any

import typer

from dicom_node.cli.context import exit_codes
from dicom_node.node.files import keep_from_others
from dicom_node.node.logs import configure_logs


@dataclass(frozen=True)
class Mount:
    """Where a command lives: `attribute` of `module` is a function, or a Typer app for a group of commands."""

    name: str
    module: str
    attribute: str


COMMANDS = (
    Mount("serve", "dicom_node.cli.serve", "serve"),
    Mount("receive", "dicom_node.cli.roles", "receive"),
    Mount("work", "dicom_node.cli.roles", "work"),
    Mount("deliver", "dicom_node.cli.roles", "deliver"),
    Mount("demo", "dicom_node.cli.demo", "demo"),
    Mount("viewer", "dicom_node.cli.viewer", "viewer"),
    Mount("phantom", "dicom_node.cli.phantom", "phantom"),
    Mount("send", "dicom_node.cli.send", "send"),
    Mount("segment", "dicom_node.cli.segment", "segment"),
    Mount("train", "dicom_node.cli.train", "train"),
    Mount("evaluate", "dicom_node.cli.evaluate", "evaluate"),
    Mount("compare", "dicom_node.cli.compare", "compare"),
    Mount("jobs", "dicom_node.cli.jobs", "app"),
    Mount("feedback", "dicom_node.cli.feedback", "app"),
    Mount("models", "dicom_node.cli.models", "app"),
    Mount("db", "dicom_node.cli.database", "app"),
    Mount("config", "dicom_node.cli.config", "app"),
)


def build_app(asked: str | None = None) -> typer.Typer:
    """The Typer app with the command that was asked for; with all of them when none, or an unknown one, was."""
    app = typer.Typer(
        name="wmh-node",
        help="A DICOM node that segments white matter hyperintensities on brain FLAIR. Research use only.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
    )
    app.callback()(_root)
    named = [mount for mount in COMMANDS if mount.name == asked]
    for mount in named or COMMANDS:
        target = getattr(importlib.import_module(mount.module), mount.attribute)
        if isinstance(target, typer.Typer):
            app.add_typer(target, name=mount.name)
        else:
            app.command(mount.name)(target)
    return app


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"wmh-node {version('wmh-node')}")
        raise typer.Exit


def _root(
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and end.")
    ] = False,
) -> None:
    """A DICOM node that segments white matter hyperintensities on brain FLAIR. Research use only."""
    keep_from_others()  # every command, and every process that it starts


def main() -> None:
    """Entry point of the console script."""
    # Before anything else: pydicom's warnings quote element values, on a terminal as in a log.
    configure_logs("warning")
    asked = next((argument for argument in sys.argv[1:] if not argument.startswith("-")), None)
    app: Callable[..., Any] = build_app(asked)
    with exit_codes():
        app(prog_name="wmh-node")
