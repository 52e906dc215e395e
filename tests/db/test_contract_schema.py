"""Migrations and their check, on both databases."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect, text

from db.engine import Database, open_database
from db.errors import SchemaOutOfDate
from db.jobs import JobTable
from db.migrate import check, upgrade
from db.schema import metadata


class TestSchema:
    """From nothing to current."""

    def test_upgrade(self, empty_url: str) -> None:
        """An empty database has no schema; after an upgrade it is current; a second upgrade changes nothing."""
        before = check(empty_url)
        assert (before.current, before.is_current) == (None, False)
        assert "no schema yet" in str(before)
        assert upgrade(empty_url).is_current
        assert upgrade(empty_url) == check(empty_url)

    def test_migrations_make_the_tables_of_the_program(self, database: Database) -> None:
        """What the migrations make is what `db.schema` says: Alembic finds no difference."""
        with database.read() as connection:
            context = MigrationContext.configure(connection, opts={"compare_type": True})
            assert compare_metadata(context, metadata) == []

    def test_indexes_of_the_program(self, database: Database) -> None:
        """Every index is there with its columns and condition (which Alembic does not compare)."""
        with database.read() as connection:
            inspector = inspect(connection)
            for table in metadata.sorted_tables:
                found = {str(one["name"]): one for one in inspector.get_indexes(table.name)}
                for index in table.indexes:
                    there = found[str(index.name)]
                    assert there["column_names"] == [column.name for column in index.columns]
                    dialect = connection.dialect.name
                    wanted = index.dialect_options[dialect]["where"]
                    condition = there["dialect_options"].get(f"{dialect}_where")
                    assert (wanted is None) == (condition is None), index.name

    def test_all_or_nothing(self, empty_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """An upgrade that fails in its middle leaves no table behind."""
        from alembic import op

        real = op.create_table

        def fail_at_deliveries(name: str, *columns: object, **options: object) -> object:
            if name == "deliveries":
                raise RuntimeError("power cut")
            return real(name, *columns, **options)

        monkeypatch.setattr(op, "create_table", fail_at_deliveries)
        with pytest.raises(RuntimeError, match="power cut"):
            upgrade(empty_url)
        monkeypatch.undo()
        with closing(open_database(empty_url)) as database, database.read() as connection:
            assert inspect(connection).get_table_names() == []
        assert upgrade(empty_url).is_current

    def test_newer_than_this_program(self, url: str) -> None:
        """A database that a newer version has upgraded is named as that, and is not touched."""
        with closing(open_database(url)) as database, database.write() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        status = check(url)
        assert not status.is_current
        assert "newer version" in str(status)
        with pytest.raises(SchemaOutOfDate, match="9999"):
            upgrade(url)

    def test_tables_are_missing(self, empty_url: str) -> None:
        """Work on a database without tables says what to run."""
        with closing(open_database(empty_url)) as database, pytest.raises(SchemaOutOfDate, match="wmh-node db upgrade"):
            JobTable(database).list()


def test_check_makes_no_file(tmp_path: Path) -> None:
    """Checking an SQLite database that is not there does not make one; upgrading makes it and its folder."""
    file = tmp_path / "new folder" / "node.sqlite"
    assert check(f"sqlite:///{file}").current is None
    assert not file.parent.exists()
    assert upgrade(f"sqlite:///{file}").is_current
    assert file.exists()
