"""`wmh-node web`: the page alone, for an installation on several machines."""

from __future__ import annotations

from functools import partial

import typer

from dicom_node.cli.context import ConfigOption, ExitCode, complain, settings_or_exit
from dicom_node.cli.role import run_role
from dicom_node.serve.role import give_way_to_the_receiver
from dicom_node.serve.web_role import run_web


def web(config: ConfigOption = None) -> None:
    """Serve the page, until a signal ends it."""
    if not settings_or_exit(config).web_port:
        complain("WMH_NODE_WEB_PORT: expected a port for the page, got 0, which means no page")
        raise typer.Exit(ExitCode.USAGE)
    give_way_to_the_receiver()
    run_role("web", config, partial(run_web, config=config))
