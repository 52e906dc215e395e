"""A receiver that writes down what it does to disk, database and peer: `python recording_receiver.py FD LOG SECONDS`.

One JSON object a line, in the order of the events: `mkdir` (path), `named` (a file gets a name: inode, path),
`flushing` and `flushed` (inode, size, folder or not), `committed` (paths of the rows, how SQLite makes them durable),
`answered` (a DIMSE response is about to leave). SECONDS: how much slower than it is the disk shall be.
"""

from __future__ import annotations

import json
import os
import socket
import stat
import sys
import threading
import time
from pathlib import Path
from typing import Any

from db.inbox import Inbox
from dicom_node.receive.run import run_child

_P_DATA_TF = 4


class Recorder:
    """Writes events; wraps what is watched."""

    def __init__(self, log: Path, flush_seconds: float) -> None:
        self._stream = log.open("a")
        self._lock = threading.Lock()
        self._flush_seconds = flush_seconds

    def note(self, what: str, **facts: Any) -> None:
        """One line."""
        with self._lock:
            self._stream.write(json.dumps({"what": what, **facts}) + "\n")
            self._stream.flush()

    def watch(self) -> None:
        """Put ourselves before the system calls and the database."""
        fsync, mkdir, link, replace, rename = os.fsync, os.mkdir, os.link, os.replace, os.rename
        record, sendall = Inbox.record, socket.socket.sendall

        def watched_fsync(descriptor: Any) -> None:
            status = os.fstat(descriptor)
            facts = {
                "inode": status.st_ino,
                "size": status.st_size,
                "folder": stat.S_ISDIR(status.st_mode),
            }
            self.note("flushing", **facts)
            time.sleep(self._flush_seconds * (3 if facts["folder"] else 1))  # so that whoever does not wait is seen
            fsync(descriptor)
            self.note("flushed", **facts)

        def watched_mkdir(path: Any, *arguments: Any, **keywords: Any) -> None:
            mkdir(path, *arguments, **keywords)
            self.note("mkdir", path=str(path))

        def watched_naming(step: Any) -> Any:
            def name(source: Any, target: Any, **keywords: Any) -> None:
                step(source, target, **keywords)
                self.note("named", inode=Path(target).stat().st_ino, path=str(target))

            return name

        def watched_record(inbox: Any, batch: Any) -> Any:
            outcomes = record(inbox, batch)
            driver = inbox._database._writer.connection.driver_connection
            pragmas = {name: driver.execute(f"PRAGMA {name}").fetchone()[0] for name in ("synchronous", "journal_mode")}
            self.note("committed", paths=[instance.path for instance in batch], **pragmas)
            return outcomes

        def watched_sendall(connection: Any, data: bytes, *arguments: Any) -> None:
            if data[0] == _P_DATA_TF:
                self.note("answered")
            sendall(connection, data, *arguments)

        os.fsync, os.mkdir = watched_fsync, watched_mkdir
        os.link, os.replace, os.rename = watched_naming(link), watched_naming(replace), watched_naming(rename)
        Inbox.record = watched_record
        socket.socket.sendall = watched_sendall


if __name__ == "__main__":
    Recorder(Path(sys.argv[2]), float(sys.argv[3])).watch()
    run_child(int(sys.argv[1]))
