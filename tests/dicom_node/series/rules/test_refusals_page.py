"""docs/administrator/refusals.md lists every code and flag that a series can end with."""

from __future__ import annotations

import re

from support.data import REPOSITORY

from dicom_node.series.rules.rules import EXCLUSIONS, NOTES, SIGNS

_PAGE = REPOSITORY / "docs" / "administrator" / "refusals.md"
_REFUSALS = re.compile(
    r'(?:UnreadableObject|IncompleteSeries|UnsupportedGeometry|NotFlair|Verdict)\(\s*(?:False,\s*)?"([a-z0-9_]+)"'
)
_PASSED_ON = re.compile(r'"(not_dicom|file_unreadable|pixels_undecodable|several_series|several_studies)"')
_NAMED = re.compile(r'^[A-Z_]+: Final = "([a-z0-9_]+)"\n"""Flag', re.MULTILINE)
_FLAGS = re.compile(r'(?:flags|notes)\.append\("([a-z0-9_]+)"\)|\("([a-z0-9_]+)",\)')


def test_every_code_and_flag_is_on_the_page() -> None:
    """A code or flag in the program is explained on the page, and the page explains nothing else."""
    listed = set(re.findall(r"`([a-z0-9_]+)`", " ".join(re.findall(r"^\| (`.*?) \|", _PAGE.read_text(), re.MULTILINE))))
    used = (
        {rule.code for rule in EXCLUSIONS} | {note.name for note in NOTES} | {sign.name for sign in SIGNS if sign.weak}
    )
    # Of reasons that several places give, the error's own type makes the sentence.
    used.update(re.findall(r'cls\(\s*"([a-z0-9_]+)"', (REPOSITORY / "dicom_node" / "node" / "errors.py").read_text()))
    for path in (REPOSITORY / "dicom_node" / "series").rglob("*.py"):
        source = path.read_text()
        used.update(_REFUSALS.findall(source), _PASSED_ON.findall(source))
        used.update(_NAMED.findall(source))
        used.update(name for pair in _FLAGS.findall(source) for name in pair if name)
    assert used == listed
