"""What destinations are told about a series that cannot be analysed, in a folder of the outbox."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydicom.dataset import Dataset

from db.records import StoredInstance
from dicom_node.node.errors import NotAnalysable
from dicom_node.node.files import write_whole
from dicom_node.node.profiles import DeliveryOptions
from dicom_node.results.check.result_checks import check_result_set
from dicom_node.results.common.predecessor import ReportReference
from dicom_node.results.common.writing import part10_bytes
from dicom_node.results.refusal_report import RefusalReport, RefusedSeries, build_refusal_report
from dicom_node.series.read.instances import first_instances
from dicom_node.series.read.received_series import uids_of
from segmentation.ensemble import Ensemble


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


def refusal_destinations(destinations: Mapping[str, DeliveryOptions]) -> dict[str, DeliveryOptions]:
    """The destinations whose profile wants an answer about a series that cannot be analysed."""
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
    others = [one for one in first_instances(instances) if one.sop_instance_uid != header.SOPInstanceUID]
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
    """Write what each destination is told, each file whole and synced; the same arguments give the same bytes.

    Args:
        refused: the series.
        ensemble: the model that would have analysed it.
        looked_at: the time that every object carries.
        all_options: of those that are told, by name.
        folder: must exist.
        predecessor: the report about an earlier state of the series.
        answered: the report of what was sent about this state, before it was judged anew. The same verdict gives the
            same objects once more; another one takes that report's place.

    Raises:
        ResultError: an object cannot be built, or is not valid.
    """

    def build(predecessor: ReportReference | None) -> RefusalReport:
        model, told = ensemble.identity, tuple(all_options.values())
        return build_refusal_report(refused, model, ensemble.runtime, ensemble.precision, looked_at, told, predecessor)

    answer = build(predecessor)
    if answered is not None and answer.report != answered:
        answer = build(answered)
    check_result_set(answer.objects, refused.headers)
    for one in answer.objects:
        write_whole(folder / one.name, part10_bytes(one.dataset))
    return WrittenRefusal(
        names=tuple(one.name for one in answer.objects),
        deliverable={name: tuple(one.name for one in answer.of(options)) for name, options in all_options.items()},
        report=answer.report,
    )


def _named(one: StoredInstance) -> Dataset:
    """The instance as far as others refer to it."""
    named = Dataset()
    for keyword, uid in uids_of(one).items():
        setattr(named, keyword, uid)
    return named
