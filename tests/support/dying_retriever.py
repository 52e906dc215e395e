"""A retriever that is killed in the middle: `database, storage, destination, way, count, what`.

`what` is `series` (once the archive has sent so many) or `instances` (right after so many were made durable, before the
archive heard it).
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from db.cohorts import CohortTable, Way
from db.engine import open_database
from dicom_node.node.settings import Settings
from dicom_node.receive.receiver_settings import ReceiverSettings
from dicom_node.retrieve.archive import Archive
from dicom_node.retrieve.arrivals import Arrivals, Visit
from dicom_node.retrieve.retriever import Retriever
from dicom_node.serve.fetching import archives_of


def dies_after(left: int, call: Callable[..., Any]) -> Callable[..., Any]:
    """SIGKILL right after so many calls."""
    count = [left]

    def dying(*given: Any, **named: Any) -> Any:
        said = call(*given, **named)
        count[0] -= 1
        if not count[0]:
            os.kill(os.getpid(), signal.SIGKILL)
        return said

    return dying


def main(url: str, storage: str, destination: str, way: Way, left: int, what: str) -> None:
    """Fetch until it dies."""
    settings = Settings(
        database_url=url, storage=Path(storage), destinations=[destination], ae_title="WMHNODE", reserve_bytes=0
    )  # type: ignore[list-item]
    database = open_database(url)
    if what == "series":
        Archive.send_here = dies_after(left, Archive.send_here)  # type: ignore[method-assign]
    else:
        Visit.keep = dies_after(left, Visit.keep)  # type: ignore[method-assign]
    archives = archives_of(settings, Arrivals(ReceiverSettings.of(settings), database))
    retriever = Retriever("dying", CohortTable(database), {("pacs", way): archives["pacs", way]}, 2.0)
    while retriever.fetch_once():
        pass


if __name__ == "__main__":
    given: Sequence[str] = sys.argv[1:]
    main(given[0], given[1], given[2], Way(given[3]), int(given[4]), given[5])
