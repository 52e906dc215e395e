"""`wmh-node receive`: this role alone, for an installation on several machines."""

from __future__ import annotations

from dicom_node.cli.context import ConfigOption
from dicom_node.cli.role import run_role
from dicom_node.receive.run import run_receiver


def receive(config: ConfigOption = None) -> None:
    """Receive DICOM by C-STORE into the inbox, until a signal ends it."""
    run_role("receive", config, run_receiver)
