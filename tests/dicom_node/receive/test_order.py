"""What happens before an answer, and in which order: without these tests a flush could be lost without notice
before the first power cut."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.mr import encoded, mr_object
from support.raw_scu import RawScu
from support.receiver import ReceiverProcess

pytestmark = pytest.mark.slow

COUNT = 12
RECORDER = Path(__file__).parents[2] / "support" / "recording_receiver.py"

Event = dict[str, Any]


class RecordingReceiver(ReceiverProcess):
    """A receiver process that writes down what it does; its storage does not exist yet."""

    def __init__(self, folder: Path, flush_seconds: float) -> None:
        super().__init__(folder, storage=folder / "new" / "storage")
        self.settings.storage.rmdir()
        self.settings.storage.parent.rmdir()
        self._flush_seconds = flush_seconds

    def _program(self) -> list[str]:
        return [str(RECORDER)]

    def _last_words(self) -> list[str]:
        return [str(self.folder / "events"), str(self._flush_seconds)]

    def events(self) -> list[Event]:
        """Everything so far, in order."""
        return [json.loads(line) for line in (self.folder / "events").read_text().splitlines()]


@pytest.fixture(scope="module", params=[0.0, 0.02], ids=["fast disk", "slow disk"])
def recording(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RecordingReceiver]:
    """A receiver that has answered `COUNT` new objects of one series, and then the same ones again."""
    objects = [mr_object() for _ in range(COUNT)]
    for obj in objects[1:]:
        obj.SeriesInstanceUID = objects[0].SeriesInstanceUID
    with RecordingReceiver(tmp_path_factory.mktemp("recording"), request.param) as receiver:
        with RawScu(receiver.port) as scu:
            scu.associate()
            for dataset in objects * 2:
                assert scu.store(dataset.SOPInstanceUID, encoded(dataset)) == 0x0000
            scu.release()
        yield receiver


def indices(events: list[Event], what: str, **facts: object) -> list[int]:
    """Where these events are."""
    return [
        at
        for at, event in enumerate(events)
        if event["what"] == what and all(event[name] == value for name, value in facts.items())
    ]


def rounds(events: list[Event]) -> list[tuple[int, int, int]]:
    """For each object: where the one before it was answered, where its row was committed, where it was answered."""
    answers, commits = indices(events, "answered"), indices(events, "committed")
    assert len(answers) == len(commits) == 2 * COUNT
    return list(zip([0, *answers], commits, answers, strict=False))


def test_file_name_and_folder_are_flushed_before_the_row_and_the_row_before_the_answer(
    recording: RecordingReceiver,
) -> None:
    """For every object: the whole file flushed, its folder flushed after it got its name, then the row, then 0x0000."""
    events, storage = recording.events(), recording.settings.storage
    for began, committed, answered in rounds(events):
        assert began < committed < answered
        (path,) = (storage / path for path in events[committed]["paths"])
        (named,) = indices(events[began:committed], "named", path=str(path))
        named += began
        size = path.stat().st_size
        assert indices(events[began:committed], "flushed", inode=events[named]["inode"], size=size, folder=False)
        folder = path.parent.stat().st_ino
        begun = indices(events[named:committed], "flushing", inode=folder, folder=True)
        assert begun, "the folder was not flushed between the name and the row"
        assert indices(events[named + begun[0] : committed], "flushed", inode=folder, folder=True)


def test_a_file_that_may_have_been_acknowledged_is_replaced_only_by_one_that_is_on_disk(
    recording: RecordingReceiver,
) -> None:
    """The resend of an object: its file is flushed before it takes the name of the one that is there."""
    events, storage = recording.events(), recording.settings.storage
    for began, committed, _answered in rounds(events)[COUNT:]:
        (path,) = (storage / path for path in events[committed]["paths"])
        (named,) = indices(events[began:committed], "named", path=str(path))
        inode = events[began + named]["inode"]
        assert indices(events[began : began + named], "flushed", inode=inode, folder=False)


def test_new_folders_are_flushed_before_the_first_row(recording: RecordingReceiver) -> None:
    """Every folder on the way to the first object, the storage itself too, has its entry on disk."""
    events, storage = recording.events(), recording.settings.storage
    first_commit = indices(events, "committed")[0]
    made = [
        at for at in indices(events[:first_commit], "mkdir") if Path(events[at]["path"]).is_relative_to(storage.parent)
    ]
    names = {Path(events[at]["path"]) for at in made}
    path = storage / events[first_commit]["paths"][0]
    assert {storage.parent, storage, storage / "inbox", path.parent, path.parent.parent} <= names
    for at in made:
        parent = Path(events[at]["path"]).parent.stat().st_ino
        assert indices(events[at:first_commit], "flushed", inode=parent, folder=True), events[at]["path"]


def test_a_committed_row_is_on_disk(recording: RecordingReceiver) -> None:
    """SQLite flushes its log at every commit: `synchronous` FULL (2) with WAL (sqlite.org/pragma.html)."""
    events = recording.events()
    commits = [events[at] for at in indices(events, "committed")]
    assert {(commit["synchronous"], commit["journal_mode"]) for commit in commits} == {(2, "wal")}
