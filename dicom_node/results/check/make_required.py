"""Write required.json: which attributes an object of each of our classes must have.

    python -m dicom_node.results.check.make_required

highdicom ships the tables of PS3.3 as JSON (generated from the standard's DocBook): which modules an IOD has, and
which attributes a module has, with their types. They take 22 MB, most of it about classes that we never write, so that
this file keeps what the checks ask. tests/dicom_node/results/check/test_required.py compares it with the
installed highdicom.
"""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

TABLE: Final = Path(__file__).with_name("required.json")

SOP_CLASSES: Final = {
    "1.2.840.10008.5.1.4.1.1.7": "secondary-capture-image",
    "1.2.840.10008.5.1.4.1.1.7.4": "multi-frame-true-color-secondary-capture-image",
    "1.2.840.10008.5.1.4.1.1.11.1": "grayscale-softcopy-presentation-state",
    "1.2.840.10008.5.1.4.1.1.11.2": "color-softcopy-presentation-state",
    "1.2.840.10008.5.1.4.1.1.66.4": "segmentation",
    "1.2.840.10008.5.1.4.1.1.66.7": "segmentation",  # Label Map Segmentation: the same IOD (PS3.3 A.51)
    "1.2.840.10008.5.1.4.1.1.88.11": "basic-text-sr",
    "1.2.840.10008.5.1.4.1.1.88.22": "enhanced-sr",
    "1.2.840.10008.5.1.4.1.1.88.33": "comprehensive-sr",
    "1.2.840.10008.5.1.4.1.1.88.34": "comprehensive-3d-sr",
    "1.2.840.10008.5.1.4.1.1.104.1": "encapsulated-pdf",
}
# Conditional modules whose condition our objects always meet: a SEG of slices has a frame of reference (PS3.3 A.51.3)
# and names the instances that it was derived from.
ALWAYS_THERE: Final = {"segmentation": ("frame-of-reference", "common-instance-reference")}
# Below these, the table puts side by side what excludes each other (a functional group is shared or per frame, a
# content item has one value type): dicom_node.results.check.seg_frames and .content_tree ask for what is needed there.
ONLY_TOP_LEVEL: Final = (
    "segmentation-multi-frame-functional-groups",
    "multi-frame-true-color-secondary-capture-image-multi-frame-functional-groups",
)
LEFT_OUT: Final = ("sr-document-content",)
_ASKED_TYPES: Final = ("1", "2")


def required() -> dict[str, Any]:
    """The table, from the highdicom that is installed.

    Returns:
        `modules`: module -> list of [path of sequences joined by ".", keyword, type];
        `classes`: SOP Class UID -> modules.
    """
    iods, attributes = _highdicom_table("iod_module_map"), _highdicom_table("module_attribute_map")
    classes = {uid: _modules_of(iod, iods[iod]) for uid, iod in SOP_CLASSES.items()}
    wanted = sorted({module for modules in classes.values() for module in modules})
    return {"modules": {module: _rows(module, attributes[module]) for module in wanted}, "classes": classes}


def _modules_of(iod: str, modules: list[dict[str, str]]) -> list[str]:
    always = ALWAYS_THERE.get(iod, ())
    return [
        module["key"]
        for module in modules
        if (module["usage"] == "M" or module["key"] in always) and module["key"] not in LEFT_OUT
    ]


def _rows(module: str, attributes: list[dict[str, Any]]) -> list[list[str]]:
    return [
        [".".join(row["path"]), row["keyword"], row["type"]]
        for row in attributes
        if row["type"] in _ASKED_TYPES and not (row["path"] and module in ONLY_TOP_LEVEL)
    ]


def _highdicom_table(name: str) -> Any:
    return json.loads(files("highdicom").joinpath("_standard", f"{name}.json").read_text())


def main() -> None:
    """Write the table beside this file, one module a line."""
    table = required()
    modules = ",\n".join(f"  {json.dumps(name)}: {json.dumps(rows)}" for name, rows in table["modules"].items())
    classes = ",\n".join(f"  {json.dumps(uid)}: {json.dumps(names)}" for uid, names in table["classes"].items())
    TABLE.write_text(f'{{"modules": {{\n{modules}\n}},\n"classes": {{\n{classes}\n}}}}\n')


if __name__ == "__main__":
    main()
