"""A worker on a real database, with series that were received."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import pydicom
from support.databases import sqlite_url, with_schema

from db.deliveries import DeliveryTable
from db.engine import open_database
from db.inbox import Inbox
from db.jobs import JobTable
from db.records import Delivery, ReceivedInstance
from db.scans import ScanTable
from dicom_node.analyse.follow_up.finder import FollowUps
from dicom_node.analyse.follow_up.patient_key import open_hasher
from dicom_node.analyse.rules import WorkRules
from dicom_node.analyse.worker import Worker
from dicom_node.node.outbox import Outbox
from dicom_node.node.profiles import DEFAULT_OPTIONS
from dicom_node.series.read.instances import digest_of
from dicom_node.series.read.received_series import ReceivedSeriesReader
from segmentation.ensemble import Ensemble

READER = ReceivedSeriesReader()
"""One child for all workers of a test process; its user closes it, and the next use starts it again."""


class Setting:
    """A worker with its tables, and series that were received."""

    def __init__(self, folder: Path, ensemble: Ensemble, url: str | None = None, **rules: object) -> None:
        if url is None:
            url = sqlite_url(folder)
            with_schema(url)
        self.storage = folder
        self.database = open_database(url)
        self.inbox = Inbox(self.database)
        self.jobs = JobTable(self.database, max_attempts=2)
        self.ended: list[int] = []
        values: dict = {
            "lease_seconds": 60.0,
            "retry_seconds": 0.0,
            "limit_seconds": 600.0,
            "destinations": {"pacs": DEFAULT_OPTIONS},
        }
        self.ensemble: Ensemble | None = ensemble
        self._rules = WorkRules(**{**values, **rules})
        self.worker = self.another("worker")

    def another(self, owner: str, follow_ups: FollowUps | None = None) -> Worker:
        """A worker of that name; one that compares volumes only, unless it is given what finds earlier results."""
        return Worker(
            owner=owner,
            inbox=self.inbox,
            jobs=self.jobs,
            current_model=lambda: self.ensemble,
            outbox=Outbox(self.storage / "outbox"),
            rules=self._rules,
            reader=READER,
            follow_ups=follow_ups or FollowUps(ScanTable(self.database), open_hasher(self.storage)),
            end_process=self.ended.append,
        )

    def receive(self, files: list[Path], scanner: str = "SCANNER") -> None:
        """Record files as the receiver does."""
        association = self.inbox.open_association(scanner, "WMHNODE", "10.0.0.7", "receiver")
        batch = []
        for file in files:
            content = file.read_bytes()
            sha256 = hashlib.sha256(content).hexdigest()
            (self.storage / sha256).write_bytes(content)
            header = pydicom.dcmread(file, stop_before_pixels=True)
            batch.append(
                ReceivedInstance(
                    sop_instance_uid=str(header.SOPInstanceUID),
                    sop_class_uid=str(header.SOPClassUID),
                    series_instance_uid=str(header.SeriesInstanceUID),
                    study_instance_uid=str(header.StudyInstanceUID),
                    transfer_syntax_uid="1.2.840.10008.1.2.1",
                    path=sha256,
                    sha256=sha256,
                    size_bytes=len(content),
                    association_id=association,
                )
            )
        self.inbox.record(batch)

    def deliveries(self, job_id: int) -> Sequence[Delivery]:
        """What the job's destinations are sent."""
        return DeliveryTable(self.database).list(job_id)

    def enqueue(self, files: list[Path]) -> int:
        """A job about what was received of the files' series; returns its id."""
        uid = str(pydicom.dcmread(files[0], stop_before_pixels=True).SeriesInstanceUID)
        instances = self.inbox.instances_of(uid)
        return self.jobs.enqueue(uid, digest_of(instances), len(instances)).id
