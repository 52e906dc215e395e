"""Callback for the progress of a long step."""

from __future__ import annotations

from collections.abc import Callable

StageProgress = Callable[[str, int, int], None]
"""Called with (stage, done, total)."""

CountProgress = Callable[[int, int], None]
"""Called with (done, total)."""
