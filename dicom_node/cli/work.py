"""`wmh-node work`: this role alone, for an installation on several machines."""

from __future__ import annotations

from dicom_node.cli.context import ConfigOption
from dicom_node.cli.role import run_role
from dicom_node.serve.role import give_way_to_the_receiver
from dicom_node.serve.work_role import run_work


def work(config: ConfigOption = None) -> None:
    """Decide which series are complete and analyse them, until a signal ends it."""
    give_way_to_the_receiver()
    run_role("work", config, run_work)
