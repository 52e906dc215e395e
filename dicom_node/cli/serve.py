"""`wmh-node serve`: everything in one supervised command."""

from __future__ import annotations

import threading
from contextlib import ExitStack

import typer

from dicom_node.cli.context import ConfigOption, err, exit_codes, settings_or_exit
from dicom_node.node.files import make_folder
from dicom_node.node.logs import configure_logs
from dicom_node.node.settings import Settings, compact
from dicom_node.node.storage import require_storage
from dicom_node.serve.endpoints import Endpoints
from dicom_node.serve.metrics_folder import metrics_folder
from dicom_node.serve.only_node import only_node, require_only_receiver, require_role_here
from dicom_node.serve.ports import require_free, wait_until_listening
from dicom_node.serve.role import stop_on_signal
from dicom_node.serve.schema import prepare_database
from dicom_node.serve.supervisor import Supervisor, role_command

_ROLES = ("receive", "work", "deliver", "web")
_LISTENING_SECONDS = 60.0


def serve(config: ConfigOption = None) -> None:
    """Run receiver, worker, deliverer and page; each is started again when it ends.

    An SQLite database is made and upgraded on the way; for PostgreSQL, run `wmh-node db upgrade` first.
    """
    settings = settings_or_exit(config)
    configure_logs(settings.log_level, settings.log_format, role="serve")
    with exit_codes(), ExitStack() as held:
        require_role_here("serve", settings)
        require_storage(settings.storage, settings.database_url)
        make_folder(settings.storage)
        held.enter_context(only_node(settings.storage))
        require_only_receiver(settings)
        for port in _ports(settings):
            require_free(settings.bind, port)
        prepare_database(settings.database_url)
        stop = stop_on_signal()
        roles = [role for role in _ROLES if role != "web" or settings.web_port]
        commands = {role: role_command(role, None if config is None else str(config)) for role in roles}
        with metrics_folder(settings), Endpoints("serve", settings), Supervisor(commands) as supervisor:
            threading.Thread(target=_announce, args=(settings, stop), daemon=True).start()
            code = supervisor.run(stop)
    raise typer.Exit(code)


def _announce(settings: Settings, stop: threading.Event) -> None:
    """Say where we listen, once we do."""
    for port in _ports(settings):
        if not wait_until_listening(settings.bind, port, _LISTENING_SECONDS, stop.is_set):
            return
    peers = compact(settings.peers) or "any AE"
    results = compact(settings.destinations) or "nowhere: set WMH_NODE_DESTINATIONS to send them to a PACS"
    for port, how in _ports(settings).items():
        err.print(f"{settings.ae_title} listens on {settings.bind}:{port}{how} for {peers}", markup=False)
    err.print(f"results go to {results}", markup=False)
    if settings.web_port:
        err.print(f"page at {settings.web_url or f'http://{settings.web_bind}:{settings.web_port}'}", markup=False)
    err.print(f"files in {settings.storage.absolute()}", markup=False)


def _ports(settings: Settings) -> dict[int, str]:
    """DICOM ports that are open, and what to say of them."""
    ports = {settings.dicom_port: "", settings.dicom_tls_port or 0: " (TLS)"}
    return {port: how for port, how in ports.items() if port}
