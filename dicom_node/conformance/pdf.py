"""A document as PDF, with outline and page numbers; the same document gives the same bytes."""

from __future__ import annotations

from io import BytesIO
from typing import Any, Final
from xml.sax.saxutils import escape

from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle, getSampleStyleSheet
from reportlab.lib.units import mm
from reportlab.platypus import Flowable, Paragraph, SimpleDocTemplate, Spacer
from reportlab.platypus import Table as PdfTable

from dicom_node.conformance.document import Document, Table

_MARGIN: Final = 18 * mm
_WIDTH: Final = A4[0] - 2 * _MARGIN
_LEVELS: Final = 3  # headings that look different
_LEAST_SHARE: Final = 0.08


def as_pdf(document: Document) -> bytes:
    """The whole document on A4."""
    styles = getSampleStyleSheet()
    small = ParagraphStyle("cell", parent=styles["BodyText"], fontSize=7.5, leading=9, wordWrap="CJK")
    story: list[Flowable] = [Paragraph(escape(document.title), styles["Title"])]
    story += [Paragraph(escape(line), styles["BodyText"]) for line in document.lines]
    for number, depth, section in document.numbered():
        heading = Paragraph(escape(f"{number} {section.title}"), styles[f"Heading{min(depth, _LEVELS)}"])
        heading.outline = (f"{number} {section.title}", depth - 1)
        story += [Spacer(1, 2 * mm), heading]
        for block in section.blocks:
            story.append(_table(block, small) if isinstance(block, Table) else _words(block, styles["BodyText"]))
    target = BytesIO()
    _Template(
        target, pagesize=A4, leftMargin=_MARGIN, rightMargin=_MARGIN, topMargin=_MARGIN, bottomMargin=_MARGIN,
        title=document.title, author="wmh-node", lang="en", invariant=1,
    ).build(story, onFirstPage=_page_number, onLaterPages=_page_number)  # fmt: skip
    return target.getvalue()


class _Template(SimpleDocTemplate):  # type: ignore[misc]
    """Puts headings into the outline, which readers show beside the pages."""

    def afterFlowable(self, flowable: Any) -> None:  # noqa: N802 - reportlab's name
        """Called after each part was drawn."""
        if (entry := getattr(flowable, "outline", None)) is not None:
            words, level = entry
            self.canv.bookmarkPage(words)
            self.canv.addOutlineEntry(words, words, level=level, closed=level > 0)


def _words(text: str, style: ParagraphStyle) -> Paragraph:
    return Paragraph(escape(text.replace("`", "")), style)


def _table(table: Table, style: ParagraphStyle) -> PdfTable:
    cells = [[Paragraph(escape(cell.replace("`", "")), style) for cell in row] for row in (table.headings, *table.rows)]
    drawn = PdfTable(cells, colWidths=_widths(table), repeatRows=1)
    drawn.setStyle(
        [
            ("GRID", (0, 0), (-1, -1), 0.4, colors.grey),
            ("BACKGROUND", (0, 0), (-1, 0), colors.HexColor("#e8ecf0")),
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
            ("TOPPADDING", (0, 0), (-1, -1), 1.5),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 1.5),
        ]
    )
    return drawn


def _widths(table: Table) -> list[float]:
    """Columns by their longest text, none too narrow."""
    longest = [min(max(len(row[place]) for row in (table.headings, *table.rows)), 60) for place in _places(table)]
    shares = [max(length / sum(longest), _LEAST_SHARE) for length in longest]
    return [_WIDTH * share / sum(shares) for share in shares]


def _places(table: Table) -> range:
    return range(len(table.headings))


def _page_number(canvas: Any, document: Any) -> None:
    canvas.saveState()
    canvas.setFont("Helvetica", 8)
    canvas.drawRightString(A4[0] - _MARGIN, 10 * mm, f"page {document.page}")
    canvas.restoreState()
