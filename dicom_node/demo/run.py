"""The demo: phantom or the user's own DICOM -> C-STORE -> node -> C-STORE -> stand-in PACS, on one machine."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from db.engine import open_database
from dicom_node.deliver.send import send_files
from dicom_node.demo.given import given
from dicom_node.demo.node import NodeProcess, node_variables
from dicom_node.demo.outcomes import SeriesOutcome, collect, wait_for_jobs
from dicom_node.demo.pacs import StandInPacs
from dicom_node.node.destinations import Destination
from dicom_node.node.dicom_uids import SEGMENTATION_CLASSES
from dicom_node.node.errors import DeliveryError
from dicom_node.node.progress import StageProgress
from dicom_node.series.dicom import values
from dicom_node.series.dicom.folder import find_series
from dicom_node.serve.ports import free_port

NODE_AE_TITLE = "WMHNODE"
PACS_AE_TITLE = "DEMOPACS"
SENDER_AE_TITLE = "DEMOSCANNER"
_HOST = "127.0.0.1"


@dataclass(frozen=True)
class DemoOutcome:
    """Every series that was sent, and the phantom's truth when the phantom was."""

    series: tuple[SeriesOutcome, ...]
    truth: dict[str, Any] | None
    seconds: float


def run_demo(out: Path, input_folder: Path | None, progress: StageProgress) -> DemoOutcome:
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
        sent = given(input_folder, work / "phantom", progress)
        node_port, pacs_port = free_port(), free_port()
        variables = node_variables(work, NODE_AE_TITLE, node_port, f"pacs={PACS_AE_TITLE}@{_HOST}:{pacs_port}")
        with (
            StandInPacs(work / "pacs", PACS_AE_TITLE, pacs_port) as pacs,
            NodeProcess(variables, out / "node.log", _HOST, node_port) as node,
            closing(open_database(variables["DATABASE_URL"])) as database,
        ):
            destination = Destination(name="node", ae_title=NODE_AE_TITLE, host=_HOST, port=node_port)
            expected = send_series(sent.files, destination, progress)
            jobs = wait_for_jobs(expected, database, node.require_alive, progress)
            outcomes = tuple(collect(jobs, database, work / "storage", pacs, out))
    return DemoOutcome(outcomes, sent.truth, time.monotonic() - started)


def send_series(files: Sequence[Path], destination: Destination, progress: StageProgress) -> set[str]:
    """Send everything (stage "sending").

    Returns:
        SeriesInstanceUIDs that end as jobs: at least one instance was taken, and it is no segmentation, which the node
        takes for a correction.

    Raises:
        DeliveryError: nothing was taken.
    """
    outcomes = send_files(
        files, destination, lambda done, total: progress("sending", done, total), calling_ae_title=SENDER_AE_TITLE
    )
    taken = [outcome.path for outcome in outcomes if outcome.ok]
    if not taken:
        raise DeliveryError(
            f"{destination.ae_title} accepted none of {len(files)} files; the first answer: {outcomes[0].detail}"
        )
    return {
        series.series_instance_uid
        for series in find_series(taken).series
        if any(values.text(header, "SOPClassUID") not in SEGMENTATION_CLASSES for header in series.headers)
    }
