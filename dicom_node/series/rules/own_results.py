"""Our own results, which a PACS that forwards all that it gets sends back to us."""

from __future__ import annotations

from typing import Final

from pydicom.dataset import Dataset

from dicom_node.node.version import MANUFACTURER, SOFTWARE_NAME
from dicom_node.series.dicom import values

# Segmentations, reports, pages (OT: Secondary Capture), graphics and documents: what `results` makes.
_MODALITIES: Final = frozenset({"SEG", "SR", "OT", "PR", "DOC"})


def is_own_result(header: Dataset) -> bool:
    """True when the instance is a result that this software made.

    A program that changes such an object names its own equipment (PS3.3 C.7.5.1): a corrected segmentation is not ours.
    """
    return (
        values.text(header, "Modality") in _MODALITIES
        and values.text(header, "Manufacturer") == MANUFACTURER
        and values.text(header, "ManufacturerModelName") == SOFTWARE_NAME
    )
