"""What the rules say about a series."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Verdict:
    """Accepted or not, and why.

    Attributes:
        accepted: True only for a brain FLAIR that may be read.
        code: short stable slug, for scripts and metrics.
        reason: one sentence that a technologist understands; no patient data.
        flags: what to note about an accepted series, e.g. "no_inversion_time", "post_contrast".
        is_flair: the headers say brain FLAIR, also where it is refused: destinations get a refusal report
            (docs/adr/0012).
    """

    accepted: bool
    code: str
    reason: str
    flags: tuple[str, ...] = ()
    is_flair: bool = False
