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
from dicom_node.node.profiles import Wish
from dicom_node.results.check.result_checks import check_result_set
from dicom_node.results.common.predecessor import ReportReference
from dicom_node.results.common.writing import part10_bytes
from dicom_node.results.not_analysed import Answer, RefusedSeries, build_answer
from dicom_node.series.read.instances import first_instances
from dicom_node.series.read.received_series import uids_of
from segmentation.ensemble import Ensemble


@dataclass(frozen=True)
class WrittenAnswer:
    """What was written.

    Attributes:
        names: every file.
        deliverable: what each destination is sent, by its name, in sending order.
        report: refers to the report; None when no destination takes reports.
    """

    names: tuple[str, ...]
    deliverable: Mapping[str, tuple[str, ...]]
    report: ReportReference | None


def who_is_told(destinations: Mapping[str, Wish]) -> dict[str, Wish]:
    """The destinations whose profile wants an answer about a series that cannot be analysed."""
    return {name: wish for name, wish in destinations.items() if wish.profile.answers_unanalysable}


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


def write_answer(
    refused: RefusedSeries,
    ensemble: Ensemble,
    looked_at: datetime,
    wishes: Mapping[str, Wish],
    folder: Path,
    predecessor: ReportReference | None = None,
    answered: ReportReference | None = None,
) -> WrittenAnswer:
    """Write what each destination is told, each file whole and synced; the same arguments give the same bytes.

    Args:
        refused: the series.
        ensemble: the model that would have analysed it.
        looked_at: the time that every object carries.
        wishes: of those that are told, by name.
        folder: must exist.
        predecessor: the report about an earlier state of the series.
        answered: the report of what was sent about this state, before it was judged anew. The same verdict gives the
            same objects once more; another one takes that report's place.

    Raises:
        ResultError: an object cannot be built, or is not valid.
    """

    def build(predecessor: ReportReference | None) -> Answer:
        model, told = ensemble.identity, tuple(wishes.values())
        return build_answer(refused, model, ensemble.runtime, ensemble.precision, looked_at, told, predecessor)

    answer = build(predecessor)
    if answered is not None and answer.report != answered:
        answer = build(answered)
    check_result_set(answer.objects, refused.headers)
    for one in answer.objects:
        write_whole(folder / one.name, part10_bytes(one.dataset))
    return WrittenAnswer(
        names=tuple(one.name for one in answer.objects),
        deliverable={name: tuple(one.name for one in answer.of(wish)) for name, wish in wishes.items()},
        report=answer.report,
    )


def _named(one: StoredInstance) -> Dataset:
    """The instance as far as others refer to it."""
    named = Dataset()
    for keyword, uid in uids_of(one).items():
        setattr(named, keyword, uid)
    return named
