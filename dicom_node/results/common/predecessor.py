"""The report that a later one takes the place of: what the two say to each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from pydicom.dataset import Dataset

from dicom_node.node.profiles import SegForm
from dicom_node.results.common.uids import in_form

REPLACES: Final = (
    "This result replaces an earlier one about the same series: after that one, more images of the series were "
    "received, or the series was analysed again."
)


@dataclass(frozen=True)
class ReportReference:
    """Where a report is found: the UIDs that refer to it from another object."""

    study_instance_uid: str
    series_instance_uid: str
    sop_class_uid: str
    sop_instance_uid: str

    @classmethod
    def to(cls, report: Dataset) -> ReportReference:
        """A reference to a report."""
        return cls.from_uids({keyword: str(report[keyword].value) for keyword in _KEYWORDS})

    @classmethod
    def from_uids(cls, uids: Mapping[str, str]) -> ReportReference:
        """What `uids` gave."""
        return cls(*(uids[keyword] for keyword in _KEYWORDS))

    @classmethod
    def of(cls, uids: Mapping[str, str] | None) -> ReportReference | None:
        """What `uids` gave, of a report that there may be."""
        return None if uids is None else cls.from_uids(uids)

    def in_form(self, form: SegForm) -> ReportReference:
        """The report of the same analysis about its segmentations in another form."""
        return replace(
            self,
            series_instance_uid=in_form(self.series_instance_uid, form),
            sop_instance_uid=in_form(self.sop_instance_uid, form),
        )

    @property
    def uids(self) -> dict[str, str]:
        """By DICOM keyword."""
        values = (self.study_instance_uid, self.series_instance_uid, self.sop_class_uid, self.sop_instance_uid)
        return dict(zip(_KEYWORDS, values, strict=True))

    def predecessor_item(self) -> Dataset:
        """The item of PredecessorDocumentsSequence (0040,A360), PS3.3 C.17.2 and table C.17-3."""
        instance, series, study = Dataset(), Dataset(), Dataset()
        instance.ReferencedSOPClassUID = self.sop_class_uid
        instance.ReferencedSOPInstanceUID = self.sop_instance_uid
        series.SeriesInstanceUID = self.series_instance_uid
        series.ReferencedSOPSequence = [instance]
        study.StudyInstanceUID = self.study_instance_uid
        study.ReferencedSeriesSequence = [series]
        return study


_KEYWORDS: Final = ("StudyInstanceUID", "SeriesInstanceUID", "SOPClassUID", "SOPInstanceUID")
