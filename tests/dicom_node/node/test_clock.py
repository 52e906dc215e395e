"""Steps of the machine's clock are noticed, logged once, and not confused with time that passes."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs
from support.clock import ManualClock

from dicom_node.node.clock import ClockWatch, Regularly
from dicom_node.serve.time_keeper import TimeKeeper


@pytest.fixture
def watch(clock: ManualClock) -> ClockWatch:
    """A watch of the test's clock."""
    return ClockWatch(clock.wall, clock.still)


@pytest.mark.parametrize("step", [3600.0, -3600.0, 86_400.0, -86_400.0])
def test_a_step_is_said_once(clock: ManualClock, watch: ClockWatch, step: float) -> None:
    """With its size and direction, however often anybody looks after."""
    clock.pass_seconds(100)
    with capture_logs() as logs:
        assert watch.look() == 0
        clock.step(step)
        assert watch.look() == pytest.approx(step)
        clock.pass_seconds(10)
        assert watch.look() == 0
        assert not watch.has_settled(60)
    (line,) = logs
    assert (line["log_level"], line["seconds"]) == ("warning", step)
    assert line["direction"] == ("forward" if step > 0 else "back")


def test_time_that_passes_is_no_step(clock: ManualClock, watch: ClockWatch) -> None:
    """Nor are some seconds of correction."""
    with capture_logs() as logs:
        clock.pass_seconds(30 * 86_400)
        clock.step(2)
        assert watch.look() == 0
        assert watch.has_settled(1e9)
    assert logs == []


def test_when_a_step_is_over(clock: ManualClock, watch: ClockWatch) -> None:
    """A lease later the clock is trusted again; the look itself notices a step of this moment."""
    clock.step(3600)
    assert not watch.has_settled(60)
    clock.pass_seconds(59)
    assert not watch.has_settled(60)
    clock.pass_seconds(2)
    assert watch.has_settled(60)


def test_regularly(clock: ManualClock, watch: ClockWatch) -> None:
    """At the start, every 30 s, and at once after a step, also for the second who asks."""
    one, other = (Regularly(30, watch, clock.still) for _ in range(2))
    assert one.is_due() and other.is_due()
    assert not one.is_due()
    clock.pass_seconds(29)
    assert not one.is_due()
    clock.pass_seconds(1)
    assert one.is_due()
    clock.step(-3600)
    assert one.is_due() and other.is_due()
    assert not one.is_due() and not other.is_due()


def test_times_are_brought_back_before_a_step_of_the_loop(clock: ManualClock, watch: ClockWatch) -> None:
    """The loop's own step runs each time and decides how long to wait; what was changed is a warning."""
    changed = iter([0, 2])
    keeper = TimeKeeper(lambda: next(changed), watch)
    step = keeper.before(lambda: 1.5)
    with capture_logs() as logs:
        assert [step(), step()] == [1.5, 1.5]
        clock.step(-3600)
        assert step() == 1.5
    assert [line.get("rows") for line in logs] == [None, 2]
