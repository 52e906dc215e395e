"""What a training reports while it runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from training.fit.checkpoint import EpochRecord


@dataclass(frozen=True)
class MemberProgress:
    """Where a member stands.

    Attributes:
        member: from 0.
        epoch: finished epochs over all stages.
        epochs: epochs over all stages.
        last: the record of the last one; None before any.
        resumed: these epochs were on disk already.
        part: share of the epoch that runs now, 0 at its end.
        loss: mean of its steps so far; None between epochs.
    """

    member: int
    epoch: int
    epochs: int
    last: EpochRecord | None
    resumed: bool = False
    part: float = 0.0
    loss: float | None = None


Report = Callable[[MemberProgress], None]
OnEpoch = Callable[[EpochRecord], None]
"""Called with the record of each finished epoch, once it is on disk."""
OnStep = Callable[[int, int, float], None]
"""Called within an epoch with (steps done, steps of the epoch, mean loss so far), at most once a second."""
