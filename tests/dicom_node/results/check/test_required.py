"""The table of required attributes."""

from __future__ import annotations

import json

from dicom_node.node.profiles import ObjectKind
from dicom_node.results.check.make_required import SOP_CLASSES, TABLE, required


def test_the_table_is_what_highdicom_ships() -> None:
    """required.json is what its program makes of the tables in the installed highdicom; else it must be made again."""
    assert json.loads(TABLE.read_text()) == required()


def test_every_class_has_its_modules() -> None:
    """Each SOP Class that we write has patient, study, equipment or series, and SOP Common."""
    table = json.loads(TABLE.read_text())
    assert set(table["classes"]) == set(SOP_CLASSES)
    assert len(SOP_CLASSES) >= len(ObjectKind)
    for modules in table["classes"].values():
        assert {"patient", "general-study", "sop-common"} <= set(modules)
    assert ["", "PatientID", "2"] in table["modules"]["patient"]
