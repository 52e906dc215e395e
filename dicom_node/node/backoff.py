"""How long to wait before a role that ended is started again."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RestartBackoff:
    """Seconds to wait: 0.5 s, doubling to 30 s; from the start again once a role has lived for a minute."""

    first_seconds: float = 0.5
    longest_seconds: float = 30.0
    healthy_after_seconds: float = 60.0

    def next(self, previous_seconds: float | None, lived_seconds: float) -> float:
        """The wait after a role that had waited `previous_seconds` (None: never ended before) lived so long."""
        if previous_seconds is None or lived_seconds >= self.healthy_after_seconds:
            return self.first_seconds
        return min(previous_seconds * 2, self.longest_seconds)
