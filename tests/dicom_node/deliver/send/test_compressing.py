"""Results that go compressed: to peers that accept it, the same pixels and UIDs, and as they are to all others."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pydicom
import pytest
from scipy import ndimage
from support.dcmtk import PACS_AE_TITLE, storescp
from support.dicom_series import small_scan, write_scan
from support.mr import data_set_bytes, mr_object, mr_series, write_object
from support.orthanc import AE_TITLE, orthanc
from support.processes import free_port
from support.result_cases import segmentation_from
from support.result_facts import facts_of
from support.scp import RecordingScp

from dicom_node.deliver.send import send_files
from dicom_node.deliver.send.compressing import compressed
from dicom_node.deliver.send.object_file import read_object_file
from dicom_node.node.profiles import FIRST_FORM
from dicom_node.node.settings import load_settings
from dicom_node.results.pages.summary import build_summary
from dicom_node.results.result_set import part10_bytes
from dicom_node.results.seg.wmh_seg import build_seg
from dicom_node.series.read.series import read_series

pytestmark = pytest.mark.slow

EXPLICIT = "1.2.840.10008.1.2.1"
DEFLATED = "1.2.840.10008.1.2.1.99"
JPEG_LS = "1.2.840.10008.1.2.4.80"
RLE = "1.2.840.10008.1.2.5"
SEG = "1.2.840.10008.5.1.4.1.1.66.4"


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A segmentation of 350 slices of 256 x 256 with lesions in most of them, and the summary pages."""
    folder = tmp_path_factory.mktemp("results")
    scan = small_scan(350, 256, 256)
    noise = ndimage.gaussian_filter(np.random.default_rng(3).random(scan.stored.shape, np.float32), 3.0)
    smooth = np.interp(noise, (noise.min(), noise.max()), (0, 4095)).astype(np.uint16)  # no codec makes noise smaller
    series = read_series(write_scan(replace(scan, stored=smooth), folder / "series"))
    found = segmentation_from(series, (noise > np.quantile(noise, 0.99)).astype(np.float32))
    facts = facts_of(series)
    objects = [build_seg(series, found.kept_mask, facts, FIRST_FORM), *build_summary(series, found, (), facts)]
    files = [folder / f"{number}.dcm" for number in range(len(objects))]
    for file, dataset in zip(files, objects, strict=True):
        file.write_bytes(part10_bytes(dataset))
    return files


def destination(port: int, ae_title: str = "TESTPACS") -> SimpleNamespace:
    return SimpleNamespace(ae_title=ae_title, host="127.0.0.1", port=port)


def assert_the_same(sent: Path, stored: pydicom.Dataset) -> None:
    """All elements but the bytes of the pixels, which are the same once decoded."""
    own = pydicom.dcmread(sent)
    assert np.array_equal(stored.pixel_array, own.pixel_array)
    del own.PixelData, stored.PixelData
    assert stored == own


def syntaxes(stored: Sequence[pydicom.Dataset]) -> set[str]:
    return {str(dataset.file_meta.TransferSyntaxUID) for dataset in stored}


def test_a_segmentation_of_350_slices_is_small_on_the_way(results):
    """2 MB at most for a SEG of 350 slices, and a page less than half of its 3 MB."""
    seg, *pages = [compressed(read_object_file(file), lambda _sop_class, _syntax: True) for file in results]
    assert results[0].stat().st_size > 3_000_000
    assert (seg.transfer_syntax_uid, len(seg.encoded) < 2_000_000, len(seg.encoded) % 2) == (DEFLATED, True, 0)
    for file, page in zip(results[1:], pages, strict=True):
        assert page.transfer_syntax_uid == JPEG_LS
        assert len(page.encoded) < file.stat().st_size / 2


def test_segmentations_are_deflated_only_where_that_is_set_up(results):
    """A viewer gets no frame of a deflated segmentation from Orthanc: without `+deflated` only pages go compressed."""
    (pacs,) = load_settings(destinations="pacs=PACS@127.0.0.1:104").destinations
    assert pacs.compress == "pages"
    (pacs,) = load_settings(destinations="pacs=PACS@127.0.0.1:104+deflated").destinations
    assert pacs.compress == "all"
    sent = [compressed(read_object_file(file), lambda _sop_class, _syntax: True, "pages") for file in results]
    assert sent[0] is None
    assert all(page is not None for page in sent[1:])


@pytest.mark.peer("Orthanc")
def test_orthanc_takes_them_compressed(tmp_path, results):
    """Orthanc, which accepts all, stores them compressed under their UIDs; the pixels that it gives back are ours."""
    with orthanc(tmp_path, {}) as pacs:
        outcomes = send_files(results, destination(pacs.dicom_port, AE_TITLE), compress="all")
        assert [outcome.status for outcome in outcomes] == [0] * len(results)
        found = []
        for file in results:
            (known,) = pacs.find("Instance", SOPInstanceUID=read_object_file(file).sop_instance_uid)
            found.append(pydicom.dcmread(io.BytesIO(pacs.get_bytes(f"/instances/{known}/file"))))
    assert syntaxes(found) == {DEFLATED, JPEG_LS}
    for file, stored in zip(results, found, strict=True):
        assert_the_same(file, stored)


@pytest.mark.peer("storescp")
@pytest.mark.parametrize(
    ("options", "expected"),
    [((), {EXPLICIT}), (("+xr",), {EXPLICIT, RLE}), (("+xd",), {EXPLICIT, DEFLATED}), (("+xa",), {DEFLATED, JPEG_LS})],
    ids=["plain", "RLE", "deflated", "all"],
)
def test_storescp_gets_what_it_accepts(tmp_path, results, options, expected):
    """By what was negotiated: uncompressed, RLE, deflated or JPEG-LS; the same pixels each time."""
    port = free_port()
    with storescp(tmp_path / "pacs", port, tmp_path / "storescp.log", *options):
        outcomes = send_files(results, destination(port, PACS_AE_TITLE), compress="all")
    assert all(outcome.ok for outcome in outcomes)
    stored = {dataset.SOPInstanceUID: dataset for dataset in map(pydicom.dcmread, (tmp_path / "pacs").iterdir())}
    assert syntaxes(list(stored.values())) == expected
    for file in results:
        assert_the_same(file, stored[read_object_file(file).sop_instance_uid])


@pytest.mark.parametrize("answer", [0xA900, 0xC000, 0x0110, None], ids=["refused", "no sense", "failure", "abort"])
def test_a_peer_that_cannot_store_what_it_accepted_gets_the_object_as_it_is(tmp_path, answer):
    """It refuses the compressed object, or falls over it: the object follows uncompressed, and so do those behind."""
    files = [write_object(mr_object(sop_class=SEG, matrix=512), tmp_path / f"{number}.dcm") for number in range(2)]
    port = free_port()
    with RecordingScp(port, lambda number, _class: answer if number == 1 else 0x0000) as scp:
        outcomes = send_files(files, destination(port), compress="all")
        assert [outcome.status for outcome in outcomes] == [0, 0]
    assert [str(stored.SOPInstanceUID) for stored in scp.datasets] == [
        read_object_file(file).sop_instance_uid for file in files
    ]
    after = DEFLATED if answer else EXPLICIT
    assert [str(stored.file_meta.TransferSyntaxUID) for stored in scp.datasets] == [EXPLICIT, after]
    assert data_set_bytes(files[0]) in scp.kept[0]


def test_only_results_that_gain_by_it_are_compressed(tmp_path, results):
    """Small ones, images of a scanner and what nothing asks to compress go byte for byte."""
    small = write_object(mr_object(sop_class=SEG, matrix=16), tmp_path / "small.dcm")
    image = mr_series(tmp_path / "series", 1, matrix=512)
    port = free_port()
    with RecordingScp(port) as scp:
        assert all(outcome.ok for outcome in send_files([small, *image], destination(port), compress="all"))
        assert send_files(results[:1], destination(port))[0].ok
    assert [data_set_bytes(file) in kept for file, kept in zip([small, *image, results[0]], scp.kept, strict=True)] == [
        True,
        True,
        True,
    ]


def test_a_page_that_no_codec_takes_goes_as_it_is(tmp_path):
    """A Secondary Capture of 32 bits a pixel, to a peer that accepts JPEG-LS: no error, and no compression."""
    odd = mr_object(sop_class="1.2.840.10008.5.1.4.1.1.7", matrix=256)
    odd.BitsAllocated = odd.BitsStored = 32
    odd.HighBit = 31
    odd.PixelData = bytes(256 * 256 * 4)
    file = read_object_file(write_object(odd, tmp_path / "odd.dcm"))
    assert compressed(file, lambda _sop_class, syntax: syntax == JPEG_LS) is None
