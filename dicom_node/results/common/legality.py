"""What an element may hold: value representation, multiplicity, length, characters (PS3.5 6.2, PS3.6).

Asked twice: what a source has is looked at before it is copied, and a finished object before it is sent.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator, Sequence
from typing import Any, Final

from pydicom import config
from pydicom.charset import convert_encodings
from pydicom.datadict import dictionary_has_tag, dictionary_VM, dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.valuerep import validate_value

from dicom_node.series.dicom import values

_UID = re.compile(r"(0|[1-9]\d*)(\.(0|[1-9]\d*))+")
_UID_LENGTH = 64
_NUMBERS_AS_TEXT: Final = ("DS", "IS")
_FLOATS: Final = ("DS", "FD", "FL", "OD", "OF")
_TEXTS: Final = ("LO", "LT", "PN", "SH", "ST", "UC", "UT")
_BULK: Final = ("OB", "OW", "UN")
_DEFAULT_REPERTOIRE: Final = "iso8859"


def elements_of(dataset: Dataset, where: str = "") -> Iterator[tuple[str, DataElement]]:
    """(path, element) of every element at any depth; at the root the path is the keyword."""
    for element in dataset:
        name = element.keyword or str(element.tag)
        path = f"{where}.{name}" if where else name
        yield path, element
        if element.VR == "SQ":
            for index, item in enumerate(element.value or ()):
                yield from elements_of(item, f"{path}[{index + 1}]")


def problems_of(element: DataElement, known_uids: Collection[str], encodings: Sequence[str]) -> Iterator[str]:
    """What is wrong with an element, without the value in it: that may be a name.

    Args:
        element: by itself; the items of a sequence are not looked into.
        known_uids: that are right even where they are malformed.
        encodings: of the object, see `encodings_of`.
    """
    if not element.tag.is_private:
        if not dictionary_has_tag(element.tag):
            yield "is no attribute that DICOM knows"
            return
        expected = dictionary_VR(element.tag)  # "OB or OW": pydicom decides when it writes
        if element.VR not in (expected, *expected.split(" or ")):
            yield f"has value representation {element.VR}, expected {expected}"
            return
    if element.VR == "SQ" or element.is_empty:
        return
    if not element.tag.is_private and not _fits(element.VM, dictionary_VM(element.tag)):
        yield f"has {element.VM} values, expected {dictionary_VM(element.tag)}"
    if element.VR in _BULK or " or " in element.VR:
        return
    for value in element.value if isinstance(element.value, list | MultiValue) else [element.value]:
        if (problem := _value_problem(element.VR, value, known_uids, encodings)) is not None:
            yield problem
            return


def _value_problem(vr: str, value: Any, known_uids: Collection[str], encodings: Sequence[str]) -> str | None:
    text = str(value)
    if vr == "UI":
        legal = text in known_uids or (_UID.fullmatch(text) is not None and len(text) <= _UID_LENGTH)
        return None if legal else "is no legal UID"
    if vr in _TEXTS and not all(_encodes(character, encodings) for character in text if not character.isascii()):
        return "has characters that the Specific Character Set of the object does not have"
    if vr in _FLOATS and not _is_finite(value):
        return "is no finite number"
    try:
        validate_value(vr, text if vr in (*_NUMBERS_AS_TEXT, "PN") else value, config.RAISE)
    except (ValueError, TypeError, OverflowError):
        return f"is not legal as {vr}: too long, out of range, or with characters that {vr} does not allow"
    return None


def encodings_of(dataset: Dataset) -> tuple[str, ...]:
    """Python's names of the character sets of an object (PS3.5 6.1)."""
    named = values.texts(dataset, "SpecificCharacterSet")
    try:
        found = convert_encodings(list(named)) if any(named) else []
    except LookupError:
        return ()
    # pydicom reads the default repertoire as Latin 1; it is ASCII (PS3.5 6.1.1).
    return tuple("ascii" if charset == _DEFAULT_REPERTOIRE else charset for charset in found)


def _encodes(character: str, encodings: Sequence[str]) -> bool:
    return any(character in character.encode(encoding, "ignore").decode(encoding) for encoding in encodings)


def _is_finite(value: Any) -> bool:
    try:
        return math.isfinite(float(value))
    except (TypeError, ValueError):
        return isinstance(value, bytes)


def _fits(count: int, multiplicity: str) -> bool:
    """Whether so many values are allowed by a multiplicity of PS3.6, such as 1, 1-3, 1-n, 2-2n."""
    for alternative in multiplicity.split(" or "):
        low, _, high = alternative.partition("-")
        if not high:
            allowed = count == int(low)
        elif high == "n":
            allowed = count >= int(low)
        elif high.endswith("n"):
            allowed = count >= int(low) and count % int(high[:-1]) == 0
        else:
            allowed = int(low) <= count <= int(high)
        if allowed:
            return True
    return False
