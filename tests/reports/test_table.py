"""Each report of `shared/reports` has a test that holds its right value: the table, and that nothing in it is missing.

A number that is not here is kept apart by those who wrote the reports: its kind is covered, its input is not known.
"""

from __future__ import annotations

import ast
from typing import Final

import pytest
from support.data import REPOSITORY, shared_data

_INPUTS: Final = "reports/test_inputs.py"
_EQUAL: Final = f"{_INPUTS}::test_the_images_are_those_of_the_plain_series"
_ALIKE: Final = f"{_INPUTS}::test_the_volume_is_that_of_the_plain_series"
_COMPLETER: Final = "dicom_node/series/complete/test_completer.py"
_SELECTION: Final = "dicom_node/series/rules/test_selection.py"
_WIRE: Final = "reports/test_over_the_wire.py"
_DELIVERER: Final = "dicom_node/deliver/test_deliverer.py"

# Report -> the tests of its input, under tests/.
REPORTS: Final[dict[str, tuple[str, ...]]] = {
    "01-ge-protocolname": (_EQUAL,),
    "02-body-part": (_EQUAL,),
    "03-padding": (_ALIKE,),
    "04-bitsstored": (_EQUAL, _ALIKE),
    "07-one-association-per-slice": (
        f"{_COMPLETER}::test_one_association_for_each_image_gives_one_result",
        f"{_WIRE}::test_report_07_one_association_for_each_image",
    ),
    "08-corrected-patient": (
        f"{_COMPLETER}::test_the_same_images_for_another_patient_are_a_correction",
        f"{_COMPLETER}::test_a_result_of_the_wrong_patient_is_taken_out",
    ),
    "09-illegal-vr": (_EQUAL,),
    "14-series-per-slice": (
        f"{_COMPLETER}::test_one_slice_series_are_answered_once",
        f"{_SELECTION}::test_slices_that_are_divided_among_series_are_said_once",
    ),
    "18-no-meta": (_EQUAL,),
    "20-pacs-chokes-on-seg": (
        f"{_DELIVERER}::test_an_object_that_is_never_taken",
        f"{_DELIVERER}::test_a_destination_that_aborts_at_one_object_is_not_down",
        f"{_WIRE}::test_report_20_a_pacs_that_never_takes_a_segmentation",
    ),
    "23-storage-commitment": ("dicom_node/receive/test_commitment.py::test_a_scanner_asks",),
    "26-nifti-forms": (
        f"{_INPUTS}::test_nifti_26_keeps_its_forms",
        f"{_INPUTS}::test_nifti_26_without_forms_is_refused",
        f"{_INPUTS}::test_nifti_26_of_nan_is_refused",
    ),
    "27-clock-back": (f"{_COMPLETER}::test_a_time_in_the_future_counts_as_now",),
    "28-axial-and-sagittal": (f"{_SELECTION}::test_the_better_of_two_is_analysed_and_the_other_is_named",),
    "29-hot-pixels": (_ALIKE,),
    "30-copied-spacing": (_EQUAL,),
    "31-config-bom": ("dicom_node/node/test_settings.py::test_a_file_of_a_windows_editor",),
    "33-end-slice-lost": (
        "dicom_node/cli/test_segment.py::test_a_lost_slice_is_said",
        f"{_COMPLETER}::test_a_series_that_lacks_a_refused_object_waits",
        f"{_SELECTION}::test_what_a_system_leaves_is_passed_over",
    ),
    "34-trailing-zeros": (_EQUAL,),
}
_PARAMETRIZED: Final = {_EQUAL: "EQUAL", _ALIKE: "ALIKE"}


@pytest.mark.parametrize("report", REPORTS)
def test_each_test_of_the_table_is_there(report: str) -> None:
    """A test that is renamed or taken away leaves no report behind, and the table of inputs names the report."""
    for test in REPORTS[report]:
        file, _, name = test.partition("::")
        tree = ast.parse((REPOSITORY / "tests" / file).read_text(encoding="utf-8"))
        assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        if (table := _PARAMETRIZED.get(test)) is not None:
            assert any(number == report[:2] for number in _numbers(tree, table))


@pytest.mark.shared_data
def test_each_report_is_in_the_table() -> None:
    """A report that comes to the folder and has no test fails this."""
    folder = shared_data().parent / "reports"
    if not folder.is_dir():
        pytest.skip("reports not found beside the shared data")
    found = {path.name for path in folder.iterdir() if path.is_dir() and path.name[:2].isdigit()}
    assert found == set(REPORTS)


def _numbers(tree: ast.Module, table: str) -> set[str]:
    """The first two signs of each text in a table."""
    (made,) = (
        node.value
        for node in tree.body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id == table
    )
    assert made is not None
    return {node.value[:2] for node in ast.walk(made) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
