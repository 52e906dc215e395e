"""Heartbeats of roles, on both databases."""

from __future__ import annotations

import pytest
from support.clock import ManualClock

from db.engine import Database
from db.roles import RoleTable


@pytest.fixture
def roles(database: Database) -> RoleTable:
    return RoleTable(database)


def test_each_start_has_an_id_of_its_own(roles: RoleTable) -> None:
    """Two starts on the same host under the same process id, as in two containers, are two rows."""
    first, second = (roles.start("work", "node", 1, "0.2.0") for _ in range(2))
    assert first != second
    assert [role.id for role in roles.list(60)] == sorted([first, second])
    assert first.startswith("work-")


def test_a_heartbeat_says_what_the_role_holds_and_lacks(roles: RoleTable, clock: ManualClock) -> None:
    """The last heartbeat's time, model and trouble are given back; trouble that is over is gone."""
    start = roles.start("work", "node", 7, "0.2.0")
    clock.pass_seconds(15)
    roles.beat(start, model_digest="ab" * 32, trouble="analysis has not moved for 40 min")
    (role,) = roles.list(60)
    assert (role.role, role.host, role.process_id, role.version) == ("work", "node", 7, "0.2.0")
    assert (role.seen_at, role.model_digest) == (clock.now, "ab" * 32)
    assert role.trouble == "analysis has not moved for 40 min"
    roles.beat(start)
    assert roles.list(60)[0].trouble is None


def test_what_is_silent_or_ended_is_not_listed(roles: RoleTable, clock: ManualClock) -> None:
    """A role that was killed is gone after the time that is asked for; one that stopped in order at once."""
    killed = roles.start("receive", "node", 1, "0.2.0")
    stopped = roles.start("deliver", "node", 2, "0.2.0")
    roles.end(stopped)
    clock.pass_seconds(60)
    assert [role.id for role in roles.list(60)] == [killed]
    clock.pass_seconds(1)
    assert roles.list(60) == []


def test_old_starts_are_forgotten(roles: RoleTable, clock: ManualClock) -> None:
    """The table does not grow with each restart for ever: a start removes rows that were silent for 30 days."""
    roles.start("work", "node", 1, "0.2.0")
    clock.pass_seconds(31 * 86400)
    new = roles.start("work", "node", 2, "0.2.0")
    assert [role.id for role in roles.list(60 * 86400)] == [new]
