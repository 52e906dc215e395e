"""TensorBoard event files, written without TensorFlow: `tensorboard --logdir RUN/logs`."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

from training.errors import NotSaved
from training.fit.checkpoint import EpochRecord

# TensorBoard asks for "tfevents" in the name; the rest is fixed, so that a resumed run replaces its file.
_NAME: Final = "events.out.tfevents.wmh-node"
_VERSION: Final = "brain.Event:2"


class EventLog:
    """The log of one member, one step an epoch.

    It is written again from the checkpoint's history when a run continues: a kill may have cut its last record, and
    TensorBoard reads nothing behind a broken one.

    Raises:
        NotSaved: the disk is full or failing, on opening it and on each record; the checkpoints are not touched.
    """

    def __init__(self, folder: Path, history: Iterable[EpochRecord] = ()) -> None:
        self._folder = folder
        with self._explained():
            folder.mkdir(parents=True, exist_ok=True)
            self._stream = (folder / _NAME).open("wb")
        self._records = RecordWriter(self._stream)
        self._write(Event(wall_time=time.time(), file_version=_VERSION))
        for record in history:
            self.add(record)

    def add(self, record: EpochRecord) -> None:
        """One epoch; at once readable for a TensorBoard that looks on."""
        values = {"loss": record.loss, "validation_dsc": record.validation_dsc}
        summary = Summary(
            value=[Summary.Value(tag=tag, simple_value=value) for tag, value in values.items() if value is not None]
        )
        self._write(Event(wall_time=time.time(), step=record.epoch, summary=summary))

    def close(self) -> None:
        """End the file."""
        with self._explained():
            self._records.close()

    def _write(self, event: Event) -> None:
        with self._explained():
            self._records.write(event.SerializeToString())
            self._stream.flush()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise NotSaved(
                f"{self._folder.name}: the log for TensorBoard could not be written ({error.strerror}); every "
                "finished epoch is kept. Free some space and run the same command again"
            ) from error
