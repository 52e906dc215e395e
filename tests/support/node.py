"""The node under test: the real `wmh-node serve`, or single roles, in its own folder and on its own port."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil
from support.identifiers import check_no_identifier
from support.processes import free_port, listens, until
from typer.testing import CliRunner

AE_TITLE = "WMHNODE"

SHORT_LEASE_SECONDS = 3
"""For tests that kill a role and wait until its lease runs out; a busy machine may renew so short a lease too late."""

SOON_INCOMPLETE_SECONDS = 4
"""For tests that send a series with a gap in one association and wait for its refusal."""


class Node:
    """A node that can be killed and started again; use as a context manager.

    Leases and quiet times are long by default, so that a busy machine changes no outcome.
    At its end no name and no ID of a patient that it was sent may be in its log, whatever a test sent and broke.

    Args:
        folder: storage, database and log go here.
        destinations: compact form, `pacs=AET@127.0.0.1:PORT`.
        model: model bundle; the reference bundle by default.
        settings: further settings without prefix.
    """

    def __init__(self, folder: Path, destinations: str = "", model: Path | None = None, **settings: object) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.port = free_port()
        self.storage = folder / "storage"
        self.database_url = str(settings.get("database_url", f"sqlite:///{folder / 'node.sqlite'}"))
        self.log = folder / "node.log"
        values: dict[str, object] = {
            "ae_title": AE_TITLE,
            "dicom_port": self.port,
            "web_port": 0,
            "storage": self.storage,
            "database_url": self.database_url,
            "destinations": destinations,
            "quiet_seconds": 1,
            "quiet_seconds_incomplete": 30,
            "network_timeout_seconds": 10,
            "lease_seconds": 60,
            "job_retry_seconds": 1,
            "delivery_retry_seconds": 1,
            "delivery_retry_longest_seconds": 3,
            **({} if model is None else {"model": model}),
            **settings,
        }
        self.environment = {
            **clean_environment(),
            **{f"WMH_NODE_{name.upper()}": str(value) for name, value in values.items()},
        }
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Node:
        self.start()
        return self

    def __exit__(self, failed: object, *_: object) -> None:
        self.stop()
        if failed is None:
            check_no_identifier(self.log.read_text(errors="replace"), self.storage / "inbox")

    def start(self) -> None:
        """Start `serve` and wait until it listens."""
        with self.log.open("ab") as stream:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "dicom_node.cli", "serve"],
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                env=self.environment,
            )
        until(lambda: listens(self.port) or self._process.poll() is not None, "node listening", 90, self.log)
        assert self._process.poll() is None, self.log.read_text()[-4000:]

    def wait_until_ready(self) -> None:
        """Wait until every role has said that it is ready."""
        words = ("receiver listens", "model ready", "deliverer ready")
        until(lambda: all(word in self.log.read_text() for word in words), "every role ready", 90, self.log)

    def stop(self) -> None:
        """SIGTERM, as a service manager does."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait(120)

    def kill_everything(self) -> None:
        """Kill -9 of the supervisor and every role at once, as a power cut does to processes."""
        family = [psutil.Process(self._process.pid), *psutil.Process(self._process.pid).children(recursive=True)]
        for process in family:
            process.kill()
        psutil.wait_procs(family, 10)
        self._process.wait(10)

    def role_pid(self, role: str) -> int | None:
        """Process id of a role that runs under `serve`."""
        for child in psutil.Process(self._process.pid).children():
            try:
                if role in child.cmdline():
                    return child.pid
            except psutil.Error:
                continue
        return None

    def kill_role(self, role: str) -> None:
        """Kill -9 of one role, with what it started."""
        pid = until(lambda: self.role_pid(role), f"role {role} running", 30, self.log)
        for child in psutil.Process(pid).children(recursive=True):
            child.kill()
        os.kill(pid, signal.SIGKILL)

    def cli(self, *arguments: object, code: int | None = 0) -> subprocess.CompletedProcess[str]:
        """Run a command of this installation with this node's settings."""
        return run_cli(*arguments, environment=self.environment, code=code)

    def send(self, files: Sequence[Path]) -> None:
        """C-STORE of the files, as `wmh-node send` does it; the node takes each."""
        assert self.takes(files), self.log.read_text(errors="replace")[-4000:]

    def takes(self, files: Sequence[Path]) -> bool:
        """The same; whether the node took each."""
        from dicom_node.deliver.send import send_files
        from dicom_node.node.destinations import Destination

        destination = Destination(name="node", ae_title=AE_TITLE, host="127.0.0.1", port=self.port)
        return all(outcome.ok for outcome in send_files(files, destination))

    @property
    def jobs(self) -> Any:
        """The job table."""
        from db.engine import open_database
        from db.jobs import JobTable

        return JobTable(open_database(self.database_url))

    def ended_jobs(self, count: int = 1, seconds: float = 240) -> list[Any]:
        """Wait until that many jobs have ended; returns all jobs by id."""
        ended = {"done", "rejected", "failed", "cancelled"}

        def look() -> list[Any] | None:
            jobs = sorted(self.jobs.list(), key=lambda job: job.id)
            return jobs if len([job for job in jobs if str(job.state) in ended]) >= count else None

        return until(look, f"{count} job(s) ended", seconds, self.log)

    def wait_for_state(self, state: str, seconds: float = 120) -> Any:
        """Wait until a job is in that state; returns it."""
        return until(
            lambda: next((job for job in self.jobs.list() if str(job.state) == state), None),
            f"a job {state}",
            seconds,
            self.log,
        )


def clean_environment() -> dict[str, str]:
    """This process's environment without a node's settings, but for the bundle that WMH_NODE_TEST_MODEL names."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("WMH_NODE_")}
    bundle = os.environ.get("WMH_NODE_TEST_MODEL")
    return clean if bundle is None else {**clean, "WMH_NODE_MODEL": bundle}


def run_cli(
    *arguments: object, environment: Mapping[str, str] | None = None, code: int | None = 0
) -> subprocess.CompletedProcess[str]:
    """Run `wmh-node ARGUMENTS`; fails on another exit code than `code` (None: any)."""
    command: Sequence[str] = [sys.executable, "-m", "dicom_node.cli", *map(str, arguments)]
    if environment is None:
        environment = clean_environment()
    done = subprocess.run(command, capture_output=True, text=True, env=dict(environment), timeout=280, check=False)
    assert code is None or done.returncode == code, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def run_here(
    *arguments: object, environment: Mapping[str, str] | None = None, code: int | None = 0
) -> subprocess.CompletedProcess[str]:
    """As `run_cli`, the real app, but in this process: a start costs more than most commands do.

    Not for commands that configure the log or stay (`serve`, `demo`), nor for what a process of its own decides.
    """
    from dicom_node.cli.main import build_app

    words = [str(argument) for argument in arguments]
    wanted = clean_environment() if environment is None else environment
    given = {name: None for name in os.environ if name.startswith("WMH_NODE_")} | dict(wanted)
    before = os.umask(0o022)  # a command changes it
    try:
        done = CliRunner().invoke(build_app(words[0]), words, env=given, catch_exceptions=False)
    finally:
        os.umask(before)
    assert code is None or done.exit_code == code, f"exit {done.exit_code}\n{done.stdout}\n{done.stderr}"
    return subprocess.CompletedProcess(words, done.exit_code, done.stdout, done.stderr)
