"""Codes of results."""

from __future__ import annotations

import re

from highdicom.sr import CodedConcept
from pydicom.sr._concepts_dict import concepts
from support.data import REPOSITORY

from dicom_node.results.common import codes

DOCUMENT = REPOSITORY / "docs" / "private-codes.md"
# LOINC's long common name, where the dictionary has a short one; a sign that needs no word.
SAID_OTHERWISE = (codes.MR_BRAIN, codes.PERCENT)


def test_private_codes_are_documented_word_by_word() -> None:
    """docs/private-codes.md gives value, meaning and definition of each private code as the code has them."""
    rows = {
        cells[1].strip("` "): (cells[2].strip(), cells[4].strip())
        for line in DOCUMENT.read_text().splitlines()
        if line.startswith("| `") and (cells := line.split("|"))
    }
    assert rows == {code.value: (code.meaning, code.definition) for code in codes.PRIVATE_CODES}


def test_standard_codes_mean_what_the_dictionary_says() -> None:
    """Each standard code that pydicom's dictionary of PS3.16 knows has the meaning that it gives there, and no two of
    ours are the same."""
    ours = [code for code in vars(codes).values() if isinstance(code, CodedConcept)]
    assert len({(result.scheme_designator, result.value) for result in ours}) == len(ours) > 40
    compared = 0
    for result in ours:
        meanings = {
            # "(attribute)", "(observable entity)": the tags of SNOMED CT, which PS3.16 leaves away
            re.sub(r" \([a-z ]+\)$", "", entry[result.value][0]).casefold()
            for entry in concepts.get(result.scheme_designator, {}).values()
            if result.value in entry
        }
        if meanings and result not in SAID_OTHERWISE:
            assert result.meaning.casefold() in meanings
            compared += 1
    assert compared > 35


def test_codes_fit_their_elements() -> None:
    """Code values fit SH (16 characters), meanings fit LO (64), so that no receiver cuts them."""
    for code in codes.PRIVATE_CODES:
        assert len(code.value) <= 16
        assert len(code.meaning) <= 64
    assert codes.PRIVATE_SCHEME.startswith("99")
