"""Files do not go because the clock was set."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from support.a_year import SmallNode

from db.seen_time import SeenTime
from dicom_node.node.clock import ClockWatch
from dicom_node.upkeep.disk.seen import Witness

DAY = 86_400.0


def live(node: SmallNode, witness: Witness, days: float) -> int:
    """The upkeep of so many days, by the hour; how many series it removed."""
    removed = 0
    for _ in range(round(24 * days)):
        node.clock.pass_seconds(DAY / 24)
        witness.look()
        removed += node.purge().step()
    return removed


@pytest.mark.parametrize("noticed", [True, False], ids=["while it runs", "while it is down"])
def test_a_clock_set_forward_removes_nothing_fresh(tmp_path: Path, noticed: bool) -> None:
    """Ten days ahead, a minute or days later: a series stays for the seven days that it would have stayed."""
    node = SmallNode(tmp_path)
    (tmp_path / "inbox").mkdir()
    with closing(node.database):
        watch = ClockWatch(node.clock.wall, node.clock.still)
        witness = Witness(SeenTime(node.database), watch, node.clock.still)
        live(node, witness, 1)
        node.done()
        live(node, witness, 1)
        node.clock.step(10 * DAY)
        if not noticed:
            watch = ClockWatch(node.clock.wall, node.clock.still)
            witness = Witness(SeenTime(node.database), watch, node.clock.still)
        assert live(node, witness, 5.8) == 0
        assert live(node, witness, 0.4) == 1


def test_what_came_while_the_clock_was_ahead_goes_too(tmp_path: Path) -> None:
    """A result of a clock that was a year ahead rests from when that was set right: seven days, and not until then."""
    node = SmallNode(tmp_path)
    (tmp_path / "inbox").mkdir()
    with closing(node.database):
        witness = Witness(SeenTime(node.database), ClockWatch(node.clock.wall, node.clock.still), node.clock.still)
        live(node, witness, 1)
        node.clock.step(365 * DAY)
        node.done()
        node.rejected()
        node.clock.step(-365 * DAY)
        assert live(node, witness, 2.9) == 0
        assert live(node, witness, 0.3) == 1
        assert live(node, witness, 3.6) == 0
        assert live(node, witness, 0.4) == 1
