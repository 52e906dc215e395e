"""The demo: phantom or the user's own DICOM -> C-STORE -> node -> C-STORE -> stand-in PACS, on one machine."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from db.engine import open_database
from db.job_states import JobState
from db.jobs import Job, JobTable
from dicom_node.demo.node import NodeProcess
from dicom_node.demo.pacs import StandInPacs
from dicom_node.errors import DeliveryError, NotFlair, WmhNodeError
from dicom_node.reading.folder import find_series
from dicom_node.reading.parsing import read_header
from dicom_node.sending import send_files
from dicom_node.serving.ports import free_port
from dicom_node.settings import Destination, load_settings
from dicom_node.working.outbox import Outbox

Progress = Callable[[str, int, int], None]

NODE_AE_TITLE = "WMHNODE"
PACS_AE_TITLE = "DEMOPACS"
_HOST = "127.0.0.1"
_LOOK_SECONDS = 0.2
_MOST_SECONDS = 1800.0
# How far a job has come, for the progress bar; a job that ended otherwise has come as far as it will.
_STEPS = {JobState.QUEUED: 1, JobState.RUNNING: 2, JobState.DELIVERING: 3}
_ALL_STEPS = 4


@dataclass(frozen=True)
class SeriesOutcome:
    """What became of one series.

    Attributes:
        state: final state of its job.
        reason: why it was not analysed, when it was not.
        folder: where seg.dcm, sr.dcm, measurements.json and overlay.png lie, when it was.
        measurements: the content of measurements.json, when it was.
    """

    series_instance_uid: str
    state: str
    reason: str | None
    folder: Path | None
    measurements: dict[str, Any] | None


@dataclass(frozen=True)
class DemoOutcome:
    """Every series that was sent, and the phantom's truth when the phantom was."""

    series: tuple[SeriesOutcome, ...]
    truth: dict[str, Any] | None
    seconds: float


def run_demo(out: Path, input_folder: Path | None, progress: Progress) -> DemoOutcome:
    """Run the whole way once.

    Args:
        out: gets results, and node.log.
        input_folder: DICOM of the user; None for a phantom.
        progress: stages "phantom", "sending", "analysing".

    Raises:
        NotFlair: there is no MR series to send.
        WmhNodeError: the node did not start, ended, or did not finish in time.
    """
    started = time.monotonic()
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="wmh-node-demo-") as temporary:
        work = Path(temporary)
        files, truth = _input(input_folder, work / "phantom", progress)
        with _node_and_pacs(work, out / "node.log") as (node, pacs, destination):
            expected = _send(files, destination, progress)
            jobs = _wait(expected, JobTable(open_database(_database_url(work))), node, progress)
            outcomes = tuple(_collect(jobs, work / "storage", pacs, out))
    return DemoOutcome(outcomes, truth, time.monotonic() - started)


def _input(folder: Path | None, phantom_folder: Path, progress: Progress) -> tuple[list[Path], dict[str, Any] | None]:
    """The files to send, and the truth when they are the phantom's."""
    if folder is not None:
        found = find_series([folder])
        files = [path for series in found.series for path in series.paths]
        if not files:
            raise NotFlair("no_series", f"No DICOM image series was found under {folder}.")
        return files, None
    # Imported here: SciPy is of no use to a user's own DICOM.
    from dicom_node.phantom.phantom import PhantomSpec, make_phantom
    from dicom_node.phantom.writing import write_phantom_series

    progress("phantom", 0, 1)
    files = list(write_phantom_series(make_phantom(PhantomSpec()), phantom_folder))
    progress("phantom", 1, 1)
    return files, json.loads((phantom_folder / "truth.json").read_text("utf-8"))


@contextmanager
def _node_and_pacs(work: Path, log_file: Path) -> Iterator[tuple[NodeProcess, StandInPacs, Destination]]:
    node_port, pacs_port = free_port(), free_port()
    variables = {
        "AE_TITLE": NODE_AE_TITLE,
        "BIND": _HOST,
        "DICOM_PORT": str(node_port),
        "STORAGE": str(work / "storage"),
        "DATABASE_URL": _database_url(work),
        "DESTINATIONS": f"pacs={PACS_AE_TITLE}@{_HOST}:{pacs_port}",
        "QUIET_SECONDS_INCOMPLETE": "5",  # we are the sender, and know that nothing else will come
        **_model_variable(),
    }
    with (
        StandInPacs(work / "pacs", PACS_AE_TITLE, pacs_port) as pacs,
        NodeProcess(variables, log_file, _HOST, node_port) as node,
    ):
        yield node, pacs, Destination(name="node", ae_title=NODE_AE_TITLE, host=_HOST, port=node_port)


def _model_variable() -> dict[str, str]:
    """The demo's node has a registry of its own, where nothing is live: it is told the model of this installation."""
    # Imported here: the command that only explains itself must not wait for the runtimes.
    from dicom_node.modelling.choice import Origin, choose_model

    choice = choose_model(load_settings())
    return {} if choice.origin is Origin.SHIPPED else {"MODEL": str(choice.folder)}


def _database_url(work: Path) -> str:
    return f"sqlite:///{work / 'node.sqlite'}"


def _send(files: Sequence[Path], destination: Destination, progress: Progress) -> set[str]:
    """Send everything; returns the series of which the node took at least one instance."""
    outcomes = send_files(
        files, destination, lambda done, total: progress("sending", done, total), calling_ae_title="DEMOSCANNER"
    )
    taken = [outcome.path for outcome in outcomes if outcome.ok]
    if not taken:
        raise DeliveryError(f"the node took none of {len(files)} files; the first answer: {outcomes[0].detail}")
    return {series.series_instance_uid for series in find_series(taken).series}


def _wait(expected: set[str], table: JobTable, node: NodeProcess, progress: Progress) -> list[Job]:
    """Until every series has ended in one way or another."""
    deadline = time.monotonic() + _MOST_SECONDS
    while True:
        node.require_alive()
        latest = {job.series_instance_uid: job for job in sorted(table.list(), key=lambda job: job.id)}
        jobs = [latest[uid] for uid in sorted(expected) if uid in latest]
        ended = [job for job in jobs if job.state not in _STEPS]
        progress("analysing", sum(_STEPS.get(job.state, _ALL_STEPS) for job in jobs), _ALL_STEPS * len(expected))
        if len(ended) == len(expected):
            return jobs
        if time.monotonic() > deadline:
            raise WmhNodeError(f"{len(expected) - len(ended)} of {len(expected)} series did not end in time")
        time.sleep(_LOOK_SECONDS)


def _collect(jobs: Sequence[Job], storage: Path, pacs: StandInPacs, out: Path) -> Iterator[SeriesOutcome]:
    """What became of each series; the first result goes to `out` itself, further ones to folders in it."""
    done = 0
    for job in jobs:
        if job.state is not JobState.DONE:
            yield SeriesOutcome(job.series_instance_uid, str(job.state), job.reason, None, None)
            continue
        done += 1
        folder = out if done == 1 else out / f"series-{done}"
        yield _copy_results(job, storage, pacs, folder)


def _copy_results(job: Job, storage: Path, pacs: StandInPacs, folder: Path) -> SeriesOutcome:
    """Copy what the PACS got, and what the outbox holds beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    outbox = Outbox(storage / "outbox").of_job(job.id)
    if outbox is None:
        raise DeliveryError(f"job {job.id} is done, but its result set is not in the outbox")
    for name in ("measurements.json", "overlay.png"):
        shutil.copyfile(outbox / name, folder / name)
    for name in ("seg.dcm", "sr.dcm"):
        kept = pacs.kept(str(read_header(outbox / name).SOPInstanceUID))
        if kept is None:
            raise DeliveryError(f"job {job.id} is done, but its {name} is not in the PACS")
        shutil.copyfile(kept, folder / name)
    measurements = json.loads((folder / "measurements.json").read_text("utf-8"))
    return SeriesOutcome(job.series_instance_uid, str(job.state), None, folder, measurements)
