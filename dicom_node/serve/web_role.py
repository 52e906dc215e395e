"""The role `web`: the page, on a loopback address unless `WEB_BIND` says otherwise."""

from __future__ import annotations

import threading
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Final

import uvicorn

from db.engine import open_database
from dicom_node.node.liveness import Liveness
from dicom_node.node.logger import get_logger
from dicom_node.node.settings import Settings, sources
from dicom_node.serve.checks import look_at_node
from dicom_node.serve.ports import require_free, wait_until_listening
from dicom_node.serve.schema import require_current
from dicom_node.web.app import build_app
from dicom_node.web.calling import call_destination
from dicom_node.web.node_look import HealthLine
from dicom_node.web.site import Site

log = get_logger()

_STOP_SECONDS: Final = 5
_LOOP_SECONDS: Final = 60.0
_LISTENING_SECONDS: Final = 30.0
_MOST_CONNECTIONS: Final = 300


def run_web(settings: Settings, stop: threading.Event, liveness: Liveness, config: Path | None = None) -> None:
    """Serve the page until `stop` is set.

    Raises:
        ConfigurationError: the port is taken.
    """
    require_current(settings.database_url)
    require_free(settings.web_bind, settings.web_port, "set WMH_NODE_WEB_BIND or WMH_NODE_WEB_PORT (0: no page)")
    with closing(open_database(settings.database_url)) as database:
        site = Site(
            settings=settings,
            sources=sources(config),
            database=database,
            health=partial(health, settings),
            test_destination=partial(call_destination, settings),
            stopping=stop,
        )
        with closing(site.slices):
            _serve(site, stop, liveness)


def _serve(site: Site, stop: threading.Event, liveness: Liveness) -> None:
    settings = site.settings
    server = uvicorn.Server(
        uvicorn.Config(
            build_app(site),
            host=settings.web_bind,
            port=settings.web_port,
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=_STOP_SECONDS,
            limit_concurrency=_MOST_CONNECTIONS,
        )
    )
    # In a thread: there uvicorn leaves the signals to us.
    thread = threading.Thread(target=server.run, name="page", daemon=True)
    thread.start()
    moved = liveness.loop("page", _LOOP_SECONDS)
    if wait_until_listening(settings.web_bind, settings.web_port, _LISTENING_SECONDS, stop.is_set):
        log.info("page ready", url=_url(settings))
        liveness.report_ready()
        _offer_first_account(site)
    while thread.is_alive() and not stop.wait(1.0):
        moved()
    server.should_exit = True
    thread.join(2 * _STOP_SECONDS)


def _url(settings: Settings) -> str:
    host = f"[{settings.web_bind}]" if ":" in settings.web_bind else settings.web_bind
    return settings.web_url or f"http://{host}:{settings.web_port}"


def _offer_first_account(site: Site) -> None:
    if site.accounts.any() or site.provider is not None:
        return
    if site.is_on_loopback:
        link = f"{_url(site.settings)}/first?key={site.first_link.open()}"
        log.warning("there is no account for the page yet: open this link once, on this machine", link=link)
    else:
        log.warning("there is no account for the page yet: run `wmh-node accounts add NAME --role admin`")


def health(settings: Settings) -> list[HealthLine]:
    """The checks of `wmh-node status`, for the page."""
    return [HealthLine(check.name, str(check.level), check.words) for check in look_at_node(settings).checks]
