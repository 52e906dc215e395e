"""A clock that moves only when a test says so."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class ManualClock:
    """Give it to `open_database`; `pass_seconds` lets time pass, `step` sets the clock while no time passes."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 24, 8, 0, 0, tzinfo=UTC)
        self._passed = 1000.0

    def __call__(self) -> datetime:
        return self.now

    def still(self) -> float:
        """Seconds of a clock that no step moves."""
        return self._passed

    def wall(self) -> float:
        """The machine's clock, in seconds."""
        return self.now.timestamp()

    def pass_seconds(self, seconds: float) -> None:
        """Let time pass."""
        self.now += timedelta(seconds=seconds)
        self._passed += seconds

    def step(self, seconds: float) -> None:
        """Set the clock forward, or back."""
        self.now += timedelta(seconds=seconds)
