"""Migrations and their check, on both databases."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect, text

from db.engine import Database, open_database
from db.engine.migrate import config_for, upgrade
from db.engine.schema_version import check
from db.errors import SchemaOutOfDate
from db.jobs import JobTable
from db.models import ModelTable
from db.records import JobState, NewModel
from db.reviews import ReviewTable
from db.schema import metadata

# In SQL: the first version's program is not there any more.
_JOB_OF_0001 = """
    INSERT INTO jobs (series_instance_uid, instances_digest, instance_count, state, attempts, max_attempts, not_before,
                      created_at, updated_at)
    VALUES (:uid, 'aa', 24, :state, 1, 3, '2026-11-24 08:00:00', '2026-11-24 08:00:00', '2026-11-24 08:00:00')
"""
_EVENT_OF_0001 = """
    INSERT INTO job_events (job_id, at, what, detail)
    SELECT id, '2026-11-24 08:00:00', 'queued', '24 instances' FROM jobs WHERE series_instance_uid = :uid
"""


def _result_of_0015(name: str, now: datetime, age_days: int, recommended: str, purged_days: int | None) -> str:
    at = f"'{now - timedelta(days=age_days):%Y-%m-%d %H:%M:%S.%f}'"
    purged = "NULL" if purged_days is None else f"'{now - timedelta(days=purged_days):%Y-%m-%d %H:%M:%S.%f}'"
    return f"""
        INSERT INTO jobs (series_instance_uid, instances_digest, instance_count, state, attempts, max_attempts,
                          not_before, created_at, updated_at, ended_at, purged_at, measurements)
        VALUES ('{name}', 'aa', 24, 'done', 1, 3, {at}, {at}, {at}, {at}, {purged},
                '{{"wmh_volume_ml": 4.2, "review_recommended": {recommended}}}')
    """


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
                found = {str(index["name"]): index for index in inspector.get_indexes(table.name)}
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

    def test_from_the_first_version(self, empty_url: str) -> None:
        """A database of revision 0001 with a job in every state is upgraded, and keeps every row."""
        with closing(open_database(empty_url)) as database:
            with database.write() as connection:
                command.upgrade(config_for(connection), "0001")
                for number, state in enumerate(JobState):
                    connection.execute(text(_JOB_OF_0001), {"uid": f"1.2.{number}", "state": state.value})
                    connection.execute(text(_EVENT_OF_0001), {"uid": f"1.2.{number}"})
            assert not check(empty_url).is_current
            assert upgrade(empty_url).is_current
            jobs, models = JobTable(database), ModelTable(database)
            assert sorted(job.state for job in jobs.list()) == sorted(JobState)
            assert [[event.what for event in jobs.events(job.id)] for job in jobs.list()] == [["queued"]] * len(
                JobState
            )
            assert (models.list(), models.live_digest()) == ([], None)
            models.add(NewModel("a" * 64, "wmh-tiny", "1.0.0", 1), "alice@lab")
            assert models.promote("a" * 64, "alice@lab", None).digest == models.live_digest()

    def test_only_results_of_late_wait_for_a_review(self, empty_url: str) -> None:
        """Of results from before reviews (0015), those wait that recommend one, are of late, and have their files."""
        now = datetime.now(UTC)
        days = {"new": (1, "true", None), "calm": (1, "false", None), "old": (90, "true", None), "gone": (9, "true", 2)}
        with closing(open_database(empty_url)) as database:
            with database.write() as connection:
                command.upgrade(config_for(connection), "0015")
                for name, (age, recommended, purged) in days.items():
                    connection.exec_driver_sql(_result_of_0015(name, now, age, recommended, purged))
            assert upgrade(empty_url).is_current
            assert [line.series_instance_uid for line in ReviewTable(database).worklist(10)] == ["new"]
            found = {job.series_instance_uid: job.review for job in JobTable(database).list()}
        assert {name for name, review in found.items() if review is not None} == {"new"}

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
