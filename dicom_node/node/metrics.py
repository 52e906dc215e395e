"""What a process counts and times, for /metrics. What the tables say is not counted here: each replica reads it there.

Several processes of one node write into the files of one folder (PROMETHEUS_MULTIPROC_DIR, which `serve` sets for the
processes that it starts), so that one port answers for all of them. Labels hold names of the settings only: with the
calling AE title of any peer, anyone could make series without end.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from prometheus_client import Counter, Histogram, disable_created_metrics

FOLDER_VARIABLE: Final = "PROMETHEUS_MULTIPROC_DIR"
OTHER_PEER: Final = "other"

disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each, of which no rule asks

_STAGE_SECONDS: Final = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 180, 600)
_RESULT_SECONDS: Final = (15, 30, 60, 120, 300, 600, 1200, 1800, 3600, 4 * 3600, 24 * 3600)

_INSTANCES = Counter("wmh_instances_received", "Instances that came by C-STORE.", ["peer", "outcome"])
_ASSOCIATIONS = Counter("wmh_associations", "Associations that ended or were rejected.", ["peer", "outcome"])
_REJECTED = Counter("wmh_series_rejected", "Series that are not analysed, by reason code.", ["reason"])
_ATTEMPTS = Counter("wmh_delivery_attempts", "Attempts to send a result set.", ["destination", "outcome"])
_STAGES = Histogram("wmh_stage_duration_seconds", "Stages of an analysis.", ["stage"], buckets=_STAGE_SECONDS)
_TO_RESULT = Histogram(
    "wmh_time_to_result_seconds", "From the last image to the end of the job.", buckets=_RESULT_SECONDS
)


def peer_label(calling_ae_title: str | None, known: Collection[str]) -> str:
    """The label of a peer: its AE title where the settings name it, "other" for all others."""
    return calling_ae_title if calling_ae_title in known and calling_ae_title is not None else OTHER_PEER


def instance_received(peer: str, outcome: str) -> None:
    """Count an instance: new, duplicate, conflict or refused."""
    _INSTANCES.labels(peer, outcome).inc()


def association_ended(peer: str, outcome: str) -> None:
    """Count an association: released, aborted or rejected."""
    _ASSOCIATIONS.labels(peer, outcome).inc()


def series_rejected(code: str) -> None:
    """Count a verdict."""
    _REJECTED.labels(code).inc()


def delivery_attempted(destination: str, outcome: str) -> None:
    """Count an attempt: sent, postponed or given_up."""
    _ATTEMPTS.labels(destination, outcome).inc()


def analysed(measurements: Mapping[str, Any]) -> None:
    """Take the stages' durations of measurements.json."""
    for stage, seconds in measurements.get("seconds", {}).items():
        _STAGES.labels(stage).observe(seconds)


def result_proven(seconds: float) -> None:
    """Take the time from the last image to the result."""
    _TO_RESULT.observe(seconds)
