"""`wmh-node receive | work | deliver`: one role each, for installations on more than one machine."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from db.engine import open_database
from db.roles import RoleTable
from dicom_node.cli.context import ConfigOption, exit_codes, settings_or_exit
from dicom_node.node.files import make_folder
from dicom_node.node.liveness import Liveness
from dicom_node.node.logs import configure_logs
from dicom_node.node.settings import Settings
from dicom_node.node.storage import require_storage
from dicom_node.serve.presence import Presence
from dicom_node.serve.role import give_way_to_the_receiver, stop_when_told


def receive(config: ConfigOption = None) -> None:
    """Receive DICOM by C-STORE into the inbox, until told to stop."""
    from dicom_node.receive.run import run_receiver

    _run("receive", config, run_receiver)


def work(config: ConfigOption = None) -> None:
    """Decide which series are complete and analyse them, until told to stop."""
    from dicom_node.serve.work_role import run_work

    give_way_to_the_receiver()
    _run("work", config, run_work)


def deliver(config: ConfigOption = None) -> None:
    """Send results to the destinations, until told to stop."""
    from dicom_node.serve.deliver_role import run_deliver

    _run("deliver", config, run_deliver)


def _run(role: str, config: Path | None, body: Callable[[Settings, threading.Event, Liveness], None]) -> None:
    settings = settings_or_exit(config)
    configure_logs(settings.log_level, settings.log_format, role=role)
    with exit_codes():
        require_storage(settings.storage, settings.database_url)
        make_folder(settings.storage)
        liveness = Liveness()
        with closing(open_database(settings.database_url)) as database, Presence(role, RoleTable(database), liveness):
            body(settings, stop_when_told(), liveness)
