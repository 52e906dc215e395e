"""`wmh-node deliver`: this role alone, for an installation on several machines."""

from __future__ import annotations

from dicom_node.cli.context import ConfigOption
from dicom_node.cli.role import run_role
from dicom_node.serve.deliver_role import run_deliver


def deliver(config: ConfigOption = None) -> None:
    """Send results to the destinations, until a signal ends it."""
    run_role("deliver", config, run_deliver)
