"""The heartbeat of a lease."""

from __future__ import annotations

import threading

from dicom_node.node.heartbeat import Heartbeat


def test_it_beats_while_the_block_runs() -> None:
    """The lease is renewed again and again while its worker computes, and not after."""
    beats = []
    enough = threading.Event()

    def beat() -> bool:
        beats.append(1)
        if len(beats) >= 3:
            enough.set()
        return True

    with Heartbeat(beat, 0.01) as heartbeat:
        assert enough.wait(10)
        assert not heartbeat.lost
    count = len(beats)
    threading.Event().wait(0.1)
    assert len(beats) == count


def test_a_lost_lease_is_noticed() -> None:
    """When the lease is somebody else's, the heartbeat says so and stops."""
    with Heartbeat(lambda: False, 0.01) as heartbeat:
        for _ in range(1000):
            if heartbeat.lost:
                break
            threading.Event().wait(0.01)
        assert heartbeat.lost
