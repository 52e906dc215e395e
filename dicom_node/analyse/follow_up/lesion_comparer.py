"""What became of each lesion since the earlier scan: read that again, align both, compare.

The main result must not depend on it. The comparison runs in a child with limits of memory and time, and whatever
fails here becomes a sentence of the result in place of the lesions.

Protocol of the child: request: the path of a file of arrays. Answer: the correlation and every lesion as JSON, and the
labels as int32.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from db.errors import UnknownRow
from db.inbox import Inbox
from db.jobs import JobTable
from db.records import Job
from dicom_node.node.confined.child import ConfinedChild, asked_twice
from dicom_node.node.confined.inside import serve
from dicom_node.node.confined.limits import Limits
from dicom_node.node.errors import ConfinedChildLost, StorageTrouble, WmhNodeError
from dicom_node.node.logger import get_logger
from dicom_node.node.logs import describe_error
from dicom_node.node.outbox import Outbox
from dicom_node.results.common.lesion_changes import LesionChange, LesionChanges, LesionFinding, LesionsNotCompared
from dicom_node.results.pages.content import slice_names
from dicom_node.results.result_set import SEG_NAME
from dicom_node.results.seg.own_mask import read_own_mask
from dicom_node.series.dicom.pixels import MAX_VOXELS
from dicom_node.series.read.flair_series import FlairSeries
from dicom_node.series.read.received_series import ReceivedSeriesReader
from segmentation.change import SiteChange, compare_scans
from segmentation.lesions import Place, places_of
from segmentation.regions import near
from segmentation.segment import Segmentation
from segmentation.volume import FlairVolume, Stored

log = get_logger()

# Both volumes, smoothed copies of both, and labels.
LIMITS: Final = Limits(memory_bytes=1024**3 + 40 * MAX_VOXELS, seconds=300.0, answer_bytes=5 * MAX_VOXELS)


class LesionComparer:
    """Compares the lesions of two scans of this node.

    Args:
        inbox, jobs: tables: what the earlier job read.
        outbox: where its result set lies; the paths of instances start in the folder above it.
        reader: reads received files.
        log_level, log_format: for the child's own lines, see `configure_logs`.
        limits: of one comparison.
    """

    def __init__(
        self,
        inbox: Inbox,
        jobs: JobTable,
        outbox: Outbox,
        reader: ReceivedSeriesReader,
        log_level: str = "info",
        log_format: str = "text",
        limits: Limits = LIMITS,
    ) -> None:
        self._inbox, self._jobs, self._outbox, self._reader = inbox, jobs, outbox, reader
        self._child = ConfinedChild("dicom_node.analyse.follow_up.lesion_comparer", limits, log_level, log_format)

    def close(self) -> None:
        """End the child."""
        self._child.close()

    def compare(self, job: Job, series: FlairSeries, segmentation: Segmentation, earlier_job: int) -> LesionFinding:
        """Compare lesion by lesion; never fails: what goes wrong is in the answer.

        Args:
            job, series, segmentation: the present scan.
            earlier_job: whose result it is compared with.
        """
        try:
            earlier, mask = self._earlier(earlier_job)
        except FileNotFoundError:
            return LesionsNotCompared("images_gone")
        except StorageTrouble:  # the attempt ends: a second one must give the same answer as this one would have
            raise
        except (WmhNodeError, UnknownRow, OSError, MemoryError) as error:
            log.warning("earlier scan not read", job=job.id, earlier_job=earlier_job, trouble=describe_error(error))
            return LesionsNotCompared("images_unreadable")
        try:
            found = self._changes(job, series, segmentation, earlier, mask)
        except (ConfinedChildLost, OSError, MemoryError) as error:
            log.warning("lesions not compared", job=job.id, earlier_job=earlier_job, trouble=describe_error(error))
            return LesionsNotCompared("registration_failed")
        log.info("lesions compared", job=job.id, earlier_job=earlier_job, finding=found.identity)
        return found

    def _earlier(self, job_id: int) -> tuple[FlairSeries, NDArray[np.bool_]]:
        job = self._jobs.get(job_id)
        folder, storage = self._outbox.of_job(job_id), self._outbox.folder.parent
        instances = self._inbox.instances_of_job(job)
        if folder is None or not all((storage / instance.path).is_file() for instance in instances):
            raise FileNotFoundError
        series = self._reader.read(instances, storage, job.instances_digest)
        return series, read_own_mask(folder / SEG_NAME, series)

    def _changes(
        self,
        job: Job,
        series: FlairSeries,
        segmentation: Segmentation,
        earlier: FlairSeries,
        earlier_mask: NDArray[np.bool_],
    ) -> LesionFinding:
        with self._outbox.workplace(job.id) as folder:
            file = folder / "scans.npz"
            np.savez(
                file,
                earlier=earlier.stored,
                earlier_affine=earlier.affine,
                earlier_spacing=earlier.spacing_mm,
                earlier_mask=earlier_mask,
                now=series.stored,
                now_affine=series.affine,
                now_spacing=series.spacing_mm,
                now_mask=segmentation.mask,
            )
            described, labels = asked_twice(self._child, str(file).encode())
        answer = json.loads(described)
        if not answer["is_good"]:
            return LesionsNotCompared("registration_doubtful")
        voxels = np.frombuffer(labels, np.int32).reshape(series.shape)
        sites = tuple(SiteChange(**{**site, "centre": tuple(site["centre"])}) for site in answer["sites"])
        return lesion_changes(sites, voxels, answer["correlation"], series, segmentation, answer["unseen_ml"])


def lesion_changes(
    sites: Sequence[SiteChange],
    labels: NDArray[np.int32],
    correlation: float,
    series: FlairSeries,
    segmentation: Segmentation,
    unseen_ml: float = 0.0,
) -> LesionChanges:
    """The sites with their places and images.

    Args:
        sites, labels, unseen_ml: see `segmentation.change.Changes`.
        correlation: of the aligned scans.
        series, segmentation: the present scan, on whose grid the labels lie.
    """
    names = slice_names(series)
    places = _places(labels, segmentation, series)
    return LesionChanges(
        tuple(
            LesionChange(
                kind=site.kind,
                earlier_ml=site.earlier_ml,
                now_ml=site.now_ml,
                image=names[min(round(site.centre[0]), len(names) - 1)],
                label=site.label,
                place=places.get(site.label),
            )
            for site in sites
        ),
        labels,
        float(correlation),
        float(unseen_ml),
    )


def _places(labels: NDArray[np.int32], segmentation: Segmentation, series: FlairSeries) -> dict[int, Place | None]:
    if segmentation.ventricles is None or segmentation.regions is None:
        return {}
    around = near(segmentation.ventricles, series.spacing_mm, segmentation.regions.rule)
    return places_of(labels, around, series.spacing_mm, segmentation.anatomy)


def _answer(request: bytes) -> Sequence[bytes | memoryview]:
    """The child's side."""
    with np.load(Path(request.decode().rstrip("\n")), allow_pickle=False) as arrays:
        earlier, now = (_volume(arrays[name], arrays[f"{name}_spacing"]) for name in ("earlier", "now"))
        changes, registration = compare_scans(
            earlier, arrays["earlier_affine"], arrays["earlier_mask"], now, arrays["now_affine"], arrays["now_mask"]
        )
    described: dict[str, Any] = {
        "is_good": registration.is_good,
        "correlation": registration.correlation,
        "unseen_ml": changes.unseen_ml,
        "sites": [
            {
                "kind": site.kind,
                "earlier_ml": site.earlier_ml,
                "now_ml": site.now_ml,
                "centre": site.centre,
                "label": site.label,
            }
            for site in changes.sites
        ],
    }
    return [json.dumps(described).encode(), np.ascontiguousarray(changes.labels).tobytes()]


def _volume(voxels: Stored, spacing: NDArray[np.float64]) -> FlairVolume:
    depth, height, width = (float(step) for step in spacing)
    return FlairVolume(voxels, (depth, height, width))


if __name__ == "__main__":
    serve("lesions", _answer)
