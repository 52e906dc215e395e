"""Archives that end the association at a request that names instances."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from pydicom.uid import generate_uid
from support.archive_scp import EndingArchive
from support.dcmtk import storescu
from support.mr import mr_object, write_object
from support.receiver import ReceiverProcess

from db.cohorts import CohortItem, CohortRules, CohortTable, ItemState, NewItem, Way
from db.engine import open_database
from dicom_node.deliver.send.association import Call, Timeouts
from dicom_node.node.destinations import Destination
from dicom_node.retrieve.archive import Archive
from dicom_node.retrieve.arrivals import Arrivals
from dicom_node.retrieve.by_get import GetArchive
from dicom_node.retrieve.retriever import Retriever

pytestmark = [pytest.mark.peer("storescu"), pytest.mark.slow]
WAYS = pytest.mark.parametrize("way", [Way.MOVE, Way.GET])
SERIES = 2


@contextmanager
def fetched(way: Way, folder: Path, ends_at: Collection[str]) -> Iterator[tuple[EndingArchive, list[CohortItem]]]:
    """Two studies of two series, of which the first image is here already, after one attempt each."""
    files, here, studies = [], [], []
    folder = folder / "source"
    folder.mkdir()
    for _ in range(2):
        studies.append(generate_uid())
        for _ in range(SERIES):
            series = generate_uid()
            for image in (1, 2, 3):
                one = mr_object(image, series=series, StudyInstanceUID=studies[-1])
                files.append(write_object(one, folder / f"{one.SOPInstanceUID}.dcm"))
            here.append(files[-3])
    with (
        ReceiverProcess(folder / "node") as receiver,
        closing(open_database(receiver.settings.database_url)) as database,
        closing(Arrivals(receiver.settings, database)) as arrivals,
    ):
        storescu(here, "WMHNODE", receiver.port)
        archive = EndingArchive(files, ends_at, receiver.port)
        peer = Destination(name="pacs", ae_title="ARCHIVE", host="127.0.0.1", port=archive.port)
        call = Call(peer, "WMHNODE", Timeouts(), None)
        asked = Archive(call) if way is Way.MOVE else GetArchive(call, arrivals=arrivals)
        table = CohortTable(database)
        table.add("c", "pacs", CohortRules(), [NewItem(n, {}, uid, None) for n, uid in enumerate(studies)], "test", way)
        with archive.running():
            retriever = Retriever("test", table, {("pacs", way): asked}, 60)
            while retriever.fetch_once():
                pass
        yield archive, table.items("c")


@WAYS
def test_whole_series_come_from_an_archive_that_ends_at_names(way: Way, tmp_path: Path) -> None:
    """The series is asked for at once, in the same attempt, and of every further series first."""
    with fetched(way, tmp_path, {"IMAGE"}) as (archive, items):
        assert [(item.state, item.attempts) for item in items] == [(ItemState.DONE, 1)] * 2
        assert archive.asked == ["IMAGE", *["SERIES"] * 2 * SERIES]


@WAYS
def test_an_archive_that_ends_at_everything(way: Way, tmp_path: Path) -> None:
    """It is no matter of names: each study asks with names first, and its attempt counts."""
    with fetched(way, tmp_path, {"IMAGE", "SERIES"}) as (archive, items):
        assert [(item.state, item.attempts) for item in items] == [(ItemState.WAITING, 1)] * 2
        assert all("ended the association" in (item.reason or "") for item in items)
        assert archive.asked == ["IMAGE", "SERIES"] * 2
