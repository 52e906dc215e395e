"""When is a series complete: the table of evidence.

DICOM has no message that says "this series is complete", so we go by what the sender did and what the slices look like:

| association          | slices                             | complete after the last instance by       |
|----------------------|------------------------------------|-------------------------------------------|
| released             | regular, none missing, none twice  | `quiet_seconds`                           |
| released             | gap, duplicate, fewer than told    | `quiet_seconds_incomplete`                |
| released             | one UID came with different bytes  | `quiet_seconds_incomplete`                |
| aborted or lost      | any                                | `quiet_seconds_incomplete`                |
| open                 | any                                | `quiet_seconds_incomplete` + network timeout |

The last row is for an association that died unseen, or that stays open for other series: until then an open association
always holds its series back.
A slice that comes later opens the series again and gives a new job whose result names its predecessor.
"""

from __future__ import annotations

from dataclasses import dataclass

from dicom_node.node.settings import Settings


@dataclass(frozen=True)
class Patience:
    """The waits of the table above, in seconds."""

    quiet_seconds: float
    quiet_seconds_incomplete: float
    open_association_seconds: float

    @classmethod
    def of(cls, settings: Settings) -> Patience:
        """From the settings."""
        return cls(
            quiet_seconds=settings.quiet_seconds,
            quiet_seconds_incomplete=settings.quiet_seconds_incomplete,
            open_association_seconds=settings.quiet_seconds_incomplete + settings.network_timeout_seconds,
        )


@dataclass(frozen=True)
class Evidence:
    """What is known about a series without looking into its files, and with (`looks_complete`).

    Attributes:
        association_open: at least one association that sent instances of it is open.
        released: the last association that ended did so by A-RELEASE.
        has_conflict: one SOPInstanceUID arrived with different bytes.
        looks_complete: slices are regular, none missing, none twice, as many as announced.
    """

    association_open: bool
    released: bool
    has_conflict: bool
    looks_complete: bool


def seconds_to_wait(evidence: Evidence, patience: Patience) -> float:
    """How long after its last instance the series counts as complete."""
    if evidence.association_open:
        return patience.open_association_seconds
    if evidence.released and evidence.looks_complete and not evidence.has_conflict:
        return patience.quiet_seconds
    return patience.quiet_seconds_incomplete
