"""Whether a process's loops move."""

from __future__ import annotations

from dicom_node.node.liveness import Liveness


class Seconds:
    """A clock that moves when a test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_loop_that_stands_still_is_named_with_its_time() -> None:
    """Only the loop beyond its own limit is trouble, and no longer once it moves again."""
    clock = Seconds()
    liveness = Liveness(clock)
    analysed = liveness.loop("analysis", 60)
    liveness.loop("completion", 600)
    clock.now = 60
    assert liveness.trouble() is None
    clock.now = 61
    assert liveness.trouble() == "analysis has not moved for 61 s"
    analysed()
    assert liveness.trouble() is None


def test_ready_is_said_once_and_stays() -> None:
    """A role is not ready before it says so; the model that it holds can change."""
    liveness = Liveness()
    assert not liveness.is_ready
    liveness.report_ready()
    assert liveness.wait_until_ready(0)
    assert liveness.model_digest is None
    liveness.report_model("ab")
    assert liveness.model_digest == "ab"
