"""How many connections one receiver process holds, and who has to go when it is full.

Two kinds. *Waiting*: not associated yet, or rejected; costs a thread and says nothing about its intentions.
*Associated*: passed admission, counts against `max_associations`.

A real peer sends its A-ASSOCIATE-RQ within milliseconds, so when too many wait, the one that has waited longest goes
(from the address with the most of them), never the newcomer. When all associations are taken, one that has been idle
for long is aborted for the newcomer, or else one whose present message has come slowly for as long: peers that drip
must not keep others out. Nor must one peer that holds most places and only talks (C-ECHO, objects that are refused): of
its associations one that has stored nothing for as long goes, if there is no other. If there is none at all, the
newcomer is rejected as "local limit exceeded" (transient), and tries again. While there is room, no peer is too slow.

However well they behave, the associations of one address never take all the places: some are kept for others. Beyond
its share an address gets in only for one of its own that has to go by the same rules.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Protocol


class Occupant(Protocol):
    """A connection as this module sees it."""

    address: str
    since: float
    """`time.monotonic` of the connection; once associated, of its last message."""
    busy: bool
    """Whether a message is under way."""
    message_since: float | None
    """`time.monotonic` of the beginning of the message that comes in; None while none does: we work on it, or wait."""
    stored_since: float | None
    """`time.monotonic` of its last object that we have stored, of the beginning of the message right after that one,
    or of its own beginning; None while we store one."""

    @property
    def message_bytes(self) -> int:
        """How much has come since then."""

    def evict(self, reason: str) -> None:
        """Make its thread end it soon; called from other threads."""


class Connections:
    """The connections of one process."""

    def __init__(
        self,
        max_waiting: int,
        max_waiting_per_address: int,
        max_associations: int,
        idle_seconds: float,
        slow_bytes_per_second: int,
        clock: Callable[[], float] = time.monotonic,
        max_per_address: int | None = None,
    ) -> None:
        self._max_waiting = max_waiting
        self._max_per_address = max_associations if max_per_address is None else max_per_address
        self._max_waiting_per_address = max_waiting_per_address
        self._max_associations = max_associations
        self._idle_seconds = idle_seconds
        self._slow_bytes_per_second = slow_bytes_per_second
        self._clock = clock
        self._lock = threading.Condition()
        self._waiting: list[Occupant] = []
        self._associated: list[Occupant] = []

    def admit(self, newcomer: Occupant) -> None:
        """Take a new connection among those that wait; may evict an older one."""
        with self._lock:
            victim = self._waiting_victim(newcomer.address)
            if victim is not None:
                self._waiting.remove(victim)
            self._waiting.append(newcomer)
        if victim is not None:
            victim.evict("too many connections without an association")

    def associate(self, occupant: Occupant) -> bool:
        """Move a connection to the associated ones; False when there is no room for it."""
        with self._lock:
            victim, group = None, self._crowded(occupant.address)
            if group:
                victim, fault = self._associated_victim(group)
                if victim is None:
                    return False
                self._associated.remove(victim)
            if occupant in self._waiting:
                self._waiting.remove(occupant)
            self._associated.append(occupant)
        if victim is not None:
            victim.evict(f"{fault} while others wait for an association")
        return True

    def remove(self, occupant: Occupant) -> None:
        """Forget a connection that has ended."""
        with self._lock:
            for group in (self._waiting, self._associated):
                if occupant in group:
                    group.remove(occupant)
            self._lock.notify_all()

    def all(self) -> list[Occupant]:
        """Every connection at this moment."""
        with self._lock:
            return [*self._waiting, *self._associated]

    def wait_until_empty(self, seconds: float) -> bool:
        """Wait until all have ended; False when some have not after `seconds`."""
        with self._lock:
            return self._lock.wait_for(lambda: not self._waiting and not self._associated, seconds)

    def _waiting_victim(self, address: str) -> Occupant | None:
        same = [occupant for occupant in self._waiting if occupant.address == address]
        if len(same) >= self._max_waiting_per_address:
            return same[0]
        if len(self._waiting) < self._max_waiting:
            return None
        crowded = Counter(occupant.address for occupant in self._waiting).most_common(1)[0][0]
        return next(occupant for occupant in self._waiting if occupant.address == crowded)

    def holds_its_share(self, address: str) -> bool:
        """Whether an address has as many places as it may have."""
        with self._lock:
            return len(self._of(address)) >= self._max_per_address

    def _of(self, address: str) -> list[Occupant]:
        return [occupant for occupant in self._associated if occupant.address == address]

    def _crowded(self, address: str) -> list[Occupant]:
        """Those of which one has to go before one more from that address may come; none while there is room."""
        same = self._of(address)
        if len(same) >= self._max_per_address:
            return same
        return self._associated if len(self._associated) >= self._max_associations else []

    def _associated_victim(self, group: Sequence[Occupant]) -> tuple[Occupant | None, str]:
        """Who of them has to go, and for what."""
        for choose, fault in (
            (self._idle_victim, "idle"),
            (self._slow_victim, "slow"),
            (self._talking_victim, "uses most places and stores nothing"),
        ):
            victim = choose(group)
            if victim is not None:
                return victim, fault
        return None, ""

    def _idle_victim(self, group: Sequence[Occupant]) -> Occupant | None:
        limit = self._clock() - self._idle_seconds
        idle = [occupant for occupant in group if not occupant.busy and occupant.since <= limit]
        return _first_of_most(idle)

    def _slow_victim(self, group: Sequence[Occupant]) -> Occupant | None:
        now = self._clock()
        return _first_of_most([occupant for occupant in group if self._is_slow(occupant, now)])

    def _is_slow(self, occupant: Occupant, now: float) -> bool:
        since = occupant.message_since  # its thread may change it meanwhile
        if since is None or now - since < self._idle_seconds:
            return False
        return occupant.message_bytes < self._slow_bytes_per_second * (now - since)

    def _talking_victim(self, group: Sequence[Occupant]) -> Occupant | None:
        """Of the peer that holds most places, the association that has stored nothing for longest."""
        now = self._clock()
        address, places = Counter(occupant.address for occupant in group).most_common(1)[0]
        if 2 * places <= self._max_associations:
            return None
        seconds = {
            occupant: self._seconds_without_storing(occupant, now) for occupant in group if occupant.address == address
        }
        longest = max(seconds, key=lambda occupant: seconds[occupant])
        return longest if seconds[longest] >= self._idle_seconds else None

    def _seconds_without_storing(self, occupant: Occupant, now: float) -> float:
        """0 also while we store its object, and while a large one comes: what has come counts for all that time."""
        stored, message = occupant.stored_since, occupant.message_since  # its thread may change them meanwhile
        if stored is None:
            return 0.0
        seconds = now - stored
        comes = message is not None and occupant.message_bytes >= self._slow_bytes_per_second * seconds
        return 0.0 if comes else seconds


def _first_of_most(group: Sequence[Occupant]) -> Occupant | None:
    """Of those from the address with the most of them, the one that is there for longest; None of none."""
    per_address = Counter(occupant.address for occupant in group)
    return max(group, key=lambda occupant: (per_address[occupant.address], -occupant.since), default=None)
