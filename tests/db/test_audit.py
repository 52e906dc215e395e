"""The audit trail is a chain: what was done to it afterwards shows."""

from __future__ import annotations

import threading
from contextlib import closing

import pytest
from sqlalchemy import delete, text, update
from support.clock import ManualClock
from support.received import instance, series_uid

from db.audit import RECEIVED, ROLE_ENDED, ROLE_STARTED, audit_entries, entries_after, record_action, verify_chain
from db.audit_exports import AuditExportTable
from db.engine import Database, open_database
from db.inbox import Inbox
from db.records import AssociationEnd
from db.roles import RoleTable
from db.schema import audit


def _act(database: Database, *actions: str) -> None:
    for action in actions:
        with database.write() as connection:
            about = {"studies": ["1.2.3"], "sop_classes": {"1.2": 3}}
            record_action(connection, database.clock(), "älice@node1", action, None, "why", about)


def test_an_untouched_trail_is_whole(database: Database) -> None:
    """Every row fits the one before it, and a hash that was printed earlier is still in the chain."""
    assert verify_chain(database).is_whole
    _act(database, "hold", "release")
    early = verify_chain(database)
    _act(database, "cancel")
    found = verify_chain(database, holds=early.head)
    assert (found.entries, found.is_whole, found.holds) == (3, True, True)


@pytest.mark.parametrize("change", [{"detail": "another"}, {"who": "bob"}, {"about": {"studies": []}}])
def test_a_changed_row_shows(database: Database, change: dict[str, object]) -> None:
    """A row that was changed is named."""
    _act(database, "hold", "release", "cancel")
    (_, _), (second, _), (_, _) = entries_after(database, 0, 9)
    with database.write() as connection:
        connection.execute(update(audit).where(audit.c.id == second).values(**change))
    found = verify_chain(database)
    assert (found.is_whole, found.broken_at, found.words) == (False, second, "it was changed")


def test_a_removed_row_shows(database: Database) -> None:
    """A row that is gone breaks the chain at the next one; the newest rows are missed only by an earlier hash."""
    _act(database, "hold", "release", "cancel")
    head = verify_chain(database).head
    numbers = [number for number, _ in entries_after(database, 0, 9)]
    with database.write() as connection:
        connection.execute(delete(audit).where(audit.c.id == numbers[2]))
    assert verify_chain(database).is_whole
    assert not verify_chain(database, holds=head).is_whole
    _act(database, "cancel")
    with database.write() as connection:
        connection.execute(delete(audit).where(audit.c.id == numbers[1]))
    found = verify_chain(database)
    assert not found.is_whole and found.broken_at is not None and found.broken_at > numbers[1]


def test_writers_at_the_same_time_make_one_chain(url: str) -> None:
    """Rows of many threads follow each other, on both databases."""
    with closing(open_database(url)) as database:
        threads = [threading.Thread(target=_act, args=(database, *["hold"] * 10)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        found = verify_chain(database)
        assert (found.entries, found.is_whole) == (40, True)


def test_what_an_association_brought_is_in_the_trail(database: Database) -> None:
    """One entry with studies and SOP classes for an association that stored something, and none for an echo."""
    inbox = Inbox(database)
    one = inbox.open_association("SCANNER", "WMHNODE", "10.0.0.7", "r")
    inbox.record([instance(series_uid(), number, one) for number in (1, 2)])
    inbox.end_association(one, AssociationEnd.RELEASED)
    inbox.end_association(one, AssociationEnd.RELEASED)
    echo = inbox.open_association("SCANNER", "WMHNODE", "10.0.0.7", "r")
    inbox.end_association(echo, AssociationEnd.RELEASED)
    entries = [entry for _, entry in entries_after(database, 0, 9)]
    assert [entry.action for entry in entries] == [RECEIVED]
    about = entries[0].about
    assert about is not None and sum(about["sop_classes"].values()) == 2 and len(about["studies"]) == 1
    assert audit_entries(database) == []
    assert len(audit_entries(database, everything=True)) == 1


def test_a_clock_set_back_hides_no_images(database: Database, clock: ManualClock) -> None:
    """Images that came after the clock was set back, in an association from before, are in the trail."""
    inbox = Inbox(database)
    one = inbox.open_association("SCANNER", "WMHNODE", "10.0.0.7", "r")
    clock.pass_seconds(-8 * 3600)
    inbox.record([instance(series_uid(), 1, one)])
    clock.pass_seconds(60)
    inbox.end_association(one, AssociationEnd.RELEASED)
    assert [entry.action for _, entry in entries_after(database, 0, 9)] == [RECEIVED]


def test_roles_that_start_and_end_are_in_the_trail(database: Database) -> None:
    """Start and end of a role, by role and host."""
    roles = RoleTable(database)
    roles.end(roles.start("work", "node1", 7, "0.2.0"))
    assert [(entry.action, entry.who) for _, entry in entries_after(database, 0, 9)] == [
        (ROLE_STARTED, "work@node1"),
        (ROLE_ENDED, "work@node1"),
    ]


def test_rows_of_an_earlier_version_are_chained(database: Database) -> None:
    """The migration gives rows that were there the hashes that the program would give them."""
    from importlib import import_module

    _act(database, "hold", "release")
    with database.write() as connection:
        connection.execute(update(audit).values(about=None, previous_hash="", hash=""))
    assert not verify_chain(database).is_whole
    migration = import_module("db.migrations.versions.0014_audit_chain")
    from alembic.migration import MigrationContext
    from alembic.operations import Operations

    with database.write() as connection, Operations.context(MigrationContext.configure(connection)):
        migration._chain_what_is_there()
    assert verify_chain(database).is_whole


def test_an_export_goes_on_where_it_was(database: Database) -> None:
    """The position of a repository survives failures, and failures are known since when."""
    table = AuditExportTable(database)
    assert table.position("a:6514") == 0
    table.took("a:6514", 7)
    table.failed("a:6514", "connection refused")
    table.failed("a:6514", "no answer")
    since, words = table.state("a:6514")
    assert since == database.clock() and words == "no answer" and table.position("a:6514") == 7
    table.took("a:6514", 9)
    assert table.state("a:6514") == (None, None) and table.position("a:6514") == 9
    assert table.position("b:6514") == 0
    with database.read() as connection:
        assert connection.execute(text("SELECT count(*) FROM audit_exports")).scalar() == 1
