"""HL7 version 2 messages as text: segments, fields, escapes (HL7 v2.5.1, chapter 2).

Only what we write and what acknowledgments hold: the delimiters `|^~\\&` and UTF-8. A receiver may answer with other
delimiters, which MSH-1 and MSH-2 name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

CHARACTER_SET: Final = "UNICODE UTF-8"  # MSH-18, HL7 table 0211
_LEAST_HEADER: Final = 8  # "MSH" and the five delimiters
# 2.7.1: what stands for a delimiter. A line break inside a text is .br (2.7.6).
_ESCAPES: Final = {"\\": "\\E\\", "|": "\\F\\", "^": "\\S\\", "&": "\\T\\", "~": "\\R\\", "\n": "\\.br\\"}
_UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f]")
_ESCAPED: Final = re.compile(r"\\([EFSTR]|\.br)\\")


class NotHl7(ValueError):
    """The text is no HL7 v2 message."""


@dataclass(frozen=True)
class Segment:
    """One segment. `fields`: as sent, escaped; number 0 is the segment's name, so that numbers are those of HL7."""

    fields: tuple[str, ...]

    @property
    def name(self) -> str:
        """Its three letters."""
        return self.fields[0]

    def field(self, number: int) -> str:
        """A field as sent; "" where the segment is shorter."""
        return self.fields[number] if number < len(self.fields) else ""

    def component(self, number: int, component: int = 1) -> str:
        """A component of a field's first repetition, as a reader reads it."""
        parts = self.field(number).split("~")[0].split("^")
        return unescape(parts[component - 1]) if component <= len(parts) else ""

    def with_fields(self, changes: dict[int, str]) -> Segment:
        """The segment with other values in these fields."""
        length = max(len(self.fields), *(number + 1 for number in changes))
        return Segment(tuple(changes.get(number, self.field(number)) for number in range(length)))

    def __str__(self) -> str:
        if self.name == "MSH":  # MSH-1 is the delimiter itself
            return "|".join((self.name, *self.fields[2:]))
        return "|".join(self.fields)


@dataclass(frozen=True)
class Message:
    """A message: MSH first."""

    segments: tuple[Segment, ...]

    @property
    def header(self) -> Segment:
        """MSH."""
        return self.segments[0]

    def all(self, name: str) -> Iterator[Segment]:
        """The segments of a name, in order."""
        return (segment for segment in self.segments if segment.name == name)

    def first(self, name: str) -> Segment:
        """The first segment of a name; an empty one where there is none."""
        return next(self.all(name), Segment((name,)))

    def as_bytes(self) -> bytes:
        """Each segment ends with a carriage return (2.5)."""
        return "".join(f"{segment}\r" for segment in self.segments).encode()


def segment(name: str, fields: dict[int, str]) -> Segment:
    """A segment of these fields, by their HL7 numbers; values are ready to send."""
    return Segment((name,)).with_fields(fields) if fields else Segment((name,))


def header(fields: dict[int, str]) -> Segment:
    """MSH of these fields, from 3 on."""
    return Segment(("MSH", "|", "^~\\&")).with_fields(fields)


def escape(text: str) -> str:
    """A text as it stands in a field: delimiters escaped, control characters left out."""
    escaped = "".join(_ESCAPES.get(character, character) for character in text.replace("\r\n", "\n"))
    return _UNPRINTABLE.sub(" ", escaped)


def unescape(text: str) -> str:
    """The text of a field."""
    back = {code[1:-1]: character for character, code in _ESCAPES.items()}
    return _ESCAPED.sub(lambda found: back[found[1]], text)


def composite(components: Sequence[str]) -> str:
    """Components that are texts as one field; empty ones at the end are left out (2.10)."""
    return "^".join(map(escape, components)).rstrip("^")


def parse_message(content: bytes) -> Message:
    """Read a message, whatever its delimiters.

    Raises:
        NotHl7: it does not begin with MSH and delimiters.
    """
    text = content.decode("utf-8", "replace").lstrip("\r\n")
    if not text.startswith("MSH") or len(text) < _LEAST_HEADER:
        raise NotHl7("expected a message that begins with MSH and its delimiters")
    separator, component, repetition = text[3], text[4], text[5]
    swap = str.maketrans({separator: "|", component: "^", repetition: "~"})
    lines = (line for line in re.split(r"[\r\n]+", text.translate(swap)) if line)
    return Message(tuple(map(_segment, lines)))


def _segment(line: str) -> Segment:
    fields = line.split("|")
    return Segment(("MSH", "|", *fields[1:])) if fields[0] == "MSH" else Segment(tuple(fields))
