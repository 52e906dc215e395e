"""Notifications beside the deliveries: what `wmh-node status` finds wrong goes to people by the channels."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Final

from db.alarms import AlarmTable
from db.engine import Database
from db.notifications import NotificationTable
from db.records import Alarm, AlarmSeverity, Observed
from dicom_node.node.liveness import Liveness
from dicom_node.node.logger import get_logger
from dicom_node.node.settings import Settings
from dicom_node.notify.notifier import Notifier, channels_of, node_name, policy_of
from dicom_node.serve.checks import Level, NodeState, look_at_node
from dicom_node.serve.loop import run_until_stopped

log = get_logger()

_STEP_SECONDS: Final = 600.0
_SEVERITY: Final = {Level.WARNING: AlarmSeverity.WARNING, Level.CRITICAL: AlarmSeverity.CRITICAL}


def run_notifier(settings: Settings, database: Database, stop: threading.Event, liveness: Liveness) -> None:
    """Look and send until `stop` is set; without a channel there is nothing to do."""
    channels = channels_of(settings)
    if not channels:
        return
    log.info("notifications", channels=[channel.name for channel in channels])
    alarms = AlarmTable(database)
    notifier = Notifier(
        alarms,
        NotificationTable(database),
        channels,
        policy_of(settings),
        node_name(settings),
        lambda: observed(look_at_node(settings), alarms.list),
        database.clock,
    )
    run_until_stopped(notifier.step, stop, liveness.loop("notifications", _STEP_SECONDS))


def observed(state: NodeState, known: Callable[[], Sequence[Alarm]] = tuple) -> list[Observed]:
    """Every check that is not well is a condition; its name is the key.

    Args:
        known: the conditions of before. Those that this look could not see, because the database did not answer, hold
            on: nothing says that they are over.
    """
    found = [
        Observed(check.name, _SEVERITY[check.level], check.words)
        for check in state.checks
        if check.level is not Level.OK
    ]
    if state.overview is not None:
        return found
    seen = {check.name for check in state.checks}
    unseen = (alarm for alarm in known() if alarm.key not in seen and alarm.gone_at is None)
    return [*found, *(Observed(alarm.key, alarm.severity, alarm.words) for alarm in unseen)]
