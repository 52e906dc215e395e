"""The result checks: every rule that a result set must pass before anything of it is sent."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from pydicom.dataset import Dataset

from dicom_node.node.errors import ResultNotValid
from dicom_node.results.check.checked import Checked, Finding, NamedMessage, NamedObject
from dicom_node.results.check.content_tree import check_content_items
from dicom_node.results.check.elements import check_elements
from dicom_node.results.check.labels import check_equipment, check_research_use
from dicom_node.results.check.messages import check_messages
from dicom_node.results.check.pixels import check_pixels
from dicom_node.results.check.references import (
    check_evidence,
    check_references,
    check_series_references,
    check_source_named,
)
from dicom_node.results.check.report import check_segments_measured, check_templates
from dicom_node.results.check.required import check_required
from dicom_node.results.check.seg_frames import check_seg_frames
from dicom_node.results.check.study import (
    check_file_meta,
    check_frame_of_reference,
    check_series,
    check_study,
    check_unique,
)
from dicom_node.results.check.volumes import check_volumes
from dicom_node.series.dicom.parsing import PARSER_ERRORS


@dataclass(frozen=True)
class Rule:
    """Something that must hold.

    Attributes:
        name: a slug for tests and documentation.
        source: where it is demanded.
        check: gives (object's name, what is wrong) for each violation.
    """

    name: str
    source: str
    check: Callable[[Checked], Iterator[tuple[str, str]]]


RULES: Final = (
    Rule("required", "PS3.3 A, C; PS3.5 7.4", check_required),
    Rule("elements", "PS3.5 6.2, PS3.6 6", check_elements),
    Rule("file-meta", "PS3.10 7.1", check_file_meta),
    Rule("unique", "PS3.3 C.12.1, PS3.5 9", check_unique),
    Rule("study", "PS3.3 C.7.1, C.7.2", check_study),
    Rule("series", "PS3.3 C.7.3", check_series),
    Rule("frame-of-reference", "PS3.3 C.7.4.1", check_frame_of_reference),
    Rule("seg-frames", "PS3.3 C.7.6.16, C.8.20", check_seg_frames),
    Rule("pixels", "PS3.5 8", check_pixels),
    Rule("references", "PS3.3 C.12.2, C.17.2.3", check_references),
    Rule("series-references", "PS3.3 C.12.2", check_series_references),
    Rule("source", "PS3.3 C.12.4, C.17.2.3", check_source_named),
    Rule("evidence", "PS3.3 C.17.2.3", check_evidence),
    Rule("content-items", "PS3.3 C.17.3", check_content_items),
    Rule("templates", "PS3.16 TID 1500, 1411, 1419, 4019", check_templates),
    Rule("segments-measured", "PS3.16 TID 1411, PS3.3 C.8.20.2", check_segments_measured),
    Rule("volumes", "picture and number agree", check_volumes),
    Rule("messages", "one number in every report", check_messages),
    Rule("equipment", "PS3.3 C.12.1, IHE AI Results", check_equipment),
    Rule("research-use", "not a medical device", check_research_use),
)


def findings_of(
    objects: Sequence[NamedObject], source: Sequence[Dataset], messages: Sequence[NamedMessage] = ()
) -> list[Finding]:
    """Everything that is wrong with a result set; empty when it may be sent.

    Args:
        objects: all objects of the set, with their file meta information.
        source: headers of the instances that it was made from, without pixels.
        messages: the reports that say the same to systems without DICOM.
    """
    checked = Checked(objects, source, messages)
    return [finding for rule in RULES for finding in _findings(rule, checked)]


def _findings(rule: Rule, checked: Checked) -> Iterator[Finding]:
    """A rule that stumbles over a broken object has found something, too: a check that raises would hide the others."""
    try:
        for name, sentence in rule.check(checked):
            yield Finding(name, sentence, rule.name, rule.source)
    except PARSER_ERRORS as error:
        yield Finding("the set", f"cannot be checked for {rule.name}: {type(error).__name__}", rule.name, rule.source)


def check_result_set(
    objects: Sequence[NamedObject], source: Sequence[Dataset], messages: Sequence[NamedMessage] = ()
) -> None:
    """Check a result set; return when it is valid.

    Args:
        objects: all objects of the set, with their file meta information.
        source: headers of the instances that it was made from, without pixels.
        messages: the reports that say the same to systems without DICOM.

    Raises:
        ResultNotValid: with every finding as text.
    """
    found = findings_of(objects, source, messages)
    if found:
        raise ResultNotValid(tuple(str(finding) for finding in found))
