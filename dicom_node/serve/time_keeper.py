"""Times that were written while the machine's clock was ahead are brought back by the roles that wait for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from dicom_node.node.clock import ClockWatch, Regularly, clock_watch
from dicom_node.node.logger import get_logger

log = get_logger()

_EVERY_SECONDS: Final = 30.0
_SAID_SECONDS: Final = 120.0  # after a step, which is a separate warning


class TimeKeeper:
    """Brings times back at the start, now and then, and at once after a step of the clock.

    Args:
        clamp: see `db.clock`; gives how many rows were changed.
        watch: this process's.
    """

    def __init__(self, clamp: Callable[[], int], watch: ClockWatch | None = None) -> None:
        self._clamp = clamp
        self._watch = watch or clock_watch()
        self._regularly = Regularly(_EVERY_SECONDS, self._watch)

    def before(self, step: Callable[[], float]) -> Callable[[], float]:
        """`step` of a loop, with a look at the clock before each."""

        def watched() -> float:
            self.keep()
            return step()

        return watched

    def keep(self) -> None:
        """Look, and bring back what has to be."""
        if not self._regularly.is_due() or not (rows := self._clamp()):
            return
        said = not self._watch.has_settled(_SAID_SECONDS)
        (log.info if said else log.warning)("waits that lay too far in the future were brought back", rows=rows)
