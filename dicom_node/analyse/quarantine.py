"""A result set that failed validation: kept for inspection."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from dicom_node.node.errors import ResultNotValid
from dicom_node.node.files import make_folder, write_whole
from dicom_node.results.result_set import ResultSet, part10_bytes
from dicom_node.series.dicom.parsing import PARSER_ERRORS

FINDINGS_NAME: Final = "findings.txt"


def keep_invalid(result_set: ResultSet, error: ResultNotValid, folder: Path) -> None:
    """Write findings.txt, one finding a line, and every object that can be encoded at all, into `folder`."""
    make_folder(folder)
    write_whole(folder / FINDINGS_NAME, "".join(f"{finding}\n" for finding in error.findings).encode())
    for obj in result_set.objects:
        try:
            content = part10_bytes(obj.dataset)
        except PARSER_ERRORS:
            continue  # the findings say what is wrong with it
        write_whole(folder / obj.name, content)
    for message in result_set.messages:
        write_whole(folder / message.name, message.content)
