"""What every test asks of a result set that came back from a peer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset

SEGMENTATION_STORAGE = "1.2.840.10008.5.1.4.1.1.66.4"
COMPREHENSIVE_3D_SR = "1.2.840.10008.5.1.4.1.1.88.34"
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


def headers(files: Sequence[Path]) -> list[Dataset]:
    """Headers of the source series."""
    return [pydicom.dcmread(file, stop_before_pixels=True) for file in files]


def outbox_of(storage: Path, job_id: int) -> Path:
    """The folder of the job's result set."""
    (folder,) = (storage / "outbox" / str(job_id)).iterdir()
    return folder


def check_refers_to(segs: Sequence[Dataset], sr: Dataset, source: Sequence[Dataset]) -> None:
    """SEGs and SR belong to the source's patient and study, and refer to its series and to nothing but its instances;
    the SR refers to every SEG and to the pages too."""
    first = source[0]
    assert sr.SOPClassUID == COMPREHENSIVE_3D_SR
    for result in (*segs, sr):
        assert result.PatientID == first.PatientID
        assert result.StudyInstanceUID == first.StudyInstanceUID
        assert result.SeriesInstanceUID != first.SeriesInstanceUID
    for seg in segs:
        _check_frames(seg, source)

    mentioned = {
        str(instance.ReferencedSOPInstanceUID)
        for study in sr.get("CurrentRequestedProcedureEvidenceSequence", [])
        for series in study.ReferencedSeriesSequence
        for instance in series.ReferencedSOPSequence
        if instance.ReferencedSOPClassUID != SECONDARY_CAPTURE
    }
    uids = {str(header.SOPInstanceUID) for header in source}
    ours = {str(seg.SOPInstanceUID) for seg in segs}
    assert ours <= mentioned
    assert mentioned - ours <= uids
    assert mentioned & uids


def _check_frames(seg: Dataset, source: Sequence[Dataset]) -> None:
    first = source[0]
    uids = {str(header.SOPInstanceUID) for header in source}
    assert seg.SOPClassUID == SEGMENTATION_STORAGE
    assert seg.FrameOfReferenceUID == first.FrameOfReferenceUID

    (referenced,) = seg.ReferencedSeriesSequence
    assert referenced.SeriesInstanceUID == first.SeriesInstanceUID
    assert {str(item.ReferencedSOPInstanceUID) for item in referenced.ReferencedInstanceSequence} <= uids

    by_uid = {str(header.SOPInstanceUID): header for header in source}
    assert int(seg.NumberOfFrames) >= 1
    for frame in seg.PerFrameFunctionalGroupsSequence:
        origin = frame.DerivationImageSequence[0].SourceImageSequence[0]
        assert str(origin.ReferencedSOPInstanceUID) in uids
        position = [float(x) for x in frame.PlanePositionSequence[0].ImagePositionPatient]
        if "ReferencedFrameNumber" not in origin:
            theirs = by_uid[str(origin.ReferencedSOPInstanceUID)]
            assert position == [float(x) for x in theirs.ImagePositionPatient]
