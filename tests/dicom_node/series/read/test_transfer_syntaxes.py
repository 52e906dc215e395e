"""Every compression and every way of storing bits gives the same voxels."""

from __future__ import annotations

import os
import signal
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)
from support.dicom_series import Scan, small_scan, write_scan
from support.peers import peer

from dicom_node.node.errors import UnreadableObject
from dicom_node.series.dicom.jpeg_child import JpegChild
from dicom_node.series.read.series import read_series


def _rewrite(files: list[Path], syntax: UID) -> None:
    for path in files:
        instance = pydicom.dcmread(path)
        if syntax.is_compressed and syntax != DeflatedExplicitVRLittleEndian:
            instance.compress(syntax, generate_instance_uid=False)
        elif syntax == ExplicitVRBigEndian:
            instance.PixelData = np.frombuffer(instance.PixelData, "<u2").astype(">u2").tobytes()
        instance.file_meta.TransferSyntaxUID = syntax
        little, implicit = syntax != ExplicitVRBigEndian, syntax == ImplicitVRLittleEndian
        pydicom.dcmwrite(path, instance, implicit_vr=implicit, little_endian=little, enforce_file_format=True)


@pytest.mark.parametrize(
    "syntax",
    [
        ImplicitVRLittleEndian,
        ExplicitVRLittleEndian,
        DeflatedExplicitVRLittleEndian,
        ExplicitVRBigEndian,
        RLELossless,
        JPEGLSLossless,
        JPEG2000Lossless,
    ],
    ids=lambda uid: uid.keyword,
)
@pytest.mark.parametrize("enhanced", [False, True])
def test_lossless_syntaxes(syntax: UID, enhanced: bool, tmp_path: Path) -> None:
    """Uncompressed, deflated, RLE, JPEG-LS and JPEG 2000 decode to the same voxels."""
    scan = small_scan(6)
    files = write_scan(scan, tmp_path, enhanced=enhanced)
    _rewrite(files, syntax)
    np.testing.assert_array_equal(read_series(files).voxels, scan.stored)


@pytest.mark.parametrize("selection", ["+e1", "+el"])
def test_jpeg_lossless(selection: str, tmp_path: Path) -> None:
    """Lossless JPEG, as DCMTK writes it, decodes to the same voxels."""
    scan = small_scan(6)
    files = write_scan(scan, tmp_path)
    for path in files:
        subprocess.run([peer("dcmcjpeg"), selection, path, path], check=True)
    np.testing.assert_array_equal(read_series(files).voxels, scan.stored)


def test_a_damaged_jpeg_is_refused(tmp_path: Path) -> None:
    """GDCM decodes damaged lossless JPEG to noise and only complains on stderr: that is an error for us."""
    files = write_scan(small_scan(6), tmp_path)
    for path in files:
        subprocess.run([peer("dcmcjpeg"), "+e1", path, path], check=True)
    content = files[2].read_bytes()
    files[2].write_bytes(content[:-500] + bytes(100) + content[-400:])
    with pytest.raises(UnreadableObject) as caught:
        read_series(files)
    assert caught.value.code == "pixels_undecodable"


def test_a_decoder_that_hangs_ends_no_process(tmp_path: Path) -> None:
    """When the decoder's process hangs, the frame is unreadable, and the next one is decoded by a new child; that is in
    its parent's session, so that it ends with it."""
    scan = small_scan(6)
    files = write_scan(scan, tmp_path)
    subprocess.run([peer("dcmcjpeg"), "+e1", files[0], files[0]], check=True)
    with JpegChild() as child:
        np.testing.assert_array_equal(child.decode(files[0], 0), scan.stored[0])
        first, limits = child._child.process_id, child._child._limits
        assert first is not None
        assert os.getsid(first) == os.getsid(0)
        os.kill(first, signal.SIGSTOP)
        child._child._limits = replace(limits, seconds=0.1)
        with pytest.raises(OSError, match=r"the JPEG decoder failed: .* gave no answer"):
            child.decode(files[0], 0)
        child._child._limits = limits
        np.testing.assert_array_equal(child.decode(files[0], 0), scan.stored[0])


def test_signed_values(tmp_path: Path) -> None:
    """Negative stored values stay negative."""
    scan = small_scan(6)
    signed = Scan(scan.stored.astype(np.int16) - 2000, scan.affine, "signed")
    np.testing.assert_array_equal(read_series(write_scan(signed, tmp_path)).voxels, signed.stored)


def test_bits_above_the_stored_ones_are_ignored(tmp_path: Path) -> None:
    """Old overlays in the high bits do not change intensities, and 12-bit signed values keep their sign."""
    scan = small_scan(6)
    dirty = Scan(scan.stored | np.uint16(0xA000), scan.affine, "overlay")
    twelve = {"BitsStored": 12, "HighBit": 11}
    np.testing.assert_array_equal(read_series(write_scan(dirty, tmp_path / "u", extra=twelve)).voxels, scan.stored)

    signed = {**twelve, "PixelRepresentation": 1, "SmallestImagePixelValue": 0, "LargestImagePixelValue": 0}
    expected = np.where(scan.stored > 2047, scan.stored.astype(np.int32) - 4096, scan.stored)
    np.testing.assert_array_equal(read_series(write_scan(dirty, tmp_path / "s", extra=signed)).voxels, expected)


def test_monochrome1_is_turned(tmp_path: Path) -> None:
    """Where low values are bright, intensities are turned, so that air is dark; the series is flagged."""
    scan = small_scan(6)
    stored = scan.stored.max() - scan.stored
    series = read_series(
        write_scan(replace(scan, stored=stored), tmp_path, extra={"PhotometricInterpretation": "MONOCHROME1"})
    )
    np.testing.assert_array_equal(series.voxels, float(stored.max()) - stored)
    assert "monochrome1_inverted" in series.flags
