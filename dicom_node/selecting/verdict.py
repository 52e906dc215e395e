"""What the rules say about a series."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Verdict:
    """Accepted or not, and why.

    Attributes:
        accepted: True only for a brain FLAIR.
        code: short stable slug, for scripts and metrics.
        reason: one sentence that a technologist understands; no patient data.
        flags: what to note about an accepted series, e.g. "no_inversion_time", "post_contrast".
    """

    accepted: bool
    code: str
    reason: str
    flags: tuple[str, ...] = ()
