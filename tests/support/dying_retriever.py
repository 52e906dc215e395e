"""A retriever that is killed once the archive has sent so many series: `database, port, AE title, series`."""

from __future__ import annotations

import os
import signal
import sys

from db.cohorts import CohortTable
from db.engine import open_database
from dicom_node.deliver.send.association import Call, Timeouts
from dicom_node.node.destinations import Destination
from dicom_node.retrieve.archive import Archive
from dicom_node.retrieve.retriever import Retriever


class _Dying(Archive):
    """SIGKILL right after a series, before its answer is written down."""

    left = 0

    def send_here(self, study_uid: str, series_uid: str) -> str:
        """As the archive, until it dies."""
        said = super().send_here(study_uid, series_uid)
        _Dying.left -= 1
        if not _Dying.left:
            os.kill(os.getpid(), signal.SIGKILL)
        return said


if __name__ == "__main__":
    url, port, title, _Dying.left = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
    pacs = Destination(name="pacs", ae_title=title, host="127.0.0.1", port=port)
    archive = _Dying(Call(pacs, "WMHNODE", Timeouts(), None))
    retriever = Retriever("dying", CohortTable(open_database(url)), {"pacs": archive}, 2.0)
    while retriever.fetch_once():
        pass
