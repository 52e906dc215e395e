"""What an object must have: the attributes of type 1 and 2 of its modules (PS3.3, PS3.5 7.4)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache

from pydicom.dataset import Dataset

from dicom_node.results.check.checked import Checked
from dicom_node.results.check.make_required import TABLE
from dicom_node.series.dicom import values


@dataclass
class _Node:
    """An attribute: its type ("" when only what is below it is asked for), and what its items must have."""

    type: str = ""
    module: str = ""
    below: dict[str, _Node] = field(default_factory=dict)


def check_required(checked: Checked) -> Iterator[tuple[str, str]]:
    """(object, sentence) for each attribute that is missing, or empty where a value is demanded."""
    trees = _trees()
    for obj in checked.objects:
        sop_class = values.text(obj.dataset, "SOPClassUID")
        if sop_class not in trees:
            yield obj.name, f"is of SOP Class {sop_class or '(none)'}, whose required attributes the checks do not know"
            continue
        for sentence in dict.fromkeys(_missing(obj.dataset, trees[sop_class], "")):
            yield obj.name, sentence


def _missing(dataset: Dataset, node: _Node, where: str) -> Iterator[str]:
    for keyword, child in node.below.items():
        if keyword not in dataset:
            if child.type:
                yield f"{where}{keyword} is missing, type {child.type} in module {child.module}"
            continue
        element = dataset[keyword]
        if child.type == "1" and (element.is_empty or element.value in ("", [], b"")):
            yield f"{where}{keyword} is empty, type 1 in module {child.module}"
        if child.below and element.VR == "SQ":
            for item in element.value or ():
                yield from _missing(item, child, f"{where}{keyword}.")


@cache
def _trees() -> dict[str, _Node]:
    table = json.loads(TABLE.read_text())
    return {
        sop_class: _tree([(module, *row) for module in modules for row in table["modules"][module]])
        for sop_class, modules in table["classes"].items()
    }


def _tree(rows: list[tuple[str, str, str, str]]) -> _Node:
    root = _Node()
    for module, path, keyword, kind in rows:
        node = root
        for sequence in path.split(".") if path else ():
            node = node.below.setdefault(sequence, _Node())
        leaf = node.below.setdefault(keyword, _Node())
        if not leaf.type or kind < leaf.type:  # the stricter of two modules holds: "1" before "2"
            leaf.type, leaf.module = kind, module
    return root
