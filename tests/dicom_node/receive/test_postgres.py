"""The receiver on PostgreSQL: stores, survives the server's absence, goes on when it is back."""

from __future__ import annotations

import pytest
from support.databases import postgres_server
from support.mr import encoded, mr_object, mr_series
from support.processes import until
from support.raw_scu import RawScu, associate_request
from support.receiver import ReceiverProcess, answers, storescu

from db.records import AssociationEnd
from dicom_node.deliver.send import send_files

pytestmark = [pytest.mark.peer("postgres"), pytest.mark.slow]


@pytest.fixture(scope="module")
def server():
    """One PostgreSQL server for this module."""
    with postgres_server() as running:
        yield running


def test_it_stores_on_postgresql_in_its_memory_budget(server, tmp_path):
    """storescu's instances get their rows; the driver included, the process stays below 120 MB."""
    files = mr_series(tmp_path / "series", 10)
    with ReceiverProcess(tmp_path / "r", database_url=server.new_database()) as receiver:
        assert answers(storescu(receiver, files)) == ["Success"] * 10
        (activity,) = receiver.series()
        assert (activity.instance_count, activity.open_associations) == (10, 0)
        assert receiver.usage().memory_info().rss < 120e6


def test_a_server_that_goes_away_and_comes_back(server, tmp_path):
    """Away: 0x0110 for the object under way, new associations rejected for now. Back: everything is taken again."""
    files = mr_series(tmp_path / "series", 4)
    with ReceiverProcess(tmp_path / "r", database_url=server.new_database()) as receiver:
        dataset = mr_object()
        with RawScu(receiver.port, timeout=30) as scu:
            scu.associate()
            server.stop()
            try:
                assert scu.store(dataset.SOPInstanceUID, encoded(dataset)) == 0x0110
                with RawScu(receiver.port, timeout=30) as other:
                    other.send(associate_request())
                    assert other.rejection() == (2, 3, 1)
            finally:
                server.start_again()
        until(lambda: send_files(files[:1], receiver.address)[0].ok, "stored again", 30)
        assert all(outcome.ok for outcome in send_files(files, receiver.address))
        assert receiver.leftovers() == []


@pytest.mark.parametrize("ended", ["by SIGTERM", "by kill -9"])
def test_an_end_outlives_the_receiver_while_the_server_is_away(server, tmp_path, ended):
    """Released while the database is away, the receiver stopped meanwhile: the series need not wait longer for that."""
    dataset = mr_object()
    with ReceiverProcess(tmp_path, database_url=server.new_database()) as receiver:
        with RawScu(receiver.port, timeout=60) as scu:
            scu.associate()
            assert scu.store(dataset.SOPInstanceUID, encoded(dataset)) == 0x0000
            server.stop()
            try:
                scu.release()
                assert len(receiver.end_notes()) == 1
                receiver.stop() if ended == "by SIGTERM" else receiver.kill()
            finally:
                server.start_again()
        assert [(one.open_associations, one.last_end) for one in receiver.series()] == [(1, None)]
        receiver.start()
        assert [(one.open_associations, one.last_end) for one in receiver.series()] == [(0, AssociationEnd.RELEASED)]
        assert receiver.end_notes() == []
