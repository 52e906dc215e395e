"""Corrections from people, on both databases: none is lost, the last one counts, and names stay where they belong."""

from __future__ import annotations

import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from support.claiming import die_receiving_feedback, receive_feedback
from support.clock import ManualClock
from support.received import instance, series_uid

from db.audit import audit_entries
from db.engine import Database
from db.errors import IllegalTransition, InvalidMeasurements, UnknownRow
from db.feedback import FeedbackTable
from db.inbox import Inbox
from db.records import FeedbackDecision, FeedbackFacts, FeedbackState, ReceivedInstance

SEG = "1.2.840.10008.5.1.4.1.1.66.4"
SEGS = (SEG,)
SOURCE = series_uid("flair")
COMPARISON = {
    "dsc": 0.9,
    "model_ml": 10.0,
    "corrected_ml": 11.0,
    "added_ml": 2.0,
    "removed_ml": 1.0,
    "model": {"name": "wmh-tiny", "version": "1.0.0", "digest": "a" * 64},
}
ACCEPTED = FeedbackDecision(FeedbackState.ACCEPTED, source_series_uid=SOURCE, comparison=COMPARISON, notes=("A note.",))
UNMATCHED = FeedbackDecision(FeedbackState.WAITING, code="no_series", reason="Fits no series.", wait_seconds=10)


def _seg(series: str, number: int, association: int, content: str = "first") -> ReceivedInstance:
    return replace(instance(series, number, association, content), sop_class_uid=SEG)


@pytest.fixture
def inbox(database: Database) -> Inbox:
    """Received instances."""
    return Inbox(database)


@pytest.fixture
def table(database: Database) -> FeedbackTable:
    """The table under test."""
    return FeedbackTable(database)


def _received(inbox: Inbox, table: FeedbackTable, numbers: Sequence[int] = (1,), content: str = "first") -> list[int]:
    association = inbox.open_association("READER", "WMHNODE", "10.0.0.7", "receiver")
    inbox.record([_seg(series_uid("seg"), number, association, content) for number in numbers])
    count = len(inbox.instances_of(series_uid("seg")))
    return table.receive(series_uid("seg"), count, SEGS, closes=True)


class TestReceiving:
    """A segmentation becomes a row, once."""

    def test_a_row_for_each_file(self, inbox: Inbox, table: FeedbackTable) -> None:
        """With who sent it and where it lies; the series asks for nothing more."""
        (first, second) = _received(inbox, table, (1, 2))
        one = table.get(first)
        assert (one.state, one.calling_ae_title, one.who) == (FeedbackState.WAITING, "READER", "READER")
        stored = inbox.instances_of(series_uid("seg"))[0]
        assert (one.path, one.sha256, one.received_at) == (stored.path, stored.sha256, stored.received_at)
        assert [delivery.id for delivery in table.due(5)] == [first, second]
        assert inbox.open_series() == []

    def test_again(self, inbox: Inbox, table: FeedbackTable) -> None:
        """The same file again is no second row; other bytes under its UID are, so that no work is lost."""
        assert len(_received(inbox, table)) == 1
        assert _received(inbox, table) == []
        assert len(_received(inbox, table, content="second")) == 1
        assert len({row.sha256 for row in table.list()}) == 2

    def test_other_objects_of_the_series(self, inbox: Inbox, table: FeedbackTable) -> None:
        """Among images only the segmentation becomes a row, and the series is still to be decided."""
        association = inbox.open_association("READER", "WMHNODE", "10.0.0.7", "receiver")
        uid = series_uid("mixed")
        inbox.record([instance(uid, 1, association), _seg(uid, 2, association)])
        assert len(table.receive(uid, 2, SEGS, closes=False)) == 1
        assert [activity.series_instance_uid for activity in inbox.open_series()] == [uid]

    def test_only_what_was_seen(self, inbox: Inbox, table: FeedbackTable) -> None:
        """What comes after the instances that were looked at opens the series again."""
        association = inbox.open_association("READER", "WMHNODE", "10.0.0.7", "receiver")
        inbox.record([_seg(series_uid("seg"), number, association) for number in (1, 2)])
        assert len(table.receive(series_uid("seg"), 1, SEGS, closes=True)) == 1
        assert [activity.instance_count for activity in inbox.open_series()] == [2]

    def test_by_several_processes(self, inbox: Inbox, table: FeedbackTable, url: str, monkeypatch) -> None:
        """Several workers that see the same series at once make each row once."""
        association = inbox.open_association("READER", "WMHNODE", "10.0.0.7", "receiver")
        inbox.record([_seg(series_uid("seg"), number, association) for number in range(4)])
        root = Path(__file__).resolve().parents[2]
        monkeypatch.setenv("PYTHONPATH", f"{root}:{root / 'tests'}")  # for the children
        with ProcessPoolExecutor(3, mp_context=multiprocessing.get_context("spawn")) as pool:
            made = list(pool.map(receive_feedback, [url] * 3, [SEG] * 3))
        assert sorted(id_ for ids in made for id_ in ids) == sorted(row.id for row in table.list())
        assert len(table.list()) == 4

    def test_killed_before_the_commit(self, inbox: Inbox, table: FeedbackTable, url: str, monkeypatch) -> None:
        """A worker that dies in the middle leaves the series open and no row: the next look does it whole."""
        association = inbox.open_association("READER", "WMHNODE", "10.0.0.7", "receiver")
        inbox.record([_seg(series_uid("seg"), 1, association)])
        root = Path(__file__).resolve().parents[2]
        monkeypatch.setenv("PYTHONPATH", f"{root}:{root / 'tests'}")
        process = multiprocessing.get_context("spawn").Process(target=die_receiving_feedback, args=(url, SEG))
        process.start()
        process.join(60)
        assert process.exitcode == -9
        assert table.list() == []
        assert len(inbox.open_series()) == 1
        assert len(table.receive(series_uid("seg"), 1, SEGS, closes=True)) == 1


class TestDeciding:
    """What a look finds is written once."""

    def test_accepted(self, inbox: Inbox, table: FeedbackTable, database: Database) -> None:
        """Everything is kept; the audit has the comparison and the model, and no name of a person."""
        (number,) = _received(inbox, table)
        facts = FeedbackFacts("Dr^Who", "Op^Erator", "2026-11-24T10:00:00", "Editor 1\x00", {"series": [SOURCE]})
        one = table.decide(number, replace(ACCEPTED, facts=facts))
        assert (one.state, one.source_series_uid, one.who) == (FeedbackState.ACCEPTED, SOURCE, "Dr^Who")
        assert (one.notes, one.comparison, one.refers_to) == (("A note.",), COMPARISON, {"series": [SOURCE]})
        assert one.counts
        assert table.due() == []
        (entry,) = audit_entries(database)
        assert (entry.who, entry.action) == ("READER", "feedback accepted")
        assert "DSC 0.900" in entry.detail
        assert "wmh-tiny 1.0.0" in entry.detail
        assert "Who" not in entry.detail

    def test_the_first_decision_stays(self, inbox: Inbox, table: FeedbackTable, database: Database) -> None:
        """Two workers that look at the same row do not contradict each other, and the audit has one line."""
        (number,) = _received(inbox, table)
        table.decide(number, ACCEPTED)
        after = table.decide(number, FeedbackDecision(FeedbackState.REFUSED, code="x", reason="No."))
        assert after.state is FeedbackState.ACCEPTED
        assert len(audit_entries(database)) == 1

    def test_fits_no_series_yet(
        self, inbox: Inbox, table: FeedbackTable, database: Database, clock: ManualClock
    ) -> None:
        """It is reported once, kept, and looked at again when its time has come; then it may be accepted."""
        (number,) = _received(inbox, table)
        found = table.decide(number, UNMATCHED).decided_at
        assert table.due() == []
        clock.pass_seconds(11)
        assert [delivery.id for delivery in table.due()] == [number]
        assert table.decide(number, UNMATCHED).decided_at == found
        assert [entry.action for entry in audit_entries(database)] == ["feedback fits no series yet"]
        clock.pass_seconds(11)
        assert table.decide(number, ACCEPTED).code is None

    def test_trouble(self, inbox: Inbox, table: FeedbackTable, clock: ManualClock) -> None:
        """What is put back waits; looks that failed are counted, a disk that is away is not."""
        (number,) = _received(inbox, table)
        assert table.put_back(number, 5, counted=False).attempts == 0
        assert table.put_back(number, 5, counted=True).attempts == 1
        assert table.due() == []
        clock.pass_seconds(6)
        assert len(table.due()) == 1

    def test_not_json(self, inbox: Inbox, table: FeedbackTable) -> None:
        """A figure that JSON does not know is refused on both databases."""
        (number,) = _received(inbox, table)
        with pytest.raises(InvalidMeasurements):
            table.decide(number, replace(ACCEPTED, comparison={**COMPARISON, "dsc": float("nan")}))

    @pytest.mark.parametrize("number", [0, -1, 7, 2**40])
    def test_unknown(self, table: FeedbackTable, number: int) -> None:
        """A number that no row has is reported."""
        with pytest.raises(UnknownRow):
            table.get(number)
        with pytest.raises(UnknownRow):
            table.decide(number, ACCEPTED)


class TestLooking:
    """What people are shown."""

    def test_the_last_correction_counts(self, inbox: Inbox, table: FeedbackTable) -> None:
        """Of two corrections of a series the later supersedes the earlier, which is kept; a refused one supersedes
        nothing."""
        (first, second, third) = _received(inbox, table, (1, 2, 3))
        table.decide(second, ACCEPTED)
        table.decide(first, ACCEPTED)  # decided later, sent earlier
        table.decide(third, FeedbackDecision(FeedbackState.REFUSED, source_series_uid=SOURCE, code="x", reason="No."))
        assert table.get(first).superseded_by == second
        assert not table.get(first).counts
        assert [row.id for row in table.list()] == [third, second]
        assert [row.id for row in table.list(everything=True)] == [third, second, first]
        assert [row.id for row in table.list(everything=True, limit=1)] == [third]
        assert [row.id for row in table.of_series(SOURCE)] == [first, second, third]
        assert [row.id for row in table.of_series(series_uid("seg"))] == [first, second, third]

    def test_own_results_are_not_listed(self, inbox: Inbox, table: FeedbackTable, database: Database) -> None:
        """A result that came back is no news."""
        (number,) = _received(inbox, table)
        table.decide(number, FeedbackDecision(FeedbackState.OWN))
        assert table.list() == []
        assert len(table.list(everything=True)) == 1
        assert audit_entries(database) == []

    def test_series_of_instances(self, inbox: Inbox, table: FeedbackTable) -> None:
        """A reference to instances leads to their series."""
        association = inbox.open_association("SCANNER", "WMHNODE", "10.0.0.7", "receiver")
        one = instance(SOURCE, 1, association)
        inbox.record([one])
        assert table.series_of_instances([one.sop_instance_uid, "1.2.3"]) == [SOURCE]
        assert table.series_of_instances([]) == []

    def test_look_again(self, inbox: Inbox, table: FeedbackTable, database: Database, clock: ManualClock) -> None:
        """A person has one looked at again that waits or was refused; what is decided for good stays."""
        (number,) = _received(inbox, table)
        table.decide(number, replace(UNMATCHED, wait_seconds=timedelta(days=1).total_seconds()))
        assert table.look_again(number, "alice@lab").state is FeedbackState.WAITING
        assert [delivery.id for delivery in table.due()] == [number]
        table.decide(number, FeedbackDecision(FeedbackState.REFUSED, code="x", reason="No."))
        assert table.look_again(number).code is None
        table.decide(number, ACCEPTED)
        with pytest.raises(IllegalTransition, match="accepted"):
            table.look_again(number)
        assert audit_entries(database)[-2].who == "alice@lab"
