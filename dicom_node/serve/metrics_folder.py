"""Where the processes of one node put what they count, so that one of them can answer for all.

prometheus_client's files: one for each process and kind, mapped into memory. They belong to this run alone.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator

from dicom_node.node.metrics import FOLDER_VARIABLE
from dicom_node.node.settings import Settings
from dicom_node.serve.role import SUPERVISED_VARIABLE


@contextlib.contextmanager
def metrics_folder(settings: Settings) -> Iterator[None]:
    """While the block lasts, processes that are started here count into one folder; none where no port is set."""
    if settings.metrics_port is None:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="wmh-node-metrics-", ignore_cleanup_errors=True) as folder:
        os.environ[FOLDER_VARIABLE] = folder
        try:
            yield
        finally:
            del os.environ[FOLDER_VARIABLE]


def shared_metrics(settings: Settings, role: str) -> contextlib.AbstractContextManager[None]:
    """The same for a role alone, where it starts processes that count: a receiver of several."""
    if role != "receive" or settings.receiver_processes == 1 or _is_supervised():
        return contextlib.nullcontext()
    return metrics_folder(settings)


def own_endpoints(settings: Settings) -> Settings:
    """The settings without a port for a role that `serve` started: `serve` answers for it."""
    return settings.model_copy(update={"metrics_port": None}) if _is_supervised() else settings


def _is_supervised() -> bool:
    return SUPERVISED_VARIABLE in os.environ
