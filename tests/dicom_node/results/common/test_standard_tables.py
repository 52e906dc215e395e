"""highdicom's tables are read module by module, and say the same."""

from __future__ import annotations

import json
import subprocess
import sys

from highdicom import _standard_utils

from dicom_node.results.common import standard_tables


def test_every_module_says_what_highdicoms_own_table_says() -> None:
    """Each module has the attributes, in the order, that highdicom itself reads."""
    assert dict(standard_tables.ModuleTable(standard_tables._FILE)) == json.loads(standard_tables._FILE.read_bytes())


def test_what_builds_objects_uses_that_table() -> None:
    """Wherever highdicom took its own function from, it has ours once the codes of results are imported."""
    script = (
        "import dicom_node.results.seg.seg_object, dicom_node.results.withdrawal, sys\n"
        "found = {name: module.get_module_attribute_map for name, module in sys.modules.items()\n"
        "         if name.startswith('highdicom') and hasattr(module, 'get_module_attribute_map')}\n"
        "assert len(found) > 2, found\n"
        "assert {type(one()).__name__ for one in found.values()} == {'ModuleTable'}, found\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_a_module_is_read_when_it_is_asked_for() -> None:
    """A table that was asked for one module has read that one alone."""
    table = standard_tables.ModuleTable(standard_tables._FILE)
    assert table["mr-image"] == _standard_utils.get_module_attribute_map()["mr-image"]
    assert list(table._known) == ["mr-image"]
