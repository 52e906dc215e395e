"""The refusal report: what destinations are sent about a series that cannot be analysed, in a folder of the outbox."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from pydicom.dataset import Dataset

from db.jobs import JobTable
from db.records import Job, StoredInstance
from dicom_node.node.errors import (
    ConfinedChildLost,
    NoRefusalReport,
    NotAnalysable,
    RefusalReportDelayed,
    WmhNodeError,
)
from dicom_node.node.files import write_whole
from dicom_node.node.logger import get_logger
from dicom_node.node.logs import describe_error
from dicom_node.node.outbox import Outbox
from dicom_node.node.profiles import DeliveryOptions
from dicom_node.node.storage import StorageProbe
from dicom_node.results.check.result_checks import check_result_set
from dicom_node.results.common.predecessor import ReportReference
from dicom_node.results.refusal_report import RefusalReport, RefusedSeries, build_refusal_report
from dicom_node.results.result_set import part10_bytes
from dicom_node.series.read.instances import first_instances
from dicom_node.series.read.received_series import ReceivedSeriesReader, uids_of
from segmentation.ensemble import Ensemble

log = get_logger()


@dataclass(frozen=True)
class WrittenRefusal:
    """What was written.

    Attributes:
        names: every file.
        deliverable: what each destination is sent, by its name, in sending order.
        report: refers to the report; None when no destination takes reports.
    """

    names: tuple[str, ...]
    deliverable: Mapping[str, tuple[str, ...]]
    report: ReportReference | None


@dataclass(frozen=True)
class PublishedRefusal:
    """What a rejected job has in the outbox.

    Attributes:
        folder: None when nothing is sent.
        deliverable: see `WrittenRefusal`.
        report: the UIDs of the report, where there is one.
        remark: why nothing is sent, for the timeline.
    """

    folder: Path | None = None
    deliverable: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    report: Mapping[str, str] | None = None
    remark: str = ""


class RefusalReporter:
    """Publishes refusal reports.

    Args:
        jobs: knows earlier reports.
        reader: reads one header of the series, within limits.
        outbox: where reports go; the paths of instances start in the folder above it.
        destinations: what each is sent, by its name.
        probe: of the storage.
    """

    def __init__(
        self,
        jobs: JobTable,
        reader: ReceivedSeriesReader,
        outbox: Outbox,
        destinations: Mapping[str, DeliveryOptions],
        probe: StorageProbe,
    ) -> None:
        self._jobs = jobs
        self._reader = reader
        self._outbox = outbox
        self._destinations = refusal_destinations(destinations)
        self._probe = probe

    def publish(
        self, job: Job, instances: Sequence[StoredInstance], refusal: NotAnalysable, ensemble: Ensemble
    ) -> PublishedRefusal:
        """Publish the report about a job, or say why there is none: the job is rejected in both cases.

        Args:
            job: claimed.
            instances: of the job.
            refusal: why it is rejected.
            ensemble: the model that would have analysed it.

        Raises:
            StorageTrouble: nothing can be written now.
            RefusalReportDelayed: another attempt of the job may write it.
        """
        if not self._destinations:
            return PublishedRefusal()
        try:
            return self._publish(job, instances, refusal, ensemble)
        except NoRefusalReport as why:
            log.warning("no refusal report is sent", job=job.id, why=str(why))
            return PublishedRefusal(remark=f"no refusal report is sent: {why}")
        except ConfinedChildLost as lost:  # this machine is short of something
            if job.attempts < job.max_attempts:
                raise RefusalReportDelayed(refusal, lost) from lost
            what = str(lost)
        except Exception as error:  # a part of the worker's edge
            self._probe.require(error)
            what = str(error) if isinstance(error, WmhNodeError) else describe_error(error)
        log.error("no refusal report could be written", job=job.id, what=what)
        return PublishedRefusal(remark=f"no refusal report could be written: {what}")

    def _publish(
        self, job: Job, instances: Sequence[StoredInstance], refusal: NotAnalysable, ensemble: Ensemble
    ) -> PublishedRefusal:
        header = self._reader.first_header(instances, self._outbox.folder.parent)
        refused = refused_series(header, instances, job.instances_digest, refusal)
        earlier, answered = ReportReference.of(self._jobs.earlier_report(job)), ReportReference.of(job.answered)
        with self._outbox.workplace(job.id) as workplace:
            written = write_refusal_report(
                refused, ensemble, job.created_at, self._destinations, workplace, earlier, answered
            )
            folder = self._outbox.publish(job.id, workplace, written.names)
        return PublishedRefusal(folder, written.deliverable, None if written.report is None else written.report.uids)


def refusal_destinations(destinations: Mapping[str, DeliveryOptions]) -> dict[str, DeliveryOptions]:
    """The destinations whose profile accepts a refusal report."""
    return {name: options for name, options in destinations.items() if options.profile.sends_refusals}


def refused_series(
    header: Dataset, instances: Sequence[StoredInstance], instances_digest: str, reason: NotAnalysable
) -> RefusedSeries:
    """A series as its answer is about it.

    Args:
        header: the first that could be read.
        instances: of the job, conflicts included.
        instances_digest: of the job.
        reason: why it is not analysed.
    """
    others = [instance for instance in first_instances(instances) if instance.sop_instance_uid != header.SOPInstanceUID]
    return RefusedSeries((header, *map(_named, others)), instances_digest, reason)


def write_refusal_report(
    refused: RefusedSeries,
    ensemble: Ensemble,
    looked_at: datetime,
    all_options: Mapping[str, DeliveryOptions],
    folder: Path,
    predecessor: ReportReference | None = None,
    answered: ReportReference | None = None,
) -> WrittenRefusal:
    """Write the refusal report of each destination, each file whole and synced; the same arguments give the same bytes.

    Args:
        refused: the series.
        ensemble: the model that would have analysed it.
        looked_at: the time that every object carries.
        all_options: of the destinations that get a report, by name.
        folder: must exist.
        predecessor: the report about an earlier state of the series.
        answered: the refusal report sent about this state before the job was retried. The same verdict gives the same
            objects again; another one replaces that report.

    Raises:
        ResultError: an object cannot be built, or is not valid.
    """

    def build(predecessor: ReportReference | None) -> RefusalReport:
        options = tuple(all_options.values())
        return build_refusal_report(
            refused, ensemble.identity, ensemble.runtime, ensemble.precision, looked_at, options, predecessor
        )

    answer = build(predecessor)
    if answered is not None and answer.report != answered:
        answer = build(answered)
    check_result_set(answer.objects, refused.headers, answer.messages)
    for obj in answer.objects:
        write_whole(folder / obj.name, part10_bytes(obj.dataset))
    for message in answer.messages:
        write_whole(folder / message.name, message.content)
    return WrittenRefusal(
        names=(*(obj.name for obj in answer.objects), *(message.name for message in answer.messages)),
        deliverable={name: answer.names_for(options) for name, options in all_options.items()},
        report=answer.report,
    )


def _named(instance: StoredInstance) -> Dataset:
    """The instance as far as others refer to it."""
    named = Dataset()
    for keyword, uid in uids_of(instance).items():
        setattr(named, keyword, uid)
    return named
