"""A document as Markdown."""

from __future__ import annotations

from dicom_node.conformance.document import Document, Table


def as_markdown(document: Document) -> str:
    """The whole document; headings are numbered."""
    parts = [f"# {document.title}", *("  \n".join(document.lines),)]
    for number, depth, section in document.numbered():
        parts.append(f"{'#' * min(depth + 1, 6)} {number} {section.title}")
        parts.extend(_table(block) if isinstance(block, Table) else block for block in section.blocks)
    return "\n\n".join(parts) + "\n"


def _table(table: Table) -> str:
    lines = [_row(table.headings), _row(tuple("---" for _ in table.headings)), *map(_row, table.rows)]
    return "\n".join(lines)


def _row(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"
