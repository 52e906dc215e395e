"""dicom-validator without the network: its checker, fed with highdicom's tables in place of the standard's DocBook.

dicom-validator downloads the DocBook of the standard and makes its own tables of it; offline it has none. Its checker
(`IODValidator`) takes any tables of its form. highdicom ships modules and attributes with their types, but neither
conditions (types 1C, 2C, usage C) nor enumerated values: of these, the checker knows only what is added here.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any

from dicom_validator.validator.dicom_info import DicomInfo
from dicom_validator.validator.error_handler import NullValidationResultHandler
from dicom_validator.validator.iod_validator import IODValidator
from pydicom.datadict import dictionary_description, dictionary_VM, dictionary_VR, keyword_for_tag, tag_for_keyword
from pydicom.dataset import Dataset

from dicom_node.results.check.make_required import SOP_CLASSES

FUNCTIONAL_GROUPS = "segmentation-multi-frame-functional-groups"
SR_CONTENT = "sr-document-content"
LABEL_MAP = "1.2.840.10008.5.1.4.1.1.66.7"  # its pixels name the segment
# Functional group macros of a SEG of slices in a patient (PS3.3 Table A.51-2); what is not here may be there or not.
MACROS = {
    "PixelMeasuresSequence": "M",
    "PlaneOrientationSequence": "M",
    "PlanePositionSequence": "M",
    "DerivationImageSequence": "M",
    "FrameContentSequence": "M",
    "SegmentIdentificationSequence": "M",
}
# Value type macros of a content item (PS3.3 C.17.3, C.18): which value types have the attribute. In the tables they
# stand side by side, each of type 1.
OF_VALUE_TYPE = {
    "ReferencedSOPSequence": ("IMAGE", "COMPOSITE", "WAVEFORM"),
    "TextValue": ("TEXT",),
    "ConceptCodeSequence": ("CODE",),
    "MeasuredValueSequence": ("NUM",),
    "UID": ("UIDREF",),
    "PersonName": ("PNAME",),
    "Date": ("DATE",),
    "Time": ("TIME",),
    "DateTime": ("DATETIME",),
    "ContinuityOfContent": ("CONTAINER",),
    "GraphicData": ("SCOORD", "SCOORD3D"),
    "GraphicType": ("SCOORD", "SCOORD3D"),
    "ReferencedFrameOfReferenceUID": ("SCOORD3D",),
    "TemporalRangeType": ("TCOORD",),
    "TabulatedValuesSequence": ("TABLE",),
}


def complaints_of(dataset: Dataset) -> list[str]:
    """What dicom-validator's checker finds in an object."""
    found = IODValidator(dataset, _tables(), error_handler=NullValidationResultHandler()).validate()
    lines = [] if found.status.name in ("Passed", "Failed") else [found.status.name]
    for module, errors in found.module_errors.items():
        for tag, error in errors.items():
            path = ".".join(keyword_for_tag(part) or str(part) for part in (*(tag.parents or ()), tag.tag))
            lines.append(f"{module}: {path}: {error.code.name}")
    return lines


@cache
def _tables() -> DicomInfo:
    iods, modules, classes = (
        json.loads(files("highdicom").joinpath("_standard", f"{name}.json").read_text())
        for name in ("iod_module_map", "module_attribute_map", "sop_class_iod_map")
    )
    wanted = {uid: iods[iod] for uid, iod in classes.items() if uid in SOP_CLASSES}
    used = {module["key"] for iod in wanted.values() for module in iod}
    trees = {key: _tree(modules[key]) for key in used}
    trees[SR_CONTENT] = _content(trees[SR_CONTENT])
    macros = _take_macros(trees)
    return DicomInfo(
        dictionary=_Dictionary(),
        iods={
            uid: {
                "title": SOP_CLASSES[uid],
                "modules": {module["key"]: _usage(uid, module) for module in iod},
                "group_macros": _macros_of(uid, macros),
            }
            for uid, iod in wanted.items()
        },
        modules=trees,
    )


def _macros_of(uid: str, macros: dict[str, Any]) -> dict[str, Any]:
    if SOP_CLASSES[uid] != "segmentation":
        return {}
    if uid != LABEL_MAP:
        return macros
    return {**macros, "SegmentIdentificationSequence": {**macros["SegmentIdentificationSequence"], "use": "U"}}


def _usage(uid: str, module: dict[str, str]) -> dict[str, str]:
    """A conditional module is optional, since the tables do not state its condition."""
    return {"ref": module["key"], "use": "M" if module["usage"] == "M" else "U"}


def _tree(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Rows with paths as nested attributes, in dicom-validator's form."""
    root: dict[str, Any] = {}
    for row in sorted(rows, key=lambda row: len(row["path"])):
        if tag_for_keyword(row["keyword"]) is None:
            continue  # of a repeating group (60xx): overlays, which we have none of
        level = root
        for sequence in row["path"]:
            level = level.setdefault(_tag(sequence), {"name": sequence, "type": "3"}).setdefault("items", {})
        level.setdefault(_tag(row["keyword"]), {"name": row["keyword"], "type": row["type"]})
    return root


def _content(tree: dict[str, Any]) -> dict[str, Any]:
    """A content item: what it has depends on its value type, and it has content items again, however deep."""
    item = {tag: dict(attribute) for tag, attribute in tree.items()}
    inner = dict(tree[_tag("ContentSequence")]["items"])
    for level in (item, inner):
        for keyword, kinds in OF_VALUE_TYPE.items():
            if _tag(keyword) in level:
                condition = {"type": "MN", "op": "=", "tag": _tag("ValueType"), "index": 0, "values": list(kinds)}
                level[_tag(keyword)] = {**level[_tag(keyword)], "type": "1C", "cond": condition}
    inner[_tag("ContentSequence")] = item[_tag("ContentSequence")] = {
        "name": "ContentSequence",
        "type": "1C",
        "items": inner,
    }
    return item


def _take_macros(trees: dict[str, Any]) -> dict[str, Any]:
    """Turn the macros, which the table repeats in shared and per-frame groups, into modules of their own."""
    groups = trees[FUNCTIONAL_GROUPS]
    here = groups[_tag("PerFrameFunctionalGroupsSequence")]["items"]
    macros = {}
    for tag, attribute in here.items():
        keyword = attribute["name"]
        trees[keyword] = {tag: {**attribute, "type": "1"}}
        macros[keyword] = {"ref": keyword, "use": MACROS.get(keyword, "U")}
    for keyword in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"):
        groups[_tag(keyword)] = {**groups[_tag(keyword)], "items": {"include": [{"ref": "FuncGroup"}]}}
    return macros


def _tag(keyword: str) -> str:
    tag = tag_for_keyword(keyword)
    assert tag is not None, keyword
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"


class _Dictionary(dict[str, dict[str, str]]):
    """PS3.6 by way of pydicom."""

    def __missing__(self, tag: str) -> dict[str, str]:
        number = int(tag[1:5] + tag[6:10], 16)
        return {"name": dictionary_description(number), "vr": dictionary_VR(number), "vm": dictionary_VM(number)}
