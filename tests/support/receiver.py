"""The receiver under test: the real process on a free port, with a folder and a database of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
from support.databases import with_schema
from support.peers import peer as dcmtk
from support.processes import free_port, until

from dicom_node.receive.acceptor import open_listener
from dicom_node.receive.receiver_settings import ReceiverSettings


class ReceiverProcess:
    """A receiver that can be killed and started again; use as a context manager.

    `dies_at`: a point of `dying_receiver`, "before" or "after" it, and at which call of it. It dies only once: the next
    start is a whole receiver.
    """

    def __init__(
        self,
        folder: Path,
        *,
        environment: dict[str, str] | None = None,
        dies_at: tuple[str, str, int] | None = None,
        **settings: Any,
    ) -> None:
        self._dies_at = dies_at
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.log = folder / "receiver.log"
        values: dict[str, Any] = {
            "ae_title": "WMHNODE",
            "storage": folder / "storage",
            "database_url": f"sqlite:///{folder / 'node.sqlite'}",
            "port": free_port(),
            "reserve_bytes": 0,
            **settings,
        }
        self.settings = ReceiverSettings(**values)
        self.environment = {**os.environ, **(environment or {})}
        self.process: subprocess.Popen[bytes] | None = None
        self.settings.storage.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> ReceiverProcess:

        with_schema(self.settings.database_url)
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def port(self) -> int:
        """Where it listens."""
        return self.settings.port

    @property
    def address(self) -> Any:
        """As a destination of `send_files`."""
        return SimpleNamespace(ae_title=self.settings.ae_title, host="127.0.0.1", port=self.port)

    def start(self) -> None:
        """Start it; connections wait in the backlog until it accepts."""
        lines_before = self.log_text().count("receiver listens")
        with ExitStack() as opened:
            ports = [port for port in (self.port, self.settings.tls_port) if port]
            listeners = [opened.enter_context(open_listener(self.settings.bind, port)).fileno() for port in ports]
            stream = opened.enter_context(self.log.open("ab"))
            self.process = subprocess.Popen(
                [sys.executable, *self._program(), *map(str, listeners), *self._last_words()],
                stdin=subprocess.PIPE,
                stdout=stream,
                stderr=subprocess.STDOUT,
                pass_fds=listeners,
                env=self.environment,
            )
            self._dies_at = None
            self.process.stdin.write(self.settings.to_json().encode() + b"\n")
            self.process.stdin.flush()
        until(
            lambda: self.log_text().count("receiver listens") > lines_before or self.process.poll() is not None,
            "receiver listening",
            120,
            self.log,
        )
        assert self.process.poll() is None, self.log_text()

    def _program(self) -> list[str]:
        if self._dies_at is None:
            return ["-m", "dicom_node.receive"]
        return [str(Path(__file__).with_name("dying_receiver.py"))]

    def _last_words(self) -> list[str]:
        return [] if self._dies_at is None else [str(word) for word in self._dies_at]

    def wait_for_death(self, seconds: float = 60) -> None:
        """Wait until it has killed itself."""
        assert self.process.wait(seconds) == -9
        self.process.stdin.close()

    def stop(self, seconds: float = 60) -> int:
        """SIGTERM, as a service manager does; gives the exit code."""
        if self.process.poll() is None:
            self.process.terminate()
        code = self.process.wait(seconds)
        self.process.stdin.close()
        return code

    def kill(self) -> None:
        """Kill -9."""
        self.process.kill()
        self.process.wait(10)
        self.process.stdin.close()

    def log_text(self) -> str:
        """Everything it logged."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def lines(self, event: str) -> list[str]:
        """Log lines of an event."""
        return [line for line in self.log_text().splitlines() if event in line]

    def wait_for_line(self, event: str, seconds: float = 10) -> str:
        """Wait until an event was logged."""
        until(lambda: self.lines(event), f"log line {event!r}", seconds, self.log)
        return self.lines(event)[-1]

    def files(self) -> list[Path]:
        """Instances on disk."""
        return sorted(self.settings.inbox.glob("*/*/*.dcm"))

    def leftovers(self) -> list[Path]:
        """Unfinished objects."""
        return sorted((self.settings.inbox / "tmp").glob("*.part"))

    def end_notes(self) -> list[Path]:
        """Ends of associations that are not recorded."""
        return sorted((self.settings.inbox / "tmp").glob("*.end"))

    def rows(self, series_uid: str) -> list[Any]:
        """Instances that the database knows of a series."""
        from contextlib import closing

        from db.engine import open_database
        from db.inbox import Inbox

        with closing(open_database(self.settings.database_url)) as database:
            return list(Inbox(database).instances_of(series_uid))

    def count_refused(self, series_uid: str) -> int:
        """How many refused objects a series lacks."""
        from contextlib import closing

        from db.engine import open_database
        from db.inbox import Inbox

        with closing(open_database(self.settings.database_url)) as database:
            return Inbox(database).count_refused(series_uid)

    def series(self) -> list[Any]:
        """What the database knows of the series that are still open."""
        from contextlib import closing

        from db.engine import open_database
        from db.inbox import Inbox

        with closing(open_database(self.settings.database_url)) as database:
            return list(Inbox(database).open_series())

    def usage(self) -> psutil.Process:
        """The process as psutil sees it."""
        return psutil.Process(self.process.pid)

    def restarted_with(self, **settings: Any) -> None:
        """Start again with other settings."""
        self.settings = replace(self.settings, **settings)
        self.start()


_STATUS = re.compile(r"Received Store Response \((?P<words>.*)\)")


def storescu(
    receiver: ReceiverProcess,
    files: Sequence[Path],
    *options: str,
    calling: str = "STORESCU",
    called: str = "WMHNODE",
    seconds: float = 60,
    port: int | None = None,
) -> subprocess.CompletedProcess[str]:
    """Send with DCMTK, to the port without TLS by default; `stdout` holds its verbose log."""
    port = receiver.port if port is None else port
    command = [dcmtk("storescu"), "-v", "-aet", calling, "-aec", called, *options, "127.0.0.1", str(port)]
    return subprocess.run(
        [*command, *map(str, files)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=seconds,
        check=False,
        errors="replace",
    )


def answers(done: subprocess.CompletedProcess[str]) -> list[str]:
    """The statuses that storescu saw, in its words."""
    return [match["words"] for match in _STATUS.finditer(done.stdout)]


@contextmanager
def undisturbed(
    receiver: ReceiverProcess, files: Sequence[Path], *options: str, port: int | None = None
) -> Iterator[None]:
    """A real storescu sends before, during and after the block, and everything it sends is taken without delay."""
    port = receiver.port if port is None else port
    command = [dcmtk("storescu"), "-v", "-aec", "WMHNODE", "--repeat", "4", *options, "127.0.0.1", str(port)]
    beside = subprocess.Popen(
        [*command, *map(str, files)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    )
    try:
        yield
        began = time.monotonic()
        after = storescu(receiver, files[:3], *options, seconds=60, port=port)
        took = time.monotonic() - began
        assert after.returncode == 0, after.stdout
        assert answers(after) == ["Success"] * 3
        assert took < 15, f"a sender had to wait {took:.1f} s"
        output, _ = beside.communicate(timeout=60)
        assert beside.returncode == 0, output
        assert "Success" in output
    finally:
        if beside.poll() is None:
            beside.kill()
            beside.wait()
