"""One change of the live model: a promotion, or a rollback to the one before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any


class PromotionKind(StrEnum):
    """How a model became live."""

    PROMOTE = "promote"
    ROLLBACK = "rollback"


@dataclass(frozen=True, slots=True)
class Promotion:
    """A row of `promotions`. Rows are only ever added; the newest one says which model is live.

    Attributes:
        who: account, as `user@host` from the command line.
        digest: the model that became live.
        reason: what the person gave as the reason; None when nothing was said.
        forced: the gate had failed, and the person wanted it all the same.
        gate: what the gate found, as plain values; None for a rollback.
        previous_id: the row that a rollback from this one goes back to; None when there is none.
    """

    id: int
    at: datetime
    who: str
    digest: str
    kind: PromotionKind
    reason: str | None
    forced: bool
    gate: Mapping[str, Any] | None
    previous_id: int | None
