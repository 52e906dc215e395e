"""The pages as an encapsulated PDF."""

from __future__ import annotations

import re
import subprocess
import zlib
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image
from support.peers import peer
from support.result_cases import CASES, segmentation_of, series_of
from support.result_facts import facts_of

from dicom_node.results.pages.encapsulated_pdf import build_pdf
from dicom_node.results.pages.pdf import pdf_of
from dicom_node.results.pages.summary import build_summary
from dicom_node.results.result_set import part10_bytes


def pictures_of(document: bytes) -> list[bytes]:
    """The pixels of each page of our own kind of PDF, found by its table of objects."""
    table = int(re.findall(rb"startxref\n(\d+)", document)[0])
    places = [int(place) for place in re.findall(rb"^(\d{10}) 00000 n ", document[table:], re.MULTILINE)]
    pictures = []
    for number, place in enumerate(places, start=1):
        assert document[place:].startswith(b"%d 0 obj\n" % number), "the table does not say where the object is"
        body = document[place : document.index(b"\nendobj", place)]
        if b"/Subtype /Image" in body:
            stream = body[body.index(b"stream\n") + 7 : body.rindex(b"\nendstream")]
            assert b"/Length %d >>" % len(stream) in body
            pictures.append(zlib.decompress(stream))
    return pictures


def test_pages_are_in_it_without_loss() -> None:
    """Each page's pixels come out of the PDF as they went in, in order, and the bytes are the same each time."""
    random = np.random.default_rng(3)
    pages = [Image.fromarray(random.integers(0, 256, (9, 7, 3), np.uint8)) for _ in range(3)]
    document = pdf_of(pages, "Title")
    assert pictures_of(document) == [page.tobytes() for page in pages]
    assert document == pdf_of(pages, "Title")
    assert b"CreationDate" not in document


@pytest.mark.peer("dciodvfy")
@pytest.mark.peer("dcm2pdf")
@pytest.mark.parametrize("case", [CASES[0], CASES[3]], ids=str)
def test_the_object_holds_the_summarys_pages(case: object, tmp_path: Path) -> None:
    """The pages are those of the summary; dciodvfy has nothing to say, and dcm2pdf gets the document out, the same."""
    series = series_of(case, tmp_path / "source")  # type: ignore[arg-type]
    segmentation = segmentation_of(series)
    arguments = (series, segmentation, series.flags, facts_of(series))
    file = tmp_path / "report-pdf.dcm"
    file.write_bytes(part10_bytes(build_pdf(*arguments)))
    assert file.read_bytes() == part10_bytes(build_pdf(*arguments))
    result = pydicom.dcmread(file)
    document = result.EncapsulatedDocument[: result.EncapsulatedDocumentLength]
    assert pictures_of(document) == [bytes(page.PixelData) for page in build_summary(*arguments)]

    done = subprocess.run([peer("dciodvfy"), "-new", str(file)], capture_output=True, text=True, check=False)
    found = [line for line in (done.stdout + done.stderr).splitlines() if line.startswith(("Error", "Warning"))]
    assert [line for line in found if "ContributingEquipmentSequence" not in line or "DeviceUID" not in line] == []
    subprocess.run([peer("dcm2pdf"), str(file), str(tmp_path / "out.pdf")], check=True)
    assert (tmp_path / "out.pdf").read_bytes() == document
