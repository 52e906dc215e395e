"""The whole way with a viewer at its end: Orthanc as the PACS routes a series to the node, gets the results, and OHIF
shows both."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from db.engine import open_database
from db.records import JobState
from dicom_node.demo.given import given
from dicom_node.demo.node import NodeProcess, node_variables
from dicom_node.demo.outcomes import SeriesOutcome, collect, wait_for_jobs
from dicom_node.demo.run import NODE_AE_TITLE, SENDER_AE_TITLE, send_series
from dicom_node.demo.viewer.opening import fullest_image
from dicom_node.demo.viewer.orthanc import Orthanc, OrthancParts, find_orthanc, run_orthanc
from dicom_node.demo.viewer.web import Site, serve_site
from dicom_node.node.destinations import Destination
from dicom_node.node.errors import NotFlair, ViewerError
from dicom_node.node.profiles import ObjectKind, kind_of_file
from dicom_node.node.progress import StageProgress
from dicom_node.series.dicom import values
from dicom_node.series.dicom.folder import SeriesFiles, find_series
from dicom_node.serve.ports import free_port, require_free

_HOST: Final = "127.0.0.1"
# What routing.lua sends to the node.
_ROUTED: Final = "MR"


@dataclass(frozen=True)
class ViewerParts:
    """What has to be there: OHIF's built viewer, Orthanc, and the configuration of both (deploy/viewer)."""

    ohif: Path
    orthanc: OrthancParts
    configuration: Path


@dataclass(frozen=True)
class Viewer:
    """A running viewer.

    Attributes:
        url: opens the study with the first result; the list of studies where there is none.
        series: the outcome of each series that was sent.
        truth: of the phantom, when it was sent.
        orthanc: the PACS behind it.
        require_alive: raises ViewerError or WmhNodeError when Orthanc or the node has ended.
    """

    url: str
    series: tuple[SeriesOutcome, ...]
    truth: dict[str, Any] | None
    orthanc: Orthanc
    require_alive: Callable[[], None]


def find_parts(ohif: Path, configuration: Path) -> ViewerParts:
    """The parts of a viewer, as installed.

    Args:
        ohif: folder of OHIF's built viewer.
        configuration: folder with app-config.js, orthanc.json and routing.lua.

    Raises:
        ViewerError: names the part that is missing, and how to get it.
    """
    if not (ohif / "index.html").is_file():
        raise ViewerError(f"OHIF's built viewer is not in {ohif}: expected index.html there; `make peers` fetches it")
    for name in ("app-config.js", "orthanc.json", "routing.lua"):
        if not (configuration / name).is_file():
            raise ViewerError(f"the viewer's configuration is not in {configuration}: expected {name} (deploy/viewer)")
    # Absolute: Orthanc looks for files from its configuration on.
    return ViewerParts(ohif.absolute(), find_orthanc(), configuration.absolute())


@contextmanager
def open_viewer(
    parts: ViewerParts, out: Path, input_folder: Path | None, port: int, progress: StageProgress
) -> Iterator[Viewer]:
    """Run Orthanc, the node and OHIF while the block lasts; it begins when every series has been analysed.

    Args:
        parts: see `find_parts`.
        out: gets results, node.log and orthanc.log; everything else lies in a folder that is removed at the end.
        input_folder: DICOM of the user; None for a phantom.
        port: where the browser finds it, on the loopback address only.
        progress: stages "phantom", "sending", "analysing".

    Raises:
        NotFlair: there is no MR series to send.
        ConfigurationError: the port is taken.
        ViewerError, WmhNodeError: a part did not start, ended, or did not finish in time.
    """
    require_free(_HOST, port, "choose another --port")
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="wmh-node-viewer-") as temporary:
        work = Path(temporary)
        sent = given(input_folder, work / "phantom", progress)
        routed = _routed(sent.files)
        node_port, dicom_port, http_port = free_port(), free_port(), free_port()
        destination = f"orthanc=ORTHANC@{_HOST}:{dicom_port}+ohif"
        variables = node_variables(work, NODE_AE_TITLE, node_port, destination)
        # Peers that Orthanc accepts objects from; the sender's port is never called.
        peers = {"wmhnode": (NODE_AE_TITLE, node_port), "sender": (SENDER_AE_TITLE, node_port)}
        with (
            run_orthanc(
                parts.orthanc, parts.configuration, work / "orthanc", out / "orthanc.log", dicom_port, http_port, peers
            ) as orthanc,
            NodeProcess(variables, out / "node.log", _HOST, node_port) as node,
            serve_site(Site(parts.ohif, parts.configuration / "app-config.js", http_port), port),
            closing(open_database(variables["DATABASE_URL"])) as database,
        ):

            def require_alive() -> None:
                orthanc.require_alive()
                node.require_alive()

            pacs = Destination(name="orthanc", ae_title=orthanc.ae_title, host=_HOST, port=dicom_port)
            taken = send_series(sent.files, pacs, progress)
            expected = [series.series_instance_uid for series in routed if series.series_instance_uid in taken]
            jobs = wait_for_jobs(expected, database, require_alive, progress)
            outcomes = tuple(collect(jobs, database, work / "storage", orthanc, out))
            yield Viewer(_url(port, outcomes, routed), outcomes, sent.truth, orthanc, require_alive)


def _routed(files: Sequence[Path]) -> tuple[SeriesFiles, ...]:
    """The series that Orthanc will route to the node."""
    found = find_series(files).series
    routed = tuple(series for series in found if values.text(series.headers[0], "Modality") == _ROUTED)
    if not routed:
        raise NotFlair("no_mr_series", f"None of the {len(found)} series is an MR series: there is nothing to analyse.")
    return routed


def _url(port: int, outcomes: Sequence[SeriesOutcome], routed: Sequence[SeriesFiles]) -> str:
    """Of the study with the first result, at its slice with most WMH (OHIF: initialSeriesInstanceUID, ...SOP...)."""
    studies = {series.series_instance_uid: values.text(series.headers[0], "StudyInstanceUID") for series in routed}
    done = next((outcome for outcome in outcomes if outcome.state == JobState.DONE), None)
    study = next(iter(studies.values())) if done is None else studies[done.series_instance_uid]
    url = f"http://{_HOST}:{port}/viewer?StudyInstanceUIDs={study}"
    image = None if done is None else _first_image(done)
    if done is None or image is None:
        return url
    return f"{url}&initialSeriesInstanceUID={done.series_instance_uid}&initialSOPInstanceUID={image}"


def _first_image(outcome: SeriesOutcome) -> str | None:
    segs = [name for name in outcome.objects if kind_of_file(name) is ObjectKind.SEG]
    return fullest_image(outcome.folder / segs[0]) if outcome.folder is not None and segs else None
