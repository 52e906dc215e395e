"""`wmh-node status`: one screen that says whether the node is well, with an exit code for monitoring."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import typer
from rich.text import Text

from dicom_node.cli.context import ConfigOption, JsonOption, out, print_json, settings_or_exit
from dicom_node.serve.checks import Level, NodeState, look_at_node

_STYLE = {Level.OK: "green", Level.WARNING: "yellow", Level.CRITICAL: "bold red"}
_HEADLINE = {
    Level.OK: "the node is well",
    Level.WARNING: "the node works, but needs a person",
    Level.CRITICAL: "the node does not do its work",
}


def status(config: ConfigOption = None, json: JsonOption = False) -> None:
    """Show whether the node is well: roles, queue, failures, disk, last result.

    Exit code 0: well; 1: it works, but needs a person; 2: it does not do its work, or the settings are wrong.
    """
    state = look_at_node(settings_or_exit(config))
    if json:
        print_json(_as_json(state))
    else:
        _print(state)
    raise typer.Exit(int(state.level))


def _print(state: NodeState) -> None:
    out.print(f"wmh-node: {_HEADLINE[state.level]}", style=_STYLE[state.level], markup=False)
    width = max(len(check.name) for check in state.checks)
    for check in state.checks:  # not a table of Rich's, which cuts to 80 columns where its output is read by a program
        line = Text(f"{check.level!s:<9}", style=_STYLE[check.level])
        out.print(line.append(f"{check.name:<{width}}  {check.words}", style="none"))


def _as_json(state: NodeState) -> dict[str, Any]:
    found = state.overview
    return {
        "state": str(state.level),
        "checks": [{"name": check.name, "state": str(check.level), "words": check.words} for check in state.checks],
        "roles": [asdict(role) for role in state.roles],
        "jobs": None if found is None else {str(job.state): job.count for job in found.jobs},
        "deliveries": None
        if found is None
        else [
            {"destination": delivery.destination, "state": str(delivery.state), "count": delivery.count}
            for delivery in found.deliveries
        ],
        "waiting_series": None if found is None else found.waiting_series,
        "last_received_at": None if found is None else found.last_received_at,
        "last_result_at": None if found is None else found.last_result_at,
    }
