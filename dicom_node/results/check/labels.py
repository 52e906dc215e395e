"""What a result must state for its reader: that it is for research, and what made it."""

from __future__ import annotations

from collections.abc import Iterator

from dicom_node.results.check.checked import Checked
from dicom_node.series.dicom import values

RESEARCH = "RESEARCH USE ONLY"
_STATED_IN = ("SeriesDescription", "ContentDescription", "DocumentTitle", "ImageComments")
_PROCESSING_EQUIPMENT = "109102"  # DCM, PS3.16 CID 7005


def check_research_use(checked: Checked) -> Iterator[tuple[str, str]]:
    """Every object says so where a list of series or a viewer shows it."""
    for result in checked.objects:
        if not any(RESEARCH in values.text(result.dataset, keyword).upper() for keyword in _STATED_IN):
            yield result.name, f'says "{RESEARCH}" in none of {", ".join(_STATED_IN)}'


def check_equipment(checked: Checked) -> Iterator[tuple[str, str]]:
    """Contributing Equipment names the node with a Device UID, which identifies the model."""
    for result in checked.objects:
        devices = [
            values.text(item, "DeviceUID")
            for item in values.items(result.dataset, "ContributingEquipmentSequence")
            for purpose in values.items(item, "PurposeOfReferenceCodeSequence")
            if values.text(purpose, "CodeValue") == _PROCESSING_EQUIPMENT
        ]
        if not any(devices):
            yield result.name, "ContributingEquipmentSequence names no processing equipment with a Device UID"
