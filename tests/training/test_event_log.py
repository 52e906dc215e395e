"""TensorBoard reads what a training writes."""

from __future__ import annotations

from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from training.checkpoint import EpochRecord
from training.event_log import EventLog


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
