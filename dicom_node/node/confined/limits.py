"""What a confined child may take."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """What one request may take.

    Attributes:
        memory_bytes: resident memory of the child and what it started, all of it counted.
        seconds: from the request to the whole answer, of which half at least were spent in computing; a child that
            waited, for storage or for a machine that is busy, has twice that time.
        answer_bytes: the longest answer that this process takes in.
        kept_bytes: Python gives memory back late or never, so that a child that still holds more than this after an
            answer is replaced.
    """

    memory_bytes: int
    seconds: float
    answer_bytes: int
    kept_bytes: int = 600 * 1024**2
