"""The outcome of each series that the demo sent: from its node's database, outbox, and the PACS."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from db.deliveries import DeliveryTable
from db.engine import Database
from db.jobs import JobTable
from db.records import Job, JobState
from dicom_node.node.errors import DeliveryError, WmhNodeError
from dicom_node.node.outbox import Outbox
from dicom_node.node.progress import StageProgress
from dicom_node.series.dicom.parsing import read_header

_LOOK_SECONDS = 0.2
_MOST_SECONDS = 1800.0
# How far a job has come, for the progress bar; a job that ended otherwise has come as far as it will.
_STEPS = {JobState.QUEUED: 1, JobState.RUNNING: 2, JobState.DELIVERING: 3}
_ALL_STEPS = 4
# Not sent to any PACS, but of use to a person.
_BESIDE = ("measurements.json", "overlay.png")


class Pacs(Protocol):
    """Where the node sends its results."""

    def instance(self, sop_instance_uid: str) -> bytes | None:
        """The file of an instance that it keeps; None when it has none."""


@dataclass(frozen=True)
class SeriesOutcome:
    """The outcome of one series.

    Attributes:
        state: final state of its job.
        reason: why it was not analysed, when it was not.
        folder: where the results (as the PACS keeps them), measurements.json and overlay.png are, when it was.
        objects: names of the results' files in `folder`.
        measurements: the content of measurements.json, when it was.
    """

    series_instance_uid: str
    state: str
    reason: str | None
    folder: Path | None
    objects: tuple[str, ...]
    measurements: dict[str, Any] | None


def wait_for_jobs(
    expected: Collection[str], database: Database, require_alive: Callable[[], None], progress: StageProgress
) -> list[Job]:
    """Wait until every expected series has ended in one way or another, or time is up (stage "analysing").

    Args:
        expected: SeriesInstanceUIDs.
        database: of the node.
        require_alive: raises when the node has ended.

    Raises:
        WmhNodeError: none of them ended in time.
    """
    table = JobTable(database)
    deadline = time.monotonic() + _MOST_SECONDS
    while True:
        require_alive()
        latest = {job.series_instance_uid: job for job in sorted(table.list(), key=lambda job: job.id)}
        jobs = [latest[uid] for uid in sorted(expected) if uid in latest]
        ended = [job for job in jobs if job.state not in _STEPS]
        progress("analysing", sum(_STEPS.get(job.state, _ALL_STEPS) for job in jobs), _ALL_STEPS * len(expected))
        if len(ended) == len(expected):
            return jobs
        if time.monotonic() > deadline:
            if ended:
                return jobs  # use what has finished; the others report how far they got
            raise WmhNodeError(f"{len(expected) - len(ended)} of {len(expected)} series did not finish in time")
        time.sleep(_LOOK_SECONDS)


def collect(jobs: Sequence[Job], database: Database, storage: Path, pacs: Pacs, out: Path) -> Iterator[SeriesOutcome]:
    """The outcome of each series; the first result goes to `out` itself, further ones to folders in it.

    Raises:
        DeliveryError: a result that was sent is not in the PACS.
    """
    done = 0
    for job in jobs:
        if job.state is not JobState.DONE:
            yield SeriesOutcome(job.series_instance_uid, str(job.state), job.reason, None, (), None)
            continue
        done += 1
        sent = [storage / file for delivery in DeliveryTable(database).list(job.id) for file in delivery.files]
        yield _copy_results(job, sent, storage, pacs, out if done == 1 else out / f"series-{done}")


def _copy_results(job: Job, sent: Sequence[Path], storage: Path, pacs: Pacs, folder: Path) -> SeriesOutcome:
    """Copy what the PACS got, and what the outbox holds beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    outbox = Outbox(storage / "outbox").of_job(job.id)
    if outbox is None:
        raise DeliveryError(f"job {job.id} is done, but its result set is not in the outbox")
    for name in _BESIDE:
        shutil.copyfile(outbox / name, folder / name)
    for file in sent:
        kept = pacs.instance(str(read_header(file).SOPInstanceUID))
        if kept is None:
            raise DeliveryError(f"job {job.id} is done, but its {file.name} is not in the PACS")
        (folder / file.name).write_bytes(kept)
    measurements = json.loads((folder / "measurements.json").read_text("utf-8"))
    objects = tuple(file.name for file in sent)
    return SeriesOutcome(job.series_instance_uid, str(job.state), None, folder, objects, measurements)
