"""Pages as a PDF 1.4 (ISO 32000), written by hand: Pillow would compress them with loss, and stamp the time into it.

Nothing in it depends on the clock or the machine: the same pages give the same bytes.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Final

from PIL import Image

_POINTS: Final = 595  # width of A4 in points of 1/72 inch
_HEADER: Final = b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n"  # four bytes above 127: programs that copy files take it for binary


def pdf_of(pages: Sequence[Image.Image], title: str) -> bytes:
    """A PDF with one picture on each page, without loss.

    Args:
        pages: RGB images, at least one.
        title: ASCII without brackets or backslash.
    """
    first_page = 4
    numbers = range(first_page, first_page + 3 * len(pages), 3)
    kids = " ".join(f"{number} 0 R" for number in numbers)
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R /Lang (en) /ViewerPreferences << /DisplayDocTitle true >> >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>".encode(),
        f"<< /Title ({title}) >>".encode(),
    ]
    for number, page in zip(numbers, pages, strict=True):
        objects.extend(_page_objects(number, page))
    return _file(objects)


def _page_objects(number: int, page: Image.Image) -> tuple[bytes, bytes, bytes]:
    """A page, what it draws, and its picture: objects `number`, `number` + 1 and `number` + 2."""
    height = round(_POINTS * page.height / page.width)
    head = (
        f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {_POINTS} {height}] /Contents {number + 1} 0 R "
        f"/Resources << /XObject << /Im0 {number + 2} 0 R >> >> >>"
    )
    picture = (
        f"/Type /XObject /Subtype /Image /Width {page.width} /Height {page.height} /ColorSpace /DeviceRGB "
        "/BitsPerComponent 8 /Filter /FlateDecode"
    )
    return (
        head.encode(),
        _stream("", f"q {_POINTS} 0 0 {height} 0 0 cm /Im0 Do Q".encode()),
        _stream(picture, zlib.compress(page.convert("RGB").tobytes(), 9)),
    )


def _stream(entries: str, content: bytes) -> bytes:
    return f"<< {entries} /Length {len(content)} >>\nstream\n".encode() + content + b"\nendstream"


def _file(objects: Sequence[bytes]) -> bytes:
    """Objects 1, 2, ... with the table of where each begins (ISO 32000-1, 7.5)."""
    content = bytearray(_HEADER)
    places = []
    for number, body in enumerate(objects, start=1):
        places.append(len(content))
        content += f"{number} 0 obj\n".encode() + body + b"\nendobj\n"
    table = len(content)
    content += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n".encode()
    content += b"".join(f"{place:010d} 00000 n \n".encode() for place in places)
    content += f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R /Info 3 0 R >>\nstartxref\n{table}\n%%EOF\n".encode()
    return bytes(content)
