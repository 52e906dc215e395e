"""End to end with compressed series: real encoders, a real sender, and the answer of the uncompressed series."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
    generate_uid,
)
from support.dcmtk import storescu
from support.models import tiny_bundle
from support.node import AE_TITLE, Node
from support.peers import peer
from support.phantoms import phantom_files
from support.processes import free_port
from support.scp import RecordingScp

from db.engine import open_database
from db.inbox import Inbox
from dicom_node.demo.phantom.phantom import PhantomSpec

pytestmark = [pytest.mark.peer("storescu"), pytest.mark.slow, pytest.mark.timeout(600)]


def _with_dcmtk(program: str, *options: str) -> Callable[[Path, Path], Sequence[str]]:
    return lambda source, target: [peer(program), *options, str(source), str(target)]


def _with_gdcm(source: Path, target: Path) -> Sequence[str]:
    """DCMTK has no free encoder of JPEG 2000; GDCM's is another than our decoder."""
    return [str(Path(sys.executable).with_name("gdcmconv")), "--j2k", str(source), str(target)]


# Transfer syntax, encoder, and what storescu is to propose.
SYNTAXES: tuple[tuple[UID, Callable[[Path, Path], Sequence[str]], str], ...] = (
    (RLELossless, _with_dcmtk("dcmcrle"), "-xr"),
    (JPEGLosslessSV1, _with_dcmtk("dcmcjpeg", "+e1"), "-xs"),
    (JPEGLSLossless, _with_dcmtk("dcmcjpls", "+el"), "-xt"),
    (JPEG2000Lossless, _with_gdcm, "-xv"),
    (DeflatedExplicitVRLittleEndian, _with_dcmtk("dcmconv", "+td"), "-xd"),
)


def _as_another_series(files: Sequence[Path], folder: Path) -> list[Path]:
    """The same images under UIDs of their own, so that the node knows none of them."""
    folder.mkdir()
    series_uid, made = generate_uid(entropy_srcs=[folder.name]), []
    for file in files:
        instance = pydicom.dcmread(file)
        instance.SeriesInstanceUID = series_uid
        instance.SOPInstanceUID = generate_uid(entropy_srcs=[folder.name, instance.SOPInstanceUID])
        instance.file_meta.MediaStorageSOPInstanceUID = instance.SOPInstanceUID
        made.append(folder / file.name)
        instance.save_as(made[-1])
    return made


def _encoded(files: Sequence[Path], syntax: UID, encoder: Callable[[Path, Path], Sequence[str]]) -> list[Path]:
    made = []
    for file in files:
        made.append(file.with_suffix(".encoded"))
        subprocess.run(encoder(file, made[-1]), check=True, capture_output=True)
        assert pydicom.filereader.read_file_meta_info(made[-1]).TransferSyntaxUID == syntax
    return made


def _series_uid(file: Path) -> str:
    return str(pydicom.dcmread(file, stop_before_pixels=True).SeriesInstanceUID)


def _about(results: Sequence[Dataset], series_uid: str) -> Dataset:
    """The one object that refers to a series."""
    (found,) = [result for result in results if series_uid in result.to_json()]
    return found


def _volume_ml(report: Dataset) -> list[str]:
    """Every number of the report, in its order."""
    return [
        str(element.value) for element in report.iterall() if element.keyword in ("NumericValue", "FloatingPointValue")
    ]


def test_compressed_series_give_the_answer_of_the_uncompressed_one(tmp_path: Path) -> None:
    """RLE, JPEG lossless, JPEG-LS, JPEG 2000, deflated: stored as sent; the same mask and numbers, bit for bit."""
    images = phantom_files(PhantomSpec(slices=8, matrix=96), tmp_path / "phantom", scalp=False)
    plain = _as_another_series(images, tmp_path / "plain")
    sent = {ExplicitVRLittleEndian: plain}
    for syntax, encoder, _ in SYNTAXES:
        files = _as_another_series(images, tmp_path / str(syntax))
        sent[syntax] = _encoded(files, syntax, encoder)
    proposals = {ExplicitVRLittleEndian: "-xe", **{syntax: option for syntax, _, option in SYNTAXES}}
    with (
        RecordingScp(free_port()) as pacs,
        Node(
            tmp_path / "node", f"pacs=TESTPACS@127.0.0.1:{pacs.port}", tiny_bundle(tmp_path / "model", sure=True)
        ) as node,
    ):
        for syntax, files in sent.items():
            storescu(files, AE_TITLE, node.port, proposals[syntax])
        jobs = node.ended_jobs(len(sent))
        assert [(str(job.state), job.reason) for job in jobs] == [("done", None)] * len(sent)
    with closing(open_database(node.database_url)) as database:
        stored = {
            syntax: {instance.transfer_syntax_uid for instance in Inbox(database).instances_of(_series_uid(files[0]))}
            for syntax, files in sent.items()
        }
    assert stored == {syntax: {str(syntax)} for syntax in sent}
    segs, reports = pacs.of_modality("SEG"), pacs.of_modality("SR")
    expected = _about(segs, _series_uid(plain[0]))
    numbers = _volume_ml(_about(reports, _series_uid(plain[0])))
    assert expected.pixel_array.any()
    for files in sent.values():
        seg = _about(segs, _series_uid(files[0]))
        np.testing.assert_array_equal(seg.pixel_array, expected.pixel_array)
        assert [_position(item) for item in seg.PerFrameFunctionalGroupsSequence] == [
            _position(item) for item in expected.PerFrameFunctionalGroupsSequence
        ]
        assert _volume_ml(_about(reports, _series_uid(files[0]))) == numbers


def _position(frame: Dataset) -> list[float]:
    return list(frame.PlanePositionSequence[0].ImagePositionPatient)
