"""The role `deliver`: one thread per destination, so that a slow one does not hold up the others; and upkeep."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial

from db.clock import clamp_deliveries
from db.commitment_answers import CommitmentAnswerTable
from db.deliveries import DeliveryTable
from db.engine import open_database
from db.engine.bell import Wake
from db.proofs import ProofTable
from dicom_node.deliver.commit.reporter import CommitmentReporter
from dicom_node.deliver.deliverer import Deliverer
from dicom_node.deliver.patience import DeliveryPatience
from dicom_node.deliver.paused import PausedDestinations
from dicom_node.deliver.prover import Prover
from dicom_node.node.clock import clock_watch
from dicom_node.node.held_deliveries import deliveries_are_held
from dicom_node.node.liveness import Liveness
from dicom_node.node.logger import get_logger
from dicom_node.node.objects.opening import shared_storage_of
from dicom_node.node.settings import Settings
from dicom_node.serve.auditing import run_audit_archive, run_audit_export
from dicom_node.serve.fetching import run_retriever
from dicom_node.serve.loop import run_until_stopped
from dicom_node.serve.notifying import run_notifier
from dicom_node.serve.peer_calls import PeerCalls
from dicom_node.serve.role import lease_owner
from dicom_node.serve.schema import require_current
from dicom_node.serve.sharing import run_sharing
from dicom_node.serve.threads import run_threads
from dicom_node.serve.time_keeper import TimeKeeper
from dicom_node.serve.upkeep import run_upkeep
from dicom_node.serve.wake_ups import WakeUps

log = get_logger()

_MOST_THREADS = 8
_BESIDE = (run_upkeep, run_notifier, run_audit_export, run_retriever, run_audit_archive, run_sharing)
# A set of large objects over a slow line; each message has its own time-out.
_SENDING_SECONDS = 3600.0
_HELD_SECONDS = 5.0


def run_deliver(settings: Settings, stop: threading.Event, liveness: Liveness) -> None:
    """Deliver until `stop` is set; a row that is being sent is finished first."""
    require_current(settings.database_url)
    database = open_database(settings.database_url)
    deliveries = DeliveryTable(database)
    destinations = {destination.name: destination for destination in settings.destinations}
    paused, patience = PausedDestinations(), DeliveryPatience.of(settings)
    proof_seconds = max(settings.commit_hours * 3600, patience.longest_seconds)
    keeper = TimeKeeper(lambda: clamp_deliveries(database, patience.wait_after, settings.lease_seconds, proof_seconds))

    shared = shared_storage_of(settings)
    proofs, peers = ProofTable(database), PeerCalls(settings)
    reporter = CommitmentReporter(CommitmentAnswerTable(database), settings.report_addresses(), peers.report)

    wake_ups = WakeUps(database, stop)

    def one(index: int, woken: threading.Event) -> None:
        deliverer = Deliverer(
            owner=lease_owner("deliver", index),
            deliveries=deliveries,
            destinations=destinations,
            storage=settings.storage.absolute(),
            send=peers.send,
            patience=patience,
            lease_seconds=settings.lease_seconds,
            paused=paused,
            has_settled=clock_watch().has_settled,
            fetch=None if shared is None else shared.fetch_files,
        )
        prover = Prover(
            owner=lease_owner("prove", index),
            proofs=proofs,
            destinations=destinations,
            storage=settings.storage.absolute(),
            ask=peers.ask,
            find_missing=peers.find_missing,
            patience=patience,
            commit_seconds=settings.commit_hours * 3600,
            lease_seconds=settings.lease_seconds,
            paused=paused,
            beat=deliveries.heartbeat,
            now=database.clock,
        )
        steps = [deliverer.step, prover.step, *([reporter.step] if index == 0 else [])]
        moved = liveness.loop(f"delivery {index}", _SENDING_SECONDS)
        step = _unless_held(settings, lambda: min(step() for step in steps))
        run_until_stopped(keeper.before(step), stop, moved, woken)

    count = max(1, min(len(destinations), _MOST_THREADS))
    log.info("deliverer ready", destinations=sorted(destinations))
    liveness.report_ready()
    senders = [partial(one, index, wake_ups.event(Wake.DELIVERIES)) for index in range(count)]
    beside = [partial(run, settings, database, stop, liveness) for run in _BESIDE]
    run_threads([wake_ups.run, *senders, *beside], stop)


def _unless_held(settings: Settings, step: Callable[[], float]) -> Callable[[], float]:
    """A node that was restored sends nothing before a person lets it."""

    def careful() -> float:
        return _HELD_SECONDS if deliveries_are_held(settings.storage) else step()

    return careful
