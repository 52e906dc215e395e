"""Rows of the tables to frozen records."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row

from db.delivery import Delivery, DeliveryState
from db.job import Job
from db.job_states import JobState


def job_of(row: Row[Any]) -> Job:
    """A row of `jobs`."""
    values = dict(row._mapping)
    return Job(**{**values, "state": JobState(values["state"])})


def delivery_of(row: Row[Any]) -> Delivery:
    """A row of `deliveries`."""
    values = dict(row._mapping)
    return Delivery(**{**values, "state": DeliveryState(values["state"]), "files": tuple(values["files"])})
