"""A document as data: numbered sections of paragraphs and tables, for Markdown and PDF."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Table:
    """Rows of text below headings."""

    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def __post_init__(self) -> None:
        """Every row has a cell for each heading."""
        if wrong := [row for row in self.rows if len(row) != len(self.headings)]:
            raise ValueError(f"expected {len(self.headings)} cells in each row, got {len(wrong[0])}")


@dataclass(frozen=True)
class Section:
    """A heading with what is below it."""

    title: str
    blocks: tuple[str | Table, ...] = ()
    sections: tuple[Section, ...] = ()


@dataclass(frozen=True)
class Document:
    """A title page's lines, and the sections."""

    title: str
    lines: tuple[str, ...]
    sections: tuple[Section, ...]

    def numbered(self) -> Iterator[tuple[str, int, Section]]:
        """Number ("4.2.1"), depth from 1, and section, in reading order."""
        yield from _numbered(self.sections, "", 1)


def _numbered(sections: Sequence[Section], before: str, depth: int) -> Iterator[tuple[str, int, Section]]:
    for place, section in enumerate(sections, start=1):
        number = f"{before}{place}"
        yield number, depth, section
        yield from _numbered(section.sections, f"{number}.", depth + 1)
