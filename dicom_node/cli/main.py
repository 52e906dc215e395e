"""`wmh-node`: the table of commands.

Only the module of the command that was asked for is imported, so that `wmh-node receive` stays small (no TensorFlow, no
OpenVINO) and every command starts fast. `--help` imports none of them.
"""

from __future__ import annotations

import gc
import importlib
import sys
from dataclasses import dataclass
from importlib.metadata import version
from typing import Annotated

import typer

from dicom_node.cli.context import exit_codes
from dicom_node.node.files import keep_from_others
from dicom_node.node.logger import configure_logs_late


@dataclass(frozen=True)
class Mount:
    """Where a command lives: `attribute` of `module` is a function, or a Typer app for a group of commands."""

    name: str
    module: str
    attribute: str
    summary: str


def _command(name: str, summary: str, *, module: str | None = None, group: bool = False) -> Mount:
    return Mount(name, f"dicom_node.cli.{module or name}", "app" if group else name, summary)


COMMANDS = (
    _command("setup", "Ask six questions, try each answer live, and write the settings file with comments."),
    _command("serve", "Run receiver, worker, deliverer and page; each is started again when it ends."),
    _command("status", "Show whether the node is well: roles, queue, failures, disk, last result."),
    _command("receive", "Receive DICOM by C-STORE into the inbox, until a signal ends it."),
    _command("work", "Decide which series are complete and analyse them, until a signal ends it."),
    _command("deliver", "Send results to the destinations, until a signal ends it."),
    _command("web", "Serve the page, until a signal ends it."),
    _command("accounts", "Add, list and remove accounts and tokens of the page.", group=True),
    _command("demo", "Send a FLAIR series through a node on this machine to a stand-in PACS; show the measurements."),
    _command("viewer", "Show a FLAIR series and its results in OHIF, on this machine only."),
    _command("phantom", "Write a synthetic FLAIR series of a head with white matter hyperintensities of known volume."),
    _command("send", "Send DICOM objects to a peer by C-STORE."),
    _command("segment", "Segment FLAIR series from files into SEG, SR, measurements and pictures."),
    _command("train", "Train an ensemble on labelled cases; ends with a model bundle in RUN/bundle."),
    _command("evaluate", "Evaluate a model on labelled cases: every table and figure of the paper, and more."),
    _command("compare", "Compare models on the same labelled cases: paired tests and every case."),
    _command("jobs", "Show the job of each series, its state and the reason for it.", group=True),
    _command("notifications", "Show what is wrong and who was informed; test the channels.", group=True),
    _command("audit", "Show, verify and export the audit trail.", group=True),
    _command("purge", "Remove files that the retention rules allow to go, or show what they would remove."),
    _command("hold", "Keep every file of a study, whatever the retention rules", module="purge"),
    _command("destinations", "Show where results go, and test what a destination takes.", group=True),
    _command("results", "Withdraw results that are wrong, from every destination that has them.", group=True),
    _command("cohort", "Fetch studies of an archive one after the other, behind the live work.", group=True),
    _command("backup", "Back the node up, check a backup, make a node from it.", group=True),
    _command("feedback", "Show and export segmentations that radiologists corrected and sent back.", group=True),
    _command("models", "Register a model bundle, check it, make it live, roll back.", group=True),
    _command("db", "Upgrade and check the database's schema.", module="database", group=True),
    _command("conformance", "Write the DICOM conformance statement (PS3.2) of this version with these settings"),
    _command("config", "Show the settings and check that they work.", group=True),
)


def build_app(asked: str | None = None) -> typer.Typer:
    """The Typer app with the command that was asked for, or with every command; imports their modules."""
    app = _root_app()
    for mount in COMMANDS:
        if asked not in (None, mount.name):
            continue
        target = getattr(importlib.import_module(mount.module), mount.attribute)
        if isinstance(target, typer.Typer):
            app.add_typer(target, name=mount.name)
        else:
            app.command(mount.name)(target)
    return app


def build_overview() -> typer.Typer:
    """The Typer app for `--help` and for a mistyped command: names and summaries, no command's module."""
    app = _root_app()
    for mount in COMMANDS:
        app.command(mount.name, help=mount.summary)(_nothing)
    return app


def _nothing() -> None:
    """Stand in for a command that is only listed."""


def _root_app() -> typer.Typer:
    app = typer.Typer(
        name="wmh-node",
        help="A DICOM node that segments white matter hyperintensities on brain FLAIR. Research use only.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
    )
    app.callback()(_root)
    return app


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"wmh-node {version('wmh-node')}")
        raise typer.Exit


def _root(
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """A DICOM node that segments white matter hyperintensities on brain FLAIR. Research use only."""
    keep_from_others()  # every command, and every process that it starts


def main() -> None:
    """Entry point of the console script."""
    # Before anything else: pydicom's warnings quote element values, on a terminal as in a log.
    configure_logs_late()
    asked = next((argument for argument in sys.argv[1:] if not argument.startswith("-")), None)
    try:
        with exit_codes():
            app = build_app(asked) if any(mount.name == asked for mount in COMMANDS) else build_overview()
            gc.freeze()
            gc.enable()  # `__main__` disabled it
            app(prog_name="wmh-node")
    except typer.Exit as ended:  # raised while the command's module was imported, where Click does not catch it
        sys.exit(ended.exit_code)
