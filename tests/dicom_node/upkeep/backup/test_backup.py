"""The drill: a node is backed up, lost, and made again from the backup."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import select
from support.a_year import SmallNode
from support.databases import PostgresServer, postgres_server

from db.engine import Database, open_database
from db.errors import DatabaseUnavailable
from db.jobs import JobTable
from db.overview import overview
from db.schema import metadata
from dicom_node.node.errors import ConfigurationError, StorageTrouble
from dicom_node.node.held_deliveries import deliveries_are_held, release_deliveries
from dicom_node.receive.installation import installation_id
from dicom_node.upkeep.backup.backup import create, restore, verify


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with postgres_server() as started:
        yield started


def rows_of(database: Database) -> dict[str, list[tuple[object, ...]]]:
    with database.read() as connection:
        return {
            table.name: [tuple(row) for row in connection.execute(select(table).order_by(*table.primary_key))]
            for table in metadata.sorted_tables
        }


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_lost_node_is_made_again(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """Every row and every file that a row names is there again, with the same bytes; nothing is sent until it is
    released; a changed or unfinished backup, and a folder or database that is not empty, are refused."""
    url = request.getfixturevalue("server").new_database() if kind == "postgresql" else ""
    node = SmallNode(tmp_path / "node", url=url)
    with closing(node.database):
        done, _waits, gone = node.done(), node.undelivered(), node.rejected()
        node.clock.pass_seconds(4 * 86_400)
        assert node.purge().step() == 1
        (node.storage / "patient.key").write_bytes(b"secret")
        installation_id(node.storage)
        manifest = create(node.url, node.storage, tmp_path / "backup", "alice")
        assert overview(node.database, node.clock.now).last_backup_at is not None
        rows = rows_of(node.database)
        # Written after the copy of the database: that there is a backup.
        rows["audit"] = [row for row in rows["audit"] if "backup" not in row]
    assert manifest.missing == ()
    assert len(manifest.files) == 2 * 2 + 2 * 2 + 1 + 1
    assert verify(tmp_path / "backup") == manifest

    again = tmp_path / "again"
    new_url = (
        request.getfixturevalue("server").new_database() if kind == "postgresql" else f"sqlite:///{again}/node.sqlite"
    )
    restore(tmp_path / "backup", again, new_url)
    with closing(open_database(new_url)) as database:
        assert rows_of(database) == rows
        assert JobTable(database).get(gone.id).purged_at is not None
        assert JobTable(database).get(done.id).state == "done"
    for file in manifest.files:
        assert (again / file.path).read_bytes() == (node.storage / file.path).read_bytes()
    assert deliveries_are_held(again)
    assert installation_id(again) == installation_id(node.storage)  # an object store knows it by that
    assert release_deliveries(again) and not deliveries_are_held(again)

    with pytest.raises(ConfigurationError, match="is not empty"):
        restore(tmp_path / "backup", again, new_url)
    with pytest.raises(DatabaseUnavailable, match="is not empty"):
        restore(tmp_path / "backup", tmp_path / "third", node.url)
    (tmp_path / "backup" / "files" / manifest.files[0].path).write_bytes(b"changed")
    with pytest.raises(StorageTrouble, match="1 files of the backup are missing or changed"):
        verify(tmp_path / "backup")
    manifest_file = tmp_path / "backup" / "backup.json"
    assert json.loads(manifest_file.read_text())["revision"] == manifest.revision
    manifest_file.unlink()
    with pytest.raises(StorageTrouble, match="no finished backup"):
        verify(tmp_path / "backup")
