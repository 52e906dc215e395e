"""Studies of cohorts from archives, beside the deliveries: it waits for peers most of the time, and loads nothing."""

from __future__ import annotations

import threading
from typing import Final

from db.clock import clamp_cohorts
from db.cohorts import CohortTable, Way
from db.engine import Database
from dicom_node.deliver.send.association import Call, Timeouts
from dicom_node.deliver.stow import WebCall
from dicom_node.node.clock import clock_watch
from dicom_node.node.destinations import Destination, WebDestination
from dicom_node.node.disk import DiskUse
from dicom_node.node.held_deliveries import deliveries_are_held
from dicom_node.node.liveness import Liveness
from dicom_node.node.settings import Settings
from dicom_node.receive.receiver_settings import ReceiverSettings
from dicom_node.retrieve.archive import Archive
from dicom_node.retrieve.arrivals import Arrivals
from dicom_node.retrieve.by_get import GetArchive
from dicom_node.retrieve.retriever import AskedArchive, Retriever, wait_after
from dicom_node.retrieve.web_archive import WebArchive
from dicom_node.serve.loop import run_until_stopped
from dicom_node.serve.role import lease_owner
from dicom_node.serve.time_keeper import TimeKeeper

# A series of the largest scanners from a slow archive, one message each.
_STEP_SECONDS: Final = 3600.0
_HELD_SECONDS: Final = 5.0


def run_retriever(settings: Settings, database: Database, stop: threading.Event, liveness: Liveness) -> None:
    """Fetch until `stop` is set."""
    arrivals = Arrivals(ReceiverSettings.of(settings), database)
    archives = archives_of(settings, arrivals)
    if not archives:
        return
    moved = liveness.loop("cohorts", _STEP_SECONDS)
    retriever = Retriever(
        lease_owner("retrieve"),
        CohortTable(database),
        archives,
        settings.lease_seconds,
        has_settled=clock_watch().has_settled,
        moved=moved,
    )
    keeper = TimeKeeper(lambda: clamp_cohorts(database, wait_after, settings.lease_seconds))

    def step() -> float:
        return retriever.step() if may_fetch(settings) else _HELD_SECONDS

    try:
        run_until_stopped(keeper.before(step), stop, moved)
    finally:
        arrivals.close()


def archives_of(settings: Settings, arrivals: Arrivals) -> dict[tuple[str, Way], AskedArchive]:
    """The destinations that can also be asked for studies, by each way that studies come from them."""
    found: dict[tuple[str, Way], AskedArchive] = {}
    for one in settings.destinations:
        tls = settings.client_tls(one)
        if isinstance(one, Destination):
            call = Call(one, settings.ae_title, Timeouts(), tls)
            found[one.name, Way.MOVE] = Archive(call)
            found[one.name, Way.GET] = GetArchive(call, arrivals=arrivals)
        elif isinstance(one, WebDestination):
            found[one.name, Way.WEB] = WebArchive(WebCall(one, tls), arrivals)
    return found


def may_fetch(settings: Settings) -> bool:
    """Whether a study may be begun.

    A node that was restored asks for nothing before a person lets it: the other one may still run. Above `DISK_HIGH`
    the room that is left is for the scans of today: on a full disk the receiver takes none of them.
    """
    if deliveries_are_held(settings.storage):
        return False
    try:
        return DiskUse.of(settings.storage).percent <= settings.disk_high
    except OSError:  # the disk is away: the receiver takes nothing either
        return False
