"""Studies of cohorts from archives, beside the deliveries: it waits for peers most of the time, and loads nothing."""

from __future__ import annotations

import threading
from typing import Final

from db.cohorts import CohortTable
from db.engine import Database
from dicom_node.deliver.send.association import Call, Timeouts
from dicom_node.node.clock import clock_watch
from dicom_node.node.liveness import Liveness
from dicom_node.node.settings import Settings
from dicom_node.retrieve.archive import Archive
from dicom_node.retrieve.retriever import Retriever
from dicom_node.serve.loop import run_until_stopped
from dicom_node.serve.role import lease_owner

# A series of the largest scanners from a slow archive, one message each.
_STEP_SECONDS: Final = 3600.0


def run_retriever(settings: Settings, database: Database, stop: threading.Event, liveness: Liveness) -> None:
    """Fetch until `stop` is set."""
    archives = {
        one.name: Archive(Call(one, settings.ae_title, Timeouts(), settings.client_tls(one)))
        for one in settings.dicom_destinations
    }
    if not archives:
        return
    retriever = Retriever(
        lease_owner("retrieve"),
        CohortTable(database),
        archives,
        settings.lease_seconds,
        has_settled=clock_watch().has_settled,
    )
    run_until_stopped(retriever.step, stop, liveness.loop("cohorts", _STEP_SECONDS))
