"""What is killed, and what has to be true after each kill, and after the work was done again.

| kind       | after each kill                                            | after it was done again                   |
|------------|------------------------------------------------------------|-------------------------------------------|
| work       | a job that delivers has every file of its rows, whole      | one row and its files for a destination   |
| deliver    | what counts as sent is at the destination, with its bytes  | all is sent, each object is there once    |
| feedback   | the correction is entered, or its series still waits       | one decision, one line in the audit       |
| promotion  | a live model is whole in the store, with its audit line    | one model is live, one line               |
| withdrawal | withdrawn with note, row and audit line, or none of it     | one note where the results are            |

Each is the product's own code on a database and a storage of its own; the destination of `deliver` is a folder (real
peers that die are in tests/faults).
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pydicom
from support.feedback import MEASUREMENTS, AnalysedNode
from support.models import tiny_bundle
from support.result_cases import result_set_of

from db.audit import audit_entries
from db.deliveries import DeliveryTable
from db.engine import open_database
from db.engine.database import Database
from db.engine.migrate import upgrade
from db.feedback import FeedbackTable
from db.inbox import Inbox
from db.jobs import JobTable
from db.models import ModelTable
from db.records import DeliveryKind, DeliveryState, JobState, NewModel
from db.withdrawals import WithdrawalTable
from dicom_node.deliver.deliverer import Deliverer
from dicom_node.deliver.patience import DeliveryPatience
from dicom_node.deliver.paused import PausedDestinations
from dicom_node.deliver.send import SendOutcome
from dicom_node.feedback import read as feedback_read
from dicom_node.feedback.match import FeedbackMatcher
from dicom_node.feedback.read import FeedbackReader
from dicom_node.models.store import ModelStore
from dicom_node.node.destinations import Destination
from dicom_node.node.files import write_whole
from dicom_node.node.outbox import Outbox
from dicom_node.results.result_set import write_result_set
from dicom_node.results.withdrawing import withdraw_results
from dicom_node.series.complete.completer import Completer
from dicom_node.series.complete.evidence import Patience

DESTINATIONS: Final = ("pacs", "archive")
_LEASE_SECONDS: Final = 0.01  # the next process takes over at once
_NOW: Final = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)


def opened(folder: Path) -> Database:
    """The node's database in a folder."""
    return open_database(f"sqlite:///{folder / 'node.sqlite'}")


class Kind:
    """A kind of work: subclasses say how it is prepared, done, and looked at.

    Args:
        template: a folder of its own, where it is prepared once.
    """

    name = ""

    def __init__(self, template: Path) -> None:
        self.template = template
        template.mkdir(parents=True)
        self.prepare()

    def copy(self, folder: Path) -> None:
        """The prepared node, in another folder."""
        shutil.copytree(self.template, folder)

    def prepare(self) -> None:
        """Make what there is before the work."""
        raise NotImplementedError

    def work(self, folder: Path) -> None:
        """Do what is left of the work."""
        raise NotImplementedError

    def after_kill(self, folder: Path) -> list[str]:
        """What is lost."""
        raise NotImplementedError

    def at_the_end(self, folder: Path) -> list[str]:
        """What is lost or there twice after the work was done again."""
        raise NotImplementedError


class Promotion(Kind):
    """A bundle is copied into the store, registered and promoted."""

    name = "promotion"

    def prepare(self) -> None:
        tiny_bundle(self.template / "bundle", members=1)
        upgrade(f"sqlite:///{self.template / 'node.sqlite'}")

    def work(self, folder: Path) -> None:
        bundle = ModelStore(folder / "models", "soak").add(folder / "bundle").bundle
        with closing(opened(folder)) as database:
            models, identity = ModelTable(database), bundle.identity
            models.add(NewModel(identity.digest, identity.name, identity.version, bundle.members), "soak")
            models.promote(identity.digest, "soak", models.live_digest())

    def after_kill(self, folder: Path) -> list[str]:
        with closing(opened(folder)) as database:
            live = ModelTable(database).live_digest()
            lines = sum(entry.action == "promote model" for entry in audit_entries(database))
            promotions = len(ModelTable(database).promotions())
        found = [] if (live is None) == (lines == 0) and lines == promotions else [f"live {live}, {lines} lines"]
        if live is not None:
            ModelStore(folder / "models", "soak").load(live)  # raises where it is not whole
        return found

    def at_the_end(self, folder: Path) -> list[str]:
        with closing(opened(folder)) as database:
            promotions = len(ModelTable(database).promotions())
        return [*self.after_kill(folder), *([] if promotions == 1 else [f"{promotions} promotions"])]


class _OfAnalysedSeries(Kind):
    """Begins with a received series, its queued job, and the result set that a worker would write (`made`)."""

    def prepare(self) -> None:
        node = AnalysedNode(self.template, reader=_InThisProcess())
        node.receive_series()
        node.jobs.enqueue(node.series.series_instance_uid, node.series.files_digest, len(node.files))
        (self.template / "made").mkdir()
        write_result_set(result_set_of(node.series, node.segmentation), self.template / "made")
        node.database.close()


def _publish(folder: Path) -> None:
    """As the worker does, with a result set that is written already."""
    with closing(opened(folder)) as database:
        jobs, outbox = JobTable(database), Outbox(folder / "outbox", "soak")
        outbox.clear_unfinished()
        job = jobs.claim("worker", _LEASE_SECONDS)
        if job is None:
            return
        with outbox.workplace(job.id) as workplace:
            names = sorted(file.name for file in (folder / "made").iterdir())
            for name in names:
                shutil.copyfile(folder / "made" / name, workplace / name)
            published = outbox.publish(job.id, workplace, names)
        objects = tuple(name for name in names if name.endswith(".dcm"))
        rows = outbox.deliveries(published, dict.fromkeys(DESTINATIONS, objects))
        with outbox.withdrawn_if_lost(published):
            jobs.deliver(job.id, "worker", MEASUREMENTS, rows)


def _missing(folder: Path, database: Database) -> list[str]:
    """Files that rows name and that are not there as they were made."""
    found = []
    for row in DeliveryTable(database).list(1):
        for file in row.files if row.kind is DeliveryKind.RESULTS else ():
            made = folder / "made" / Path(file).name
            if not (folder / file).exists() or (folder / file).read_bytes() != made.read_bytes():
                found.append(f"{row.destination} {file}")
    return found


class Work(_OfAnalysedSeries):
    """A worker publishes a result set and commits its deliveries."""

    name = "work"

    def work(self, folder: Path) -> None:
        time.sleep(2 * _LEASE_SECONDS)
        _publish(folder)

    def after_kill(self, folder: Path) -> list[str]:
        with closing(opened(folder)) as database:
            job, rows = JobTable(database).get(1), DeliveryTable(database).list(1)
            found = _missing(folder, database)
        if (job.state is JobState.DELIVERING) != (len(rows) == len(DESTINATIONS)):
            found.append(f"job {job.state}, {len(rows)} deliveries")
        return found

    def at_the_end(self, folder: Path) -> list[str]:
        with closing(opened(folder)) as database:
            state = JobTable(database).get(1).state
        return [*self.after_kill(folder), *([] if state is JobState.DELIVERING else [f"job {state}"])]


class Deliver(_OfAnalysedSeries):
    """A deliverer sends what is due; the destination is a folder."""

    name = "deliver"

    def prepare(self) -> None:
        super().prepare()
        _publish(self.template)

    def work(self, folder: Path) -> None:
        time.sleep(2 * _LEASE_SECONDS)
        with closing(opened(folder)) as database:
            deliverer = Deliverer(
                owner="deliverer",
                deliveries=DeliveryTable(database),
                destinations={name: Destination(name=name, ae_title="A", host="h", port=104) for name in DESTINATIONS},
                storage=folder,
                send=lambda paths, destination, go_on: _stored(folder / "peers" / destination.name, paths, go_on),
                patience=DeliveryPatience(first_seconds=0.01, longest_seconds=0.01, total_seconds=3600),
                lease_seconds=_LEASE_SECONDS,
                paused=PausedDestinations(time.monotonic),
            )
            while deliverer.deliver_once():
                pass

    def after_kill(self, folder: Path) -> list[str]:
        with closing(opened(folder)) as database:
            rows = DeliveryTable(database).list(1)
        return [
            f"{row.destination} {file}"
            for row in rows
            if row.state is DeliveryState.SENT
            for file in row.files
            if not _is_at(folder / "peers" / row.destination, folder / file)
        ]

    def at_the_end(self, folder: Path) -> list[str]:
        with closing(opened(folder)) as database:
            states = {row.state for row in DeliveryTable(database).list(1)}
            state = JobTable(database).get(1).state
        twice = [str(peer) for peer in (folder / "peers").iterdir() if len(set(_uids(peer))) != len(_uids(peer))]
        done = [] if states == {DeliveryState.SENT} and state is JobState.DONE else [f"job {state}, {states}"]
        return [*self.after_kill(folder), *twice, *done]


def _stored(peer: Path, paths: Sequence[Path], go_on: Callable[[SendOutcome], bool]) -> list[SendOutcome]:
    """Each content once, by its digest: an object that comes with other bytes would be there twice."""
    peer.mkdir(parents=True, exist_ok=True)
    outcomes = []
    for path in paths:
        content = path.read_bytes()
        write_whole(peer / hashlib.sha256(content).hexdigest(), content)
        outcomes.append(SendOutcome(path, 0x0000, True, "", "", False))
        go_on(outcomes[-1])
    return outcomes


def _is_at(peer: Path, file: Path) -> bool:
    return (peer / hashlib.sha256(file.read_bytes()).hexdigest()).exists()


def _uids(peer: Path) -> list[str]:
    heads = [pydicom.dcmread(file, stop_before_pixels=True) for file in peer.iterdir() if not file.name.startswith(".")]
    return [str(head.SOPInstanceUID) for head in heads]


class Withdrawal(_OfAnalysedSeries):
    """Results that one destination has and another waits for are withdrawn."""

    name = "withdrawal"

    def prepare(self) -> None:
        super().prepare()
        _publish(self.template)
        with closing(opened(self.template)) as database:
            table = DeliveryTable(database)
            row = table.claim("deliverer", 60.0)
            assert row is not None
            table.sent(row.id, "deliverer")

    def work(self, folder: Path) -> None:
        with closing(opened(folder)) as database:
            if JobTable(database).get(1).withdrawn_at is None:
                withdraw_results(WithdrawalTable(database), folder, 1, "soak", "the wrong patient", _NOW)

    def after_kill(self, folder: Path) -> list[str]:
        with closing(opened(folder)) as database:
            is_withdrawn = JobTable(database).get(1).withdrawn_at is not None
            rows = DeliveryTable(database).list(1)
            lines = sum(entry.action == "withdraw results" for entry in audit_entries(database))
        notes = [row for row in rows if row.kind is DeliveryKind.WITHDRAWAL]
        waiting = [row for row in rows if row.kind is DeliveryKind.RESULTS and row.state is DeliveryState.PENDING]
        lost = [f"note {file}" for row in notes for file in row.files if not _is_whole(folder / file)]
        if is_withdrawn != (lines == 1) or is_withdrawn != (len(notes) == 1) or is_withdrawn == bool(waiting):
            lost.append(f"withdrawn {is_withdrawn}, {lines} lines, {len(notes)} notes, {len(waiting)} results waiting")
        return lost

    def at_the_end(self, folder: Path) -> list[str]:
        with closing(opened(folder)) as database:
            is_withdrawn = JobTable(database).get(1).withdrawn_at is not None
        return [*self.after_kill(folder), *([] if is_withdrawn else ["not withdrawn"])]


def _is_whole(file: Path) -> bool:
    return file.exists() and bool(pydicom.dcmread(file).SOPInstanceUID)


class Feedback(Kind):
    """Completion enters a correction, and the matcher decides about it."""

    name = "feedback"

    def prepare(self) -> None:
        node = AnalysedNode(self.template, reader=_InThisProcess())
        node.receive_series()
        node.analyse()
        file = self.template / "corrected.dcm"
        node.edited(node.corrected_mask()).save_as(file, enforce_file_format=True)
        node.receive([file])
        self.uids = {series.series_instance_uid for series in node.inbox.open_series()}
        node.database.close()

    def work(self, folder: Path) -> None:
        with closing(opened(folder)) as database:
            inbox, jobs, feedback = Inbox(database), JobTable(database), FeedbackTable(database)
            Completer(inbox, jobs, feedback, folder, Patience(0, 0, 0)).look()
            matcher = FeedbackMatcher(feedback, inbox, jobs, folder, Outbox(folder / "outbox"), _InThisProcess())
            while matcher.step() == 0:
                pass

    def after_kill(self, folder: Path) -> list[str]:
        with closing(opened(folder)) as database:
            entered = {row.series_instance_uid for row in FeedbackTable(database).list(everything=True)}
            waiting = {series.series_instance_uid for series in Inbox(database).open_series()}
        return [f"correction {uid}" for uid in self.uids - entered - waiting]

    def at_the_end(self, folder: Path) -> list[str]:
        with closing(opened(folder)) as database:
            rows = [str(row.state) for row in FeedbackTable(database).list(everything=True)]
            lines = [entry.action for entry in audit_entries(database)]
        is_right = rows == ["accepted"] and lines == ["feedback accepted"]
        return [] if is_right else [f"decisions {rows}, lines {lines}"]


class _InThisProcess(FeedbackReader):
    """Reads in this process, which is the one that is killed: a child for each would take most of the time."""

    def __init__(self) -> None:
        """No child."""

    def _ask(self, request: list[Any]) -> list[Any]:
        (answer,) = feedback_read._answer(json.dumps(request).encode())
        reply: list[Any] = json.loads(answer)
        assert reply[0] not in {"refused", "failed"}, reply
        return reply

    def close(self) -> None:
        """Nothing to end."""


KINDS: Final = (Work, Deliver, Feedback, Promotion, Withdrawal)
