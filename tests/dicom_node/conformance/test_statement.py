"""The conformance statement says what the program does; this fails when the two part."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset
from support.node import clean_environment, run_here
from support.result_cases import CASES, result_set_of, segmentation_of, series_of

from dicom_node.conformance.document import Document, Section, Table
from dicom_node.conformance.markdown import as_markdown
from dicom_node.conformance.network import _RECEIVED_WORDS
from dicom_node.conformance.pdf import as_pdf
from dicom_node.conformance.result_contents import CONTENTS, OPTIONAL, REPORT_CONCEPTS, Source
from dicom_node.conformance.statement import conformance_statement
from dicom_node.deliver.send.result_classes import class_of_kind
from dicom_node.node.profiles import ObjectKind
from dicom_node.node.settings import load_settings
from dicom_node.node.storage_classes import STORAGE_CLASSES
from dicom_node.node.upper_layer.associate import ProposedContext
from dicom_node.receive.negotiation import ACCEPTANCE, negotiate
from dicom_node.receive.statuses import Status
from dicom_node.results.result_set import ResultSet
from dicom_node.series.read.series import FlairSeries
from segmentation.regions import RegionRule

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def series(tmp_path_factory: pytest.TempPathFactory) -> FlairSeries:
    return series_of(CASES[0], tmp_path_factory.mktemp("series"))


@pytest.fixture(scope="module")
def results(series: FlairSeries) -> ResultSet:
    return result_set_of(series, segmentation_of(series, divided=RegionRule()))


def _statement(**settings: Any) -> Document:
    return conformance_statement(load_settings(**settings))


def _section(document: Document, title: str) -> tuple[Section, ...]:
    return tuple(section for _, _, section in document.numbered() if section.title == title)


def _rows(section: Section) -> list[tuple[str, ...]]:
    return [row for block in section.blocks if isinstance(block, Table) for row in block.rows]


def test_what_the_statement_accepts_the_receiver_accepts() -> None:
    """Each class and each transfer syntax of the statement is accepted by the receiver, and no class is left out."""
    (section,) = _section(_statement(), "SOP classes and presentation contexts accepted")
    rows = _rows(section)
    assert {row[1] for row in rows} >= set(STORAGE_CLASSES)
    for _, uid, syntaxes, _ in rows:
        for syntax in re.findall(r"\((1\.2[\d.]+)\)", syntaxes):
            (answer,) = negotiate([ProposedContext(1, uid, (syntax,))])
            assert answer.result == ACCEPTANCE, (uid, syntax)


def test_every_status_of_the_receiver_is_in_the_statement() -> None:
    """A status that the receiver can answer has its row."""
    assert set(_RECEIVED_WORDS) == set(Status)


@pytest.mark.parametrize("kind", list(CONTENTS), ids=str)
def test_the_contents_are_those_of_the_objects(kind: ObjectKind, series: FlairSeries, results: ResultSet) -> None:
    """An object that is built has the attributes of the statement and no other, with the values that it promises."""
    built = {ObjectKind.SEG: results.seg, ObjectKind.SR: results.sr}[kind]
    source = series.headers[0]
    listed = {attribute.keyword: attribute for attribute in CONTENTS[kind]}
    left_out = {name for name, attribute in listed.items() if attribute.source is Source.COPIED and name not in source}
    assert {element.keyword for element in built} - OPTIONAL == set(listed) - left_out
    assert built.SOPClassUID == class_of_kind(kind)
    for name, attribute in listed.items():
        if attribute.source is Source.FIXED:
            value = built[name].value
            text = value if isinstance(value, str | int) else "\\".join(value)
            assert str(text) == attribute.value, name
        elif attribute.source is Source.COPIED and name in source:
            assert built[name].value == source[name].value, name


def _concepts(item: Dataset) -> Iterator[tuple[str, str, str, str, str]]:
    if names := item.get("ConceptNameCodeSequence"):
        measured = item.get("MeasuredValueSequence") if item.ValueType == "NUM" else None
        unit = measured[0].MeasurementUnitsCodeSequence[0].CodeValue if measured else ""
        yield item.ValueType, names[0].CodeValue, names[0].CodingSchemeDesignator, names[0].CodeMeaning, unit
    for child in item.get("ContentSequence", []):
        yield from _concepts(child)


def test_the_concepts_are_those_of_the_report(results: ResultSet) -> None:
    """Every concept name of a report is in the table, with its type and unit, and none that no report has."""
    assert set(_concepts(results.sr)) == set(REPORT_CONCEPTS)


def test_live_settings_are_in_the_statement() -> None:
    """AE title, ports, limits, peers and destinations are those of the node."""
    text = as_markdown(
        _statement(
            ae_title="LESION7", max_pdu_bytes=65_536, dimse_timeout_seconds=77, peers="SCANNER1@10.0.0.7",
            destinations="pacs=PACS@10.0.0.5:104+commit+legacy, web=https://pacs.example/dicom-web+verify",
        )
    )  # fmt: skip
    for words in (
        "the AE title LESION7", "| Maximum PDU size announced | 65536 bytes |", "| 77 s |", "SCANNER1@10.0.0.7",
        "| pacs | PACS, 10.0.0.5:104 | legacy | storage commitment | no |",
        "| web | https://pacs.example/dicom-web | generic | query | yes |",
    ):  # fmt: skip
        assert words in text


def test_the_order_is_that_of_the_standard() -> None:
    """The chapters of PS3.2, in its order."""
    titles = [section.title for _, depth, section in _statement().numbered() if depth == 1]
    assert titles == [
        "Conformance statement overview", "Introduction", "Transformations", "Networking", "Media interchange",
        "Support of character sets", "Security", "Annexes",
    ]  # fmt: skip


def test_the_pdf_is_whole_and_always_the_same() -> None:
    """The PDF has pages, outline and title, and its bytes depend on the statement only."""
    first, second = (as_pdf(_statement()) for _ in range(2))
    assert first == second
    assert first.startswith(b"%PDF-") and first.rstrip().endswith(b"%%EOF")
    assert len(re.findall(rb"/Type /Page\b", first)) > 5 and b"/Outlines" in first


def test_the_command_writes_both_forms(tmp_path: Path) -> None:
    """`wmh-node conformance` prints Markdown and writes a PDF by the name of the file."""
    environment = {**clean_environment(), "WMH_NODE_AE_TITLE": "LESION7"}
    printed = run_here("conformance", environment=environment).stdout
    assert printed.startswith("# DICOM Conformance Statement") and "LESION7" in printed
    run_here("conformance", "--out", tmp_path / "statement.pdf", environment=environment)
    assert (tmp_path / "statement.pdf").read_bytes().startswith(b"%PDF-")
    assert pydicom.uid.UID("1.2.840.10008.5.1.4.1.1.66.4").name in printed
