"""What the tests of deploy/ share: its folder, and programs that Python packages bring."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from support.peers import missing

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
ROLES = ("receive", "work", "deliver", "web")

# What the node measures, and so what rules and dashboards may ask for.
METRICS = {
    "wmh_jobs": {"state"},
    "wmh_oldest_job_age_seconds": {"state"},
    "wmh_deliveries": {"destination", "state"},
    "wmh_oldest_delivery_age_seconds": {"destination"},
    "wmh_worker_last_heartbeat_timestamp_seconds": {"worker"},
    "wmh_storage_free_bytes": set(),
    "wmh_storage_bytes": {"kind"},
    "wmh_last_backup_timestamp_seconds": set(),
    "wmh_certificate_expiry_timestamp_seconds": {"file"},
    "wmh_build_info": {"version"},
    "wmh_model_info": {"digest"},
    "wmh_instances_received_total": {"peer", "outcome"},
    "wmh_associations_total": {"peer", "outcome"},
    "wmh_series_rejected_total": {"reason"},
    "wmh_delivery_attempts_total": {"destination", "outcome"},
    "wmh_stage_duration_seconds": {"stage"},
    "wmh_time_to_result_seconds": set(),
}


def packaged_program(package: str, name: str) -> str:
    """Path of a program that a Python package installs; a test is skipped, or fails in CI, where it is missing."""
    try:
        files = distribution(package).files or []
    except PackageNotFoundError:
        missing(f"{package} is not installed (make install)")
    found = next((str(file.locate().resolve()) for file in files if file.name == name), None)
    if found is None:
        missing(f"{package} brings no program {name} here")
    return found
