"""A list of studies as CSV: rows that name a study by its UID or by its accession number."""

from __future__ import annotations

import csv
import io
import re
from typing import Final

from db.cohorts import NewItem
from dicom_node.node.errors import ConfigurationError

_STUDY: Final = ("studyinstanceuid", "studyuid", "study")
_ACCESSION: Final = ("accessionnumber", "accession")
_UID: Final = re.compile(r"[0-9.]{1,64}")  # real archives hold UIDs with leading zeros
_NUMBER: Final = re.compile(r"[\x20-\x5b\x5d-\x7e]{1,64}")  # SH has 16 characters; many archives do not mind
_DELIMITERS: Final = ",;\t"


def read_studies(content: bytes, name: str) -> list[NewItem]:
    """The rows of a list; every row names a study.

    Args:
        content: of the file: UTF-8, columns separated by comma, semicolon or tab, with a line of names.
        name: of the file, for messages.

    Raises:
        ConfigurationError: no such list; names the rows that are wrong, and none is taken.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{name} is no UTF-8 text: save it as CSV UTF-8") from error
    first = text.partition("\n")[0]
    delimiter = max(_DELIMITERS, key=first.count)
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, restkey="")
    try:
        rows = [(reader.line_num, row) for row in reader]  # numbers as a spreadsheet counts
    except csv.Error as error:
        raise ConfigurationError(f"{name}: row {reader.line_num} is no CSV ({error}): save the list again") from error
    columns = list(rows[0][1]) if rows else []
    study, accession = _column(columns, _STUDY), _column(columns, _ACCESSION)
    if study is None and accession is None:
        found = ", ".join(map(str, columns)) or "no row"
        raise ConfigurationError(f"{name}: expected a column StudyInstanceUID or AccessionNumber, got {found}")
    items, wrong = [], []
    for number, row in rows:
        given = {str(key): str(value or "") for key, value in row.items() if key}
        uid = given.get(study or "", "").strip()
        named = given.get(accession or "", "").strip()
        if (uid and not _UID.fullmatch(uid)) or (named and not _NUMBER.fullmatch(named)) or not (uid or named):
            wrong.append(number)
            continue
        items.append(NewItem(number, given, uid or None, named or None))
    if wrong:
        shown = ", ".join(map(str, wrong[:10])) + (", ..." if len(wrong) > 10 else "")
        raise ConfigurationError(f"{name}: expected a study UID or an accession number in every row, not in: {shown}")
    return items


def _column(columns: list[str], names: tuple[str, ...]) -> str | None:
    plain = {re.sub(r"[^a-z]", "", str(column).lower()): column for column in columns}
    return next((plain[name] for name in names if name in plain), None)
