"""A report's content tree: looking things up in it, and what each item must have (PS3.3 C.17.3)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pydicom.dataset import Dataset

from dicom_node.results.check.checked import Checked
from dicom_node.series.dicom import values

Code = tuple[str, str]
"""Code value and coding scheme designator."""

# Value type -> the attribute that holds its value (PS3.3 Table C.17.3-7).
_VALUE_IN: Final = {
    "CONTAINER": "ContinuityOfContent",
    "TEXT": "TextValue",
    "CODE": "ConceptCodeSequence",
    "NUM": "MeasuredValueSequence",
    "UIDREF": "UID",
    "IMAGE": "ReferencedSOPSequence",
    "COMPOSITE": "ReferencedSOPSequence",
    "PNAME": "PersonName",
    "DATE": "Date",
    "TIME": "Time",
    "DATETIME": "DateTime",
    "SCOORD": "GraphicData",
    "SCOORD3D": "GraphicData",
}
_NAMELESS: Final = ("IMAGE", "COMPOSITE")  # their concept name is type 1C
_CODES: Final = ("ConceptNameCodeSequence", "ConceptCodeSequence", "MeasurementUnitsCodeSequence")
# What a coded entry may have (PS3.3 Table 8.8-1).
_OF_A_CODE: Final = frozenset(
    {
        "CodeValue",
        "LongCodeValue",
        "URNCodeValue",
        "CodingSchemeDesignator",
        "CodingSchemeVersion",
        "CodeMeaning",
        "ContextIdentifier",
        "ContextUID",
        "MappingResource",
        "MappingResourceUID",
        "MappingResourceName",
        "ContextGroupVersion",
        "ContextGroupExtensionFlag",
        "ContextGroupLocalVersion",
        "ContextGroupExtensionCreatorUID",
        "EquivalentCodeSequence",
    }
)
_PRIVATE: Final = "99"


def code_of(dataset: Dataset, keyword: str = "ConceptNameCodeSequence") -> Code:
    """A code sequence's item as (value, scheme); ("", "") when there is none."""
    item = values.first_item(dataset, keyword)
    if item is None:
        return "", ""
    return values.text(item, "CodeValue"), values.text(item, "CodingSchemeDesignator")


def children(item: Dataset, concept: Code | None = None) -> list[Dataset]:
    """The items below, or those of one concept."""
    return [child for child in values.items(item, "ContentSequence") if concept in (None, code_of(child))]


def descendants(item: Dataset, where: str = "") -> Iterator[tuple[str, Dataset]]:
    """(path such as 1.4.2, item) of everything below."""
    for index, child in enumerate(values.items(item, "ContentSequence")):
        path = f"{where}.{index + 1}" if where else str(index + 1)
        yield path, child
        yield from descendants(child, path)


def check_content_items(checked: Checked) -> Iterator[tuple[str, str]]:
    """(object, sentence) for items without value, name or relationship, and codes without meaning or known scheme."""
    for report in checked.reports:
        schemes = {
            values.text(item, "CodingSchemeDesignator")
            for item in values.items(report.dataset, "CodingSchemeIdentificationSequence")
        }
        for where, item in descendants(report.dataset):
            for sentence in _faults(item, schemes):
                yield report.name, f"content item {where} {sentence}"


def _faults(item: Dataset, schemes: set[str]) -> Iterator[str]:
    kind = values.text(item, "ValueType")
    if not values.text(item, "RelationshipType"):
        yield "has no RelationshipType"
    if kind not in _VALUE_IN:
        yield "has a ValueType that our reports do not use"
    elif _VALUE_IN[kind] not in item or item[_VALUE_IN[kind]].is_empty:
        yield f"is a {kind} without {_VALUE_IN[kind]}"
    if kind not in _NAMELESS and code_of(item) == ("", ""):
        yield "has no concept name"
    for keyword in _CODES:
        for code in values.items(item, keyword):
            yield from _faults_of_code(code, schemes)
    for measured in values.items(item, "MeasuredValueSequence"):
        if values.number(measured, "NumericValue") is None:
            yield "is a NUM without a number"
        if code_of(measured, "MeasurementUnitsCodeSequence") == ("", ""):
            yield "is a NUM without a unit"


def _faults_of_code(code: Dataset, schemes: set[str]) -> Iterator[str]:
    value, scheme = values.text(code, "CodeValue"), values.text(code, "CodingSchemeDesignator")
    if not (value and scheme and values.text(code, "CodeMeaning")):
        yield "has a code without value, scheme or meaning"
    if foreign := {element.keyword for element in code} - _OF_A_CODE:
        yield f"has a code with {min(foreign)} in it, which no code has"
    if scheme.startswith(_PRIVATE) and scheme not in schemes:
        yield f"uses the private scheme {scheme}, which CodingSchemeIdentificationSequence does not name"
