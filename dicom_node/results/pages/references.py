"""How results that are no segmentation refer to the images that they were made from."""

from __future__ import annotations

from collections.abc import Sequence

from pydicom.dataset import Dataset

from dicom_node.results.common import codes


def reference_to(instance: Dataset) -> Dataset:
    """An item that names one instance (PS3.3 10.8, SOP Instance Reference macro)."""
    reference = Dataset()
    reference.ReferencedSOPClassUID = str(instance.SOPClassUID)
    reference.ReferencedSOPInstanceUID = str(instance.SOPInstanceUID)
    return reference


def source_images(headers: Sequence[Dataset]) -> list[Dataset]:
    """Items of SourceImageSequence (0008,2112) for instances that a picture was derived from (PS3.3 C.12.4.1.2)."""
    sources = []
    for header in headers:
        source = reference_to(header)
        source.PurposeOfReferenceCodeSequence = [codes.SOURCE_IMAGE]
        sources.append(source)
    return sources


def referenced_series(series_instance_uid: str, instances: Sequence[Dataset]) -> Dataset:
    """The item of ReferencedSeriesSequence (0008,1115) of one series of the same study (PS3.3 C.12.2)."""
    referenced = Dataset()
    referenced.SeriesInstanceUID = series_instance_uid
    referenced.ReferencedInstanceSequence = [reference_to(instance) for instance in instances]
    return referenced
