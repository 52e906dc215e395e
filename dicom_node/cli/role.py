"""What `wmh-node receive`, `work`, `deliver`, `web` share: settings, logs, storage, and the signals that end a role."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from db.engine import open_database
from db.roles import RoleTable
from dicom_node.cli.context import exit_codes, settings_or_exit
from dicom_node.node.files import make_folder
from dicom_node.node.liveness import Liveness
from dicom_node.node.logs import configure_logs
from dicom_node.node.settings import Settings
from dicom_node.node.storage import require_copies, require_storage
from dicom_node.serve.endpoints import Endpoints
from dicom_node.serve.metrics_folder import own_endpoints, shared_metrics
from dicom_node.serve.only_node import require_only_receiver, require_role_here
from dicom_node.serve.presence import Presence
from dicom_node.serve.role import stop_on_signal


def run_role(role: str, config: Path | None, body: Callable[[Settings, threading.Event, Liveness], None]) -> None:
    """Run one role until a signal ends it."""
    settings = settings_or_exit(config)
    configure_logs(settings.log_level, settings.log_format, role=role)
    with exit_codes():
        require_role_here(role, settings)
        if settings.holds_copies:  # its STORAGE has nothing but what it fetched
            require_copies(settings.storage)
        else:
            require_storage(settings.storage, settings.database_url)
        make_folder(settings.storage)
        require_only_receiver(settings)
        liveness = Liveness()
        with (
            closing(open_database(settings.database_url)) as database,
            shared_metrics(settings, role),
            Endpoints(role, own_endpoints(settings), liveness.trouble),
            Presence(role, RoleTable(database), liveness),
        ):
            body(settings, stop_on_signal(), liveness)
