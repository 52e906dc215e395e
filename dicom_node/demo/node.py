"""The node of the demo: the real `wmh-node serve` in a subprocess, on its own database, folder and port."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from dicom_node.node.errors import WmhNodeError
from dicom_node.node.settings import ENVIRONMENT_PREFIX, load_settings
from dicom_node.serve.ports import wait_until_listening
from dicom_node.serve.supervisor import role_command

# What a user may set for the demo; everything else must not leak in from a real installation.
_KEPT_VARIABLES = (ENVIRONMENT_PREFIX + "MODEL", ENVIRONMENT_PREFIX + "RUNTIME")
_START_SECONDS = 60.0
_STOP_SECONDS = 60.0


def node_variables(work: Path, ae_title: str, port: int, destinations: str) -> dict[str, str]:
    """Settings, without prefix, of a node for one demo: everything that it keeps lies in `work`, STORAGE in its folder
    "storage". It uses the model of this installation.

    Args:
        work: an existing folder.
        ae_title, port: where it listens, on the loopback address only.
        destinations: where results go, in the form of `DESTINATIONS`.
    """
    return {
        "AE_TITLE": ae_title,
        "BIND": "127.0.0.1",
        "DICOM_PORT": str(port),
        "WEB_PORT": "0",
        "STORAGE": str(work / "storage"),
        "DATABASE_URL": f"sqlite:///{work / 'node.sqlite'}",
        "DESTINATIONS": destinations,
        "QUIET_SECONDS_INCOMPLETE": "5",  # we are the sender, and know that nothing else will come
        **_model_variable(),
    }


def _model_variable() -> dict[str, str]:
    """The demo's node has its own registry, without a live model: it gets the model of this installation."""
    # Imported here: the command that only explains itself must not wait for the runtimes.
    from dicom_node.models.choice import Origin, choose_model

    choice = choose_model(load_settings())
    return {} if choice.origin is Origin.SHIPPED else {"MODEL": str(choice.folder)}


class NodeProcess:
    """`wmh-node serve` while the block lasts.

    Args:
        variables: settings without prefix, e.g. {"DICOM_PORT": "11113"}.
        log_file: where its log goes.
        host, port: where it will listen.
    """

    def __init__(self, variables: Mapping[str, str], log_file: Path, host: str, port: int) -> None:
        self._environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(ENVIRONMENT_PREFIX) or name in _KEPT_VARIABLES
        } | {ENVIRONMENT_PREFIX + name: value for name, value in variables.items()}
        self._log_file = log_file
        self._host = host
        self._port = port
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> NodeProcess:
        with self._log_file.open("wb") as log:
            self._process = subprocess.Popen(
                role_command("serve"),
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        if not wait_until_listening(self._host, self._port, _START_SECONDS, self._has_ended):
            self._stop()
            raise WmhNodeError(f"the node did not start; see {self._log_file}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def require_alive(self) -> None:
        """Raise when the node has ended.

        Raises:
            WmhNodeError: says where its log is.
        """
        if self._has_ended():
            raise WmhNodeError(f"the node ended on its own; see {self._log_file}")

    def _has_ended(self) -> bool:
        return self._process is None or self._process.poll() is not None

    def _stop(self) -> None:
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
