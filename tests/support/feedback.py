"""A node's database and storage with an analysed series, and corrections of its segmentation as tools write them."""

from __future__ import annotations

import hashlib
import io
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from copy import copy
from pathlib import Path

import highdicom
import numpy as np
import pydicom
from highdicom.seg import SegmentAlgorithmTypeValues, SegmentationTypeValues, SegmentDescription
from numpy.typing import NDArray
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.uid import generate_uid
from support.clock import ManualClock
from support.databases import with_schema
from support.dicom_series import Scan, small_scan, write_scan
from support.result_cases import MODEL, result_set_of, segmentation_of

from db.engine import open_database
from db.feedback import FeedbackTable
from db.inbox import Inbox
from db.jobs import JobTable
from db.records import AssociationEnd, Feedback, Job, NewDelivery, ReceivedInstance
from dicom_node.feedback.match import FeedbackMatcher
from dicom_node.feedback.read import FeedbackReader
from dicom_node.node.dicom_uids import SEGMENTATION_CLASSES
from dicom_node.node.outbox import Outbox
from dicom_node.results.result_set import write_result_set
from dicom_node.series.read.flair_series import FlairSeries
from dicom_node.series.read.series import read_series

Mask = NDArray[np.bool_]
WMH_CODE = Code("110702", "DCM", "White Matter T2 Hyperintensity")
MEASUREMENTS = {
    "wmh_volume_ml": 1.0,
    "model": {"name": MODEL.name, "version": MODEL.version, "digest": MODEL.digest},
}


def _url(folder: Path) -> str:
    return f"sqlite:///{folder / 'node.sqlite'}"


def packed(frames: Mask) -> bytes:
    """(frame, row, column) as the PixelData of a BINARY segmentation (PS3.5 8.1.1)."""
    return pydicom.pixels.pack_bits(frames.astype(np.uint8).reshape(-1), pad=True)


class AnalysedNode:
    """A database, a storage folder, and a matcher on one clock.

    Args:
        folder: everything goes here; absolute.
        scan: the FLAIR that `receive_series` and `analyse` are about.
        reader: several nodes may share one; whoever made it closes it.
        variations: of the series, as for `write_scan`.
    """

    def __init__(
        self, folder: Path, scan: Scan | None = None, reader: FeedbackReader | None = None, **variations: object
    ) -> None:
        self.files = write_scan(scan or small_scan(), folder / "sent", **variations)  # type: ignore[arg-type]
        self.series: FlairSeries = read_series(self.files)
        self.segmentation = segmentation_of(self.series)
        with_schema(_url(folder))
        self._open(folder, reader or FeedbackReader())

    def _open(self, folder: Path, reader: FeedbackReader) -> None:
        self.url = _url(folder)
        self.clock = ManualClock()
        self.database = open_database(self.url, self.clock)
        self.inbox, self.jobs = Inbox(self.database), JobTable(self.database)
        self.feedback = FeedbackTable(self.database)
        self.storage = folder
        self.outbox = Outbox(folder / "outbox")
        self.reader = reader
        self.matcher = FeedbackMatcher(
            self.feedback, self.inbox, self.jobs, folder, self.outbox, self.reader, clock=self.clock
        )

    def copy(self, folder: Path, reader: FeedbackReader) -> AnalysedNode:
        """The same in another folder: analysing takes a while, and tests must not see each other's rows."""
        shutil.copytree(self.storage, folder, dirs_exist_ok=True)
        other = copy(self)
        other.files = [folder / "sent" / file.name for file in self.files]
        other._open(folder, reader)
        return other

    # What a node does

    def receive(self, files: Sequence[Path], calling: str = "READER") -> None:
        """Record files as the receiver does, in one association."""
        association = self.inbox.open_association(calling, "WMHNODE", "10.0.0.7", "receiver")
        self.inbox.record([self._received(file, association) for file in files])
        self.inbox.end_association(association, AssociationEnd.RELEASED)

    def receive_series(self) -> None:
        """The FLAIR."""
        self.receive(self.files, "SCANNER")

    def analyse(self) -> Job:
        """A job with a result set in the outbox, as the worker leaves it."""
        uid = self.series.series_instance_uid
        job = self.jobs.enqueue(uid, self.series.files_digest, len(self.files))
        self.jobs.claim("worker", 60)
        with self.outbox.workplace(job.id) as folder:
            written = write_result_set(result_set_of(self.series, self.segmentation), folder)
            self.outbox.publish(job.id, folder, [path.name for path in written])
        return self.jobs.deliver(job.id, "worker", MEASUREMENTS, [NewDelivery("pacs", ["seg.dcm"])])

    @property
    def result(self) -> pydicom.Dataset:
        """The node's own segmentation, as it lies in the outbox."""
        folder = self.outbox.of_job(1)
        assert folder is not None
        return pydicom.dcmread(folder / "seg.dcm")

    def receive_correction(self, seg: pydicom.Dataset | bytes | Path, calling: str = "READER") -> int:
        """A segmentation, received and entered as completion does; returns its number."""
        file = seg if isinstance(seg, Path) else self.storage / f"sent-{generate_uid()}.dcm"
        if isinstance(seg, bytes):
            file.write_bytes(seg)
        elif isinstance(seg, pydicom.Dataset):
            seg.save_as(file, enforce_file_format=True)
        self.receive([file], calling)
        (activity,) = self.inbox.open_series()
        (number,) = self.feedback.receive(
            activity.series_instance_uid, activity.instance_count, SEGMENTATION_CLASSES, closes=True
        )
        return number

    def look(self, number: int) -> Feedback:
        """Look at one row, whether it is due or not."""
        self.matcher.look_at(self.feedback.get(number))
        return self.feedback.get(number)

    def corrected(self, seg: pydicom.Dataset | bytes | Path) -> Feedback:
        """A segmentation, received and looked at."""
        return self.look(self.receive_correction(seg))

    def _received(self, file: Path, association: int) -> ReceivedInstance:
        content = file.read_bytes()
        sha256 = hashlib.sha256(content).hexdigest()
        (self.storage / "inbox").mkdir(exist_ok=True)
        (self.storage / "inbox" / f"{sha256}.dcm").write_bytes(content)
        header = pydicom.Dataset()
        with suppress(Exception):  # what is hostile was said about by the command that brought it
            header = pydicom.dcmread(io.BytesIO(content), stop_before_pixels=True, force=True)
        return ReceivedInstance(
            sop_instance_uid=str(header.get("SOPInstanceUID", "1.2.3.9")),
            sop_class_uid=str(header.get("SOPClassUID", "1.2.840.10008.5.1.4.1.1.66.4")),
            series_instance_uid=str(header.get("SeriesInstanceUID", "1.2.3")),
            study_instance_uid=str(header.get("StudyInstanceUID", "1.2")),
            transfer_syntax_uid="1.2.840.10008.1.2.1",
            path=f"inbox/{sha256}.dcm",
            sha256=sha256,
            size_bytes=len(content),
            association_id=association,
        )

    # What a radiologist does

    def corrected_mask(self) -> Mask:
        """The model's mask with a lesion added in the middle, and one slice of it wiped out."""
        mask = self.segmentation.mask.copy()
        mask[4, 25:31, 18:27] = True
        mask[2] = False
        return mask

    def edited(self, mask: Mask, change: Callable[[pydicom.Dataset], None] | None = None) -> pydicom.Dataset:
        """The node's own SEG, its pixels replaced by a script: new UIDs, everything else as it was."""
        seg = self.result
        seg.SOPInstanceUID = seg.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        seg.SeriesInstanceUID = generate_uid()
        seg.PixelData = packed(mask[self.slices_of(seg)])
        if change is not None:
            change(seg)
        return seg

    def slices_of(self, seg: pydicom.Dataset) -> list[int]:
        """Which slice of the FLAIR each frame shows."""
        places = [
            [*map(float, group.PlanePositionSequence[0].ImagePositionPatient), 1.0]
            for group in seg.PerFrameFunctionalGroupsSequence
        ]
        return np.rint((np.linalg.inv(self.series.affine) @ np.array(places).T)[2]).astype(int).tolist()

    def by_tool(
        self,
        masks: dict[str, Mask],
        *,
        kind: SegmentationTypeValues = SegmentationTypeValues.BINARY,
        property_type: Code = codes.SCT.Tissue,
        algorithm: SegmentAlgorithmTypeValues = SegmentAlgorithmTypeValues.MANUAL,
        files: Sequence[Path] | None = None,
        **settings: object,
    ) -> highdicom.seg.Segmentation:
        """A SEG as tools write it: empty frames left out, a segment of each label, other equipment."""
        images = [pydicom.dcmread(path) for path in files or self.files]
        images.sort(key=lambda image: float(image.ImagePositionPatient[2]))
        stacked = np.stack(list(masks.values()), axis=-1).astype(np.uint8)
        if kind is SegmentationTypeValues.FRACTIONAL:
            settings["fractional_type"] = highdicom.seg.SegmentationFractionalTypeValues.PROBABILITY
            stacked = stacked.astype(np.float32) * 0.75
        named = algorithm is not SegmentAlgorithmTypeValues.MANUAL
        identification = highdicom.AlgorithmIdentificationSequence("tool", codes.DCM.ArtificialIntelligence, "1")
        return highdicom.seg.Segmentation(
            images,
            stacked,
            segmentation_type=kind,
            segment_descriptions=[
                SegmentDescription(
                    number, label, codes.SCT.Tissue, property_type, algorithm, identification if named else None
                )
                for number, label in enumerate(masks, start=1)
            ],
            series_instance_uid=generate_uid(),
            series_number=9,
            sop_instance_uid=generate_uid(),
            instance_number=1,
            manufacturer="Other",
            manufacturer_model_name="Tool",
            software_versions="1",
            device_serial_number="1",
            **{"omit_empty_frames": True, "content_creator_name": "Reader^Rita", **settings},
        )
