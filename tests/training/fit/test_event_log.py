"""TensorBoard reads what a training writes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.small_disk import files_that_stay_small
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from training.errors import NotSaved
from training.fit.checkpoint import EpochRecord
from training.fit.event_log import EventLog


def test_tensorboard_reads_the_log_of_a_resumed_run(tmp_path: Path) -> None:
    """One step an epoch, once each, also where a kill cut the last record in the middle."""
    records = [EpochRecord(1, -0.1), EpochRecord(2, -0.2, 0.4), EpochRecord(3, -0.3, 0.5)]
    killed = EventLog(tmp_path)
    for record in records[:2]:
        killed.add(record)
    file = next(tmp_path.iterdir())
    file.write_bytes(file.read_bytes()[:-5])
    resumed = EventLog(tmp_path, records[:2])
    resumed.add(records[2])
    # Read before it is closed: TensorBoard looks on while a training runs.
    read = EventAccumulator(str(tmp_path)).Reload()
    resumed.close()
    assert sorted(read.Tags()["scalars"]) == ["loss", "validation_dsc"]
    assert [(event.step, event.value) for event in read.Scalars("loss")] == [
        (record.epoch, pytest.approx(record.loss)) for record in records
    ]
    assert [event.step for event in read.Scalars("validation_dsc")] == [2, 3]


def test_a_full_disk_is_reported(tmp_path: Path) -> None:
    """A log that cannot go on says so, and that the epochs are safe; whoever then trains on has it whole again."""
    logs, records = tmp_path / "member-0", [EpochRecord(1, -0.1), EpochRecord(2, -0.2)]
    log = EventLog(logs, records[:1])
    size = next(logs.iterdir()).stat().st_size
    with files_that_stay_small(os.getpid(), size):
        with pytest.raises(NotSaved, match=r"member-0: the log for TensorBoard .*every finished epoch .*Free"):
            log.add(records[1])
        with pytest.raises(NotSaved):
            EventLog(logs, records)
    EventLog(logs, records).close()
    assert [event.step for event in EventAccumulator(str(logs)).Reload().Scalars("loss")] == [1, 2]
