"""A clock that moves only when told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class ManualClock:
    """Give it to `open_database`; `pass_seconds` moves it."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 24, 8, 0, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def pass_seconds(self, seconds: float) -> None:
        """Let time pass."""
        self.now += timedelta(seconds=seconds)
