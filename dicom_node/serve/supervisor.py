"""The supervisor: one subprocess per role, started again when it ends, stopped together."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType

from dicom_node.node.backoff import RestartBackoff
from dicom_node.node.logger import get_logger
from dicom_node.serve.role import SUPERVISED_VARIABLE

log = get_logger()

# A worker finishes the job that it has begun; after that long it is killed, and the job's lease runs out.
GRACE_SECONDS = 60.0
_LOOK_SECONDS = 0.2
_USAGE = 2  # exit code of a role whose settings are wrong: starting it again soon cannot help


@dataclass
class _Role:
    name: str
    command: Sequence[str]
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    start_again_at: float = 0.0
    waited_seconds: float | None = None
    restarts: int = field(default=0)
    is_unusable: bool = False  # what it said when it last ended


class Supervisor:
    """Keeps roles running. Use as a context manager: leaving it stops every role.

    Args:
        roles: name -> command line.
        environment: of the subprocesses, besides what the supervisor adds.
        backoff: waits between restarts.
    """

    def __init__(
        self,
        roles: Mapping[str, Sequence[str]],
        environment: Mapping[str, str] | None = None,
        backoff: RestartBackoff | None = None,
    ) -> None:
        self._roles = [_Role(name, command) for name, command in roles.items()]
        self._environment = {**(os.environ if environment is None else environment), SUPERVISED_VARIABLE: "1"}
        self._backoff = backoff or RestartBackoff()

    def __enter__(self) -> Supervisor:
        for role in self._roles:
            self._start(role)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def process_ids(self) -> dict[str, int]:
        """Role -> process id, of those that are running."""
        return {role.name: role.process.pid for role in self._roles if role.process and role.process.poll() is None}

    def run(self, stop: threading.Event) -> int:
        """Watch until a stop signal.

        Returns:
            0, or 2 when no role at all can run with these settings. As long as one can, the others are retried: images
            are received while the model, say, cannot be loaded.
        """
        while not stop.wait(_LOOK_SECONDS):
            for role in self._roles:
                self._look_after(role)
            if all(role.is_unusable for role in self._roles):
                log.error("no role can run with these settings, stopping")
                return _USAGE
        return 0

    def stop(self) -> None:
        """Ask every role to stop, wait, and kill what does not."""
        running = [role.process for role in self._roles if role.process and role.process.poll() is None]
        for process in running:
            process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + GRACE_SECONDS
        for process in running:
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdin:
                process.stdin.close()

    def _start(self, role: _Role) -> None:
        role.process = subprocess.Popen(role.command, stdin=subprocess.PIPE, env=self._environment)
        role.started_at = time.monotonic()
        log.info("role started", role=role.name, pid=role.process.pid, restarts=role.restarts)

    def _look_after(self, role: _Role) -> None:
        now = time.monotonic()
        if role.process is None:
            if now >= role.start_again_at:
                role.restarts += 1
                self._start(role)
            return
        code = role.process.poll()
        if code is None:
            return
        role.is_unusable = code == _USAGE
        if role.is_unusable:
            role.waited_seconds = self._backoff.longest_seconds
            log.error("role cannot run with these settings, see its message above", role=role.name)
        else:
            role.waited_seconds = self._backoff.next(role.waited_seconds, now - role.started_at)
        role.start_again_at = now + role.waited_seconds
        if role.process.stdin:
            role.process.stdin.close()
        role.process = None
        log.error("role ended", role=role.name, exit_code=code, start_again_in_seconds=role.waited_seconds)


def role_command(role: str, config: str | None = None) -> list[str]:
    """The command line that runs one role of this installation."""
    command = [sys.executable, "-m", "dicom_node.cli", role]
    return command if config is None else [*command, "--config", config]
