"""Who gives way when all associations are taken, by a clock of the test's own."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from dicom_node.receive.connections import Connections
from dicom_node.receive.receiver_settings import ReceiverSettings

PLACES = 6
IDLE_SECONDS = 10.0
SLOW_BYTES_PER_SECOND = 1000


@dataclass(eq=False)
class Peer:
    """An association that has just sent a C-ECHO, and has stored nothing for a minute."""

    address: str
    since: float = -1.0
    busy: bool = False
    message_since: float | None = None
    message_bytes: int = 0
    stored_since: float | None = -60.0
    evicted: list[str] = field(default_factory=list)

    def evict(self, reason: str) -> None:
        """Asked to end."""
        self.evicted.append(reason)


def _gets_in(*there: Peer) -> bool:
    """Whether a newcomer from elsewhere is let in beside those that are there, at second 0."""
    assert len(there) == PLACES
    connections = Connections(64, 32, PLACES, IDLE_SECONDS, SLOW_BYTES_PER_SECOND, clock=lambda: 0.0)
    for peer in (*there, newcomer := Peer("10.0.0.9")):
        connections.admit(peer)
        if peer is not newcomer:
            assert connections.associate(peer)
    return connections.associate(newcomer)


def _stores(**values: float | bool | None) -> Peer:
    return Peer("6.6.6.6", **{"stored_since": -1.0, **values})


def test_who_only_talks_gives_way() -> None:
    """A peer that holds most places, never idle and never slow: of those that have stored nothing for long, the one for
    which that is longest; no other peer's."""
    talking = [Peer("6.6.6.6", stored_since=-20.0 - number) for number in range(4)]
    others = [Peer("10.0.0.1"), Peer("10.0.0.2", stored_since=-500.0)]
    assert _gets_in(*talking, *others)
    assert [bool(peer.evicted) for peer in (*talking, *others)] == [False, False, False, True, False, False]
    assert talking[3].evicted == ["uses most places and stores nothing while others wait for an association"]


def test_a_peer_without_most_places_keeps_its_own() -> None:
    """Half of them is what two busy senders have."""
    there = [Peer("6.6.6.6") for _ in range(3)] + [Peer("10.0.0.1") for _ in range(3)]
    assert not _gets_in(*there)
    assert not any(peer.evicted for peer in there)


@pytest.mark.parametrize(
    "sender",
    [
        _stores(),
        _stores(stored_since=-9.9),
        _stores(busy=True, stored_since=None),
        _stores(busy=True, stored_since=-60.0, message_since=-59.0, message_bytes=60_000),
        _stores(busy=True, stored_since=-60.0, message_since=-1.0, message_bytes=60_000),
    ],
    ids=["stored", "stored some seconds ago", "we store", "a large object comes", "a large object has begun to come"],
)
def test_who_stores_keeps_its_place(sender: Peer) -> None:
    """However many places it holds: the newcomer is asked to come again; beside one that only talks, that one goes."""
    others = [_stores() for _ in range(PLACES - 1)]
    assert not _gets_in(sender, *others)
    assert _gets_in(sender, *others[1:], talking := Peer("6.6.6.6", stored_since=-11.0))
    assert talking.evicted
    assert not any(peer.evicted for peer in (sender, *others))


def test_idle_and_slow_go_first() -> None:
    """Whoever they are, before one that only talks."""
    talking = [Peer("6.6.6.6") for _ in range(4)]
    slow = Peer("10.0.0.1", busy=True, message_since=-20.0, message_bytes=10)
    idle = Peer("10.0.0.2", since=-20.0)
    assert _gets_in(*talking, slow, idle)
    assert idle.evicted == ["idle while others wait for an association"]
    assert _gets_in(*talking, slow, Peer("10.0.0.3"))
    assert slow.evicted == ["slow while others wait for an association"]


def _with_share(*there: Peer, share: int = PLACES - 1) -> Connections:
    connections = Connections(
        64, 32, PLACES, IDLE_SECONDS, SLOW_BYTES_PER_SECOND, clock=lambda: 0.0, max_per_address=share
    )
    for peer in there:
        connections.admit(peer)
        assert connections.associate(peer)
    return connections


def test_one_address_never_takes_all_places() -> None:
    """However busy its associations are: the next one is rejected, and another address gets in at once."""
    connections = _with_share(*[_stores(busy=True) for _ in range(PLACES - 1)])
    assert not connections.associate(_stores())
    assert connections.holds_its_share("6.6.6.6")
    assert not connections.holds_its_share("10.0.0.1")
    assert connections.associate(Peer("10.0.0.1"))


def test_an_address_at_its_share_gives_up_one_of_its_own() -> None:
    """Its idle one goes for its newcomer; no other peer's, though that has been idle for longer."""
    idle, other = _stores(since=-20.0), Peer("10.0.0.1", since=-500.0)
    connections = _with_share(idle, *[_stores(busy=True) for _ in range(PLACES - 3)], other, share=PLACES - 2)
    assert connections.associate(_stores())
    assert (bool(idle.evicted), bool(other.evicted)) == (True, False)


def test_the_share_of_an_address() -> None:
    """A sixth of the places is kept for others, none where there are few."""
    shares = {most: _settings(max_associations=most).max_associations_per_address for most in (1, 5, 6, 12, 50)}
    assert shares == {1: 1, 5: 5, 6: 5, 12: 10, 50: 42}


def _settings(**values: int) -> ReceiverSettings:
    return ReceiverSettings("WMHNODE", Path("/nowhere"), "sqlite://", **values)
