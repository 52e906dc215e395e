"""A program of the hospital's own: it gets the CloudEvent as JSON on standard input; exit status 0 means taken.

It is started by its path, without a shell and without arguments, in an environment that holds no setting and no secret
of the node.
"""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dicom_node.node.errors import ConfigurationError
from dicom_node.node.settings import Settings
from dicom_node.notify.errors import NotTaken
from dicom_node.notify.message import Message

_SECONDS: Final = 30.0
_ENVIRONMENT: Final = {"PATH": os.defpath, "LANG": "C.UTF-8"}
_SETTING: Final = "WMH_NODE_NOTIFY_COMMAND"


@dataclass(frozen=True)
class CommandChannel:
    """A program on this machine, see the module.

    Attributes:
        program: its absolute path.
        seconds: after these it is killed, with what it started, and the message counts as not taken.
    """

    program: Path
    seconds: float = _SECONDS
    name: str = "command"

    @classmethod
    def of(cls, settings: Settings) -> CommandChannel:
        """From the settings, which have a command."""
        assert settings.notify_command is not None
        return cls(settings.notify_command)

    def check(self) -> str:
        """What it would start, in words; starts nothing.

        Raises:
            ConfigurationError: there is no such program, or others may change it.
        """
        name = self.program.name
        if not self.program.is_absolute():
            raise ConfigurationError(f"command: expected an absolute path in {_SETTING}, got {name}")
        try:
            found = self.program.stat()
        except OSError as error:
            raise ConfigurationError(f"command: {name} cannot be read ({error.strerror}): check {_SETTING}") from error
        if not stat.S_ISREG(found.st_mode) or not os.access(self.program, os.X_OK):
            raise ConfigurationError(f"command: expected a program in {_SETTING}, {name} is none: chmod +x it")
        if found.st_mode & stat.S_IWOTH:
            raise ConfigurationError(f"command: everybody may write {name}: chmod o-w it, then it is started")
        return f"the program {name}"

    def send(self, message: Message) -> str | None:
        """Start the program and hand it the message.

        Raises:
            NotTaken: it did not start, ended with another status than 0, or did not end in time.
            ConfigurationError: as `check`.
        """
        self.check()
        name = self.program.name
        try:
            process = subprocess.Popen(
                [self.program],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd="/",
                env=_ENVIRONMENT,
                start_new_session=True,
            )
        except OSError as error:
            raise NotTaken(
                f"{name} did not start ({error.strerror}): does its first line name an interpreter?"
            ) from error
        with process:
            try:
                process.communicate(json.dumps(message.event, ensure_ascii=False).encode(), self.seconds)
            except subprocess.TimeoutExpired as error:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                raise NotTaken(
                    f"{name} did not end within {self.seconds:g} s and was killed: what does it wait for?"
                ) from error
        if process.returncode < 0:
            raise NotTaken(
                f"{name} was ended by signal {-process.returncode}: run it by hand with a message as its input"
            )
        if process.returncode:
            raise NotTaken(f"{name} ended with exit status {process.returncode}: expected 0 for a message that it took")
        return None
