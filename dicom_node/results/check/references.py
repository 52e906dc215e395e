"""References: everything that an object names exists, in the source or in the set (PS3.3 C.12.2, C.17.2.3)."""

from __future__ import annotations

from collections.abc import Iterator, Set

from pydicom.dataset import Dataset

from dicom_node.results.check.checked import Checked, items_with
from dicom_node.series.dicom import values

_SR_CLASSES = "1.2.840.10008.5.1.4.1.1.88."
# Reports about other analyses: what this one takes the place of, and what it is compared with.
_OF_EARLIER_REPORTS = ("PredecessorDocumentsSequence", "PertinentOtherEvidenceSequence")
_EVIDENCE = ("CurrentRequestedProcedureEvidenceSequence", "PertinentOtherEvidenceSequence")


def check_references(checked: Checked) -> Iterator[tuple[str, str]]:
    """(object, sentence) for references to nothing, or to an instance of another class."""
    for result in checked.objects:
        earlier = earlier_reports(result.dataset)
        reported: set[str] = set()
        for where, item in items_with(result.dataset, "ReferencedSOPInstanceUID"):
            uid, sop_class = (values.text(item, f"ReferencedSOP{what}UID") for what in ("Instance", "Class"))
            if uid in earlier or uid in reported:
                continue
            if uid not in checked.instances:
                reported.add(uid)
                yield result.name, f"{where} refers to {uid}, which is neither in the source nor in the set"
            elif sop_class != checked.instances[uid]:
                reported.add(uid)
                yield result.name, f"{where} refers to {uid} as of class {sop_class}, it is {checked.instances[uid]}"


def check_series_references(checked: Checked) -> Iterator[tuple[str, str]]:
    """(object, sentence) for references that put an instance in a series that it is not in."""
    everything = [*checked.source, *(result.dataset for result in checked.objects)]
    series_of = {
        values.text(result, "SOPInstanceUID"): values.text(result, "SeriesInstanceUID") for result in everything
    }
    for result in checked.objects:
        for where, item in items_with(result.dataset, "SeriesInstanceUID"):
            if not where:  # the object's own
                continue
            series = values.text(item, "SeriesInstanceUID")
            for _, reference in items_with(item, "ReferencedSOPInstanceUID"):
                uid = values.text(reference, "ReferencedSOPInstanceUID")
                if uid in series_of and series_of[uid] != series:
                    yield result.name, f"{where} puts {uid} in a series that it is not in"
                    break


def check_source_named(checked: Checked) -> Iterator[tuple[str, str]]:
    """A segmentation and a report name the source that they are about."""
    source = {values.text(header, "SOPInstanceUID") for header in checked.source}
    for result in (*checked.segmentations, *checked.reports):
        if source.isdisjoint(_named(result.dataset)):
            yield result.name, "refers to no instance of the source"


def check_evidence(checked: Checked) -> Iterator[tuple[str, str]]:
    """Whatever a report's content refers to is listed as its evidence (PS3.3 C.17.2.3)."""
    for result in checked.reports:
        listed = {uid for keyword in _EVIDENCE for uid in _named_in(result.dataset, keyword)}
        content = {uid for item in values.items(result.dataset, "ContentSequence") for uid in _named(item)}
        for uid in sorted(content - listed):
            yield result.name, f"its content refers to {uid}, which is not listed as evidence"


def earlier_reports(dataset: Dataset) -> Set[str]:
    """SOPInstanceUIDs of reports about other analyses, which are in neither source nor set."""
    return {
        values.text(item, "ReferencedSOPInstanceUID")
        for keyword in _OF_EARLIER_REPORTS
        for outer in values.items(dataset, keyword)
        for _, item in items_with(outer, "ReferencedSOPInstanceUID")
        if values.text(item, "ReferencedSOPClassUID").startswith(_SR_CLASSES)
    }


def _named_in(dataset: Dataset, keyword: str) -> Iterator[str]:
    for item in values.items(dataset, keyword):
        yield from _named(item)


def _named(item: Dataset) -> Iterator[str]:
    for _, reference in items_with(item, "ReferencedSOPInstanceUID"):
        yield values.text(reference, "ReferencedSOPInstanceUID")
