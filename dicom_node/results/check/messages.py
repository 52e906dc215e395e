"""The reports to other systems: each says the SR's volumes, and none where these must not be used."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from pydicom.dataset import Dataset

from dicom_node.node.hl7_text import NotHl7, parse_message
from dicom_node.node.profiles import MessageKind
from dicom_node.results.check.checked import Checked, NamedMessage
from dicom_node.results.check.content_tree import children, code_of
from dicom_node.results.check.report import TRACKING_NAME, groups_of
from dicom_node.results.check.volumes import MILLILITRE, VOLUME
from dicom_node.results.common import codes
from dicom_node.results.seg.regions_seg import DEEP, PERIVENTRICULAR
from dicom_node.results.seg.wmh_seg import TRACKING_ID
from dicom_node.series.dicom import values

# The report's group, by its tracking identifier, and the code of the same volume in a message.
_SAME: Final = (
    (TRACKING_ID, codes.WMH_VOLUME.value),
    (PERIVENTRICULAR.name, codes.PERIVENTRICULAR_VOLUME.value),
    (DEEP.name, codes.DEEP_VOLUME.value),
)
_KNOWN: Final = tuple(code for _group, code in _SAME)


def check_messages(checked: Checked) -> Iterator[tuple[str, str]]:
    """(message, sentence) for volumes that are another than the report's, or that must not be there."""
    for message in checked.messages:
        try:
            found = _VOLUMES[MessageKind(message.kind)](message.content)
        except (NotHl7, ValueError, KeyError, TypeError, InvalidOperation):
            yield message.name, "cannot be read back"
            continue
        for report in checked.reports:
            yield from ((message.name, sentence) for sentence in _faults(message, found, report.dataset))


def _faults(message: NamedMessage, found: Mapping[str, Decimal | None], report: Dataset) -> Iterator[str]:
    said = _volumes_of_report(report)
    for code in _KNOWN:
        if code not in found:
            yield f"has no line about {code}"
        elif found[code] != said.get(code):
            yield f"says {_in_words(found[code])} of {code}, the report {_in_words(said.get(code))}"


def _in_words(volume: Decimal | None) -> str:
    return "no number" if volume is None else f"{volume} mL"


def _volumes_of_report(report: Dataset) -> dict[str, Decimal]:
    """Volumes that may be used, by the code of a message: a qualified one (CID 42) may not."""
    codes_by_group = dict(_SAME)
    found: dict[str, Decimal] = {}
    for group in groups_of(report):
        names = [values.text(item, "TextValue") for item in children(group, TRACKING_NAME)]
        code = codes_by_group.get(names[0]) if names else None
        for item in children(group, VOLUME) if code is not None else ():
            measured = values.first_item(item, "MeasuredValueSequence") or Dataset()
            if "NumericValueQualifierCodeSequence" in item:
                continue
            if code_of(measured, "MeasurementUnitsCodeSequence") == MILLILITRE:
                found[str(code)] = Decimal(values.text(measured, "NumericValue"))
    return found


def _volumes_of_oru(content: bytes) -> dict[str, Decimal | None]:
    found: dict[str, Decimal | None] = {}
    for row in parse_message(content).all("OBX"):
        code, value = row.component(3), row.field(5)
        if code in _KNOWN:
            if value and (row.component(6), row.component(6, 3)) != MILLILITRE:
                raise ValueError("expected mL (UCUM)")
            found[code] = Decimal(value) if value else None
    return found


def _volumes_of_fhir(content: bytes) -> dict[str, Decimal | None]:
    found: dict[str, Decimal | None] = {}
    for entry in json.loads(content, parse_float=Decimal, parse_int=Decimal)["entry"]:
        resource = entry["resource"]
        if resource["resourceType"] == "Observation":
            for coding in resource["code"]["coding"]:
                if coding["code"] in _KNOWN:
                    found[coding["code"]] = _quantity(resource)
    return found


def _quantity(resource: Mapping[str, Any]) -> Decimal | None:
    quantity = resource.get("valueQuantity")
    if quantity is None:
        return None
    if quantity["code"] != MILLILITRE[0] or quantity["system"] != "http://unitsofmeasure.org":
        raise ValueError("expected mL (UCUM)")
    return Decimal(quantity["value"])


_VOLUMES: Final = {MessageKind.ORU: _volumes_of_oru, MessageKind.FHIR: _volumes_of_fhir}
