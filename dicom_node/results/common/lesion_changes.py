"""What became of each lesion since the earlier scan, as results state it; or why that is not known."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from segmentation.change import KINDS, Kind
from segmentation.lesions import Place

NotComparedCode = Literal["images_gone", "images_unreadable", "registration_failed", "registration_doubtful"]

_REASONS: Final[dict[NotComparedCode, str]] = {
    "images_gone": "the node no longer has the earlier images or their segmentation (KEEP_DONE_DAYS). Send the earlier "
    "study again before the next visit, or keep it longer.",
    "images_unreadable": "the earlier images or their segmentation cannot be read any more.",
    "registration_failed": "the alignment of the two scans ended without an answer.",
    "registration_doubtful": "the two scans could not be aligned well enough. Check that both are of the same patient.",
}
_MOST_NAMED: Final = 5
_DECIMALS: Final = 3
_WORTH_SAYING_ML: Final = 0.1


@dataclass(frozen=True)
class LesionChange:
    """One lesion, or several that touch across the two scans.

    Attributes:
        kind: what became of it.
        earlier_ml, now_ml: its volumes.
        image: the slice of the present scan that its middle lies in, as the PACS calls it.
        label: of its voxels in `LesionChanges.labels`.
        place: where most of it lies; None where no ventricles were found.
    """

    kind: Kind
    earlier_ml: float
    now_ml: float
    image: str
    label: int
    place: Place | None = None

    @property
    def change_ml(self) -> float:
        """Now minus earlier."""
        return self.now_ml - self.earlier_ml

    @property
    def in_words(self) -> str:
        """Like `new, deep, +0.52 mL (image 12)`."""
        place = "" if self.place is None else f"{self.place}, "
        return f"{self.kind}, {place}{self.change_ml:+.2f} mL ({self.image})"


@dataclass(frozen=True, eq=False)  # arrays do not compare to one truth value
class LesionChanges:
    """Every lesion of either scan, the largest change first.

    Attributes:
        lesions: each with its volumes.
        labels: int32 (slice, row, column), the present scan's grid: the lesion of each voxel, 0 elsewhere.
        correlation: of the two scans' intensities after their alignment.
        unseen_ml: present WMH where the earlier scan shows nothing; among no lesion.
    """

    lesions: tuple[LesionChange, ...]
    labels: NDArray[np.int32]
    correlation: float
    unseen_ml: float = 0.0

    def count(self, kind: Kind) -> int:
        """How many of a kind."""
        return Counter(lesion.kind for lesion in self.lesions)[kind]

    def change_ml(self, kind: Kind) -> float:
        """By how much those of a kind have changed in all; negative for a loss."""
        return sum(lesion.change_ml for lesion in self.lesions if lesion.kind == kind)

    def mask(self, kind: Kind) -> NDArray[np.bool_]:
        """The voxels of a kind, bool (slice, row, column)."""
        return np.isin(self.labels, [lesion.label for lesion in self.lesions if lesion.kind == kind])

    @property
    def changed(self) -> tuple[LesionChange, ...]:
        """All that are not stable."""
        return tuple(lesion for lesion in self.lesions if lesion.kind != "stable")

    @property
    def identity(self) -> str:
        """For derived UIDs."""
        return "lesions " + hashlib.sha256(json.dumps(self.as_json, sort_keys=True).encode()).hexdigest()

    @property
    def as_json(self) -> dict[str, Any]:
        """The object `follow_up.lesions` of measurements.json."""
        return {
            "registration_correlation": round(self.correlation, _DECIMALS),
            "not_compared_ml": round(self.unseen_ml, _DECIMALS),
            **{
                kind: {"count": self.count(kind), "change_ml": round(self.change_ml(kind), _DECIMALS)} for kind in KINDS
            },
            "list": [
                {
                    "kind": lesion.kind,
                    "earlier_ml": round(lesion.earlier_ml, _DECIMALS),
                    "now_ml": round(lesion.now_ml, _DECIMALS),
                    "image": lesion.image,
                    **({} if lesion.place is None else {"place": lesion.place}),
                }
                for lesion in self.lesions
            ],
        }

    @property
    def in_words(self) -> tuple[str, ...]:
        """Sentences for a reader: how many of each kind, and the largest changes."""
        counts = ", ".join(kind_in_words(self, kind) for kind in KINDS)
        largest = "; ".join(lesion.in_words for lesion in self.changed[:_MOST_NAMED])
        return (
            f"Lesions since then: {counts}.",
            *((f"Largest changes: {largest}.",) if largest else ()),
            *((self.unseen_in_words,) if self.unseen_in_words else ()),
        )

    @property
    def unseen_in_words(self) -> str:
        """How much of the present WMH could not be compared, as a sentence; "" where it is next to none."""
        if self.unseen_ml < _WORTH_SAYING_ML:
            return ""
        return (
            f"{self.unseen_ml:.1f} mL of the present WMH lie where the earlier scan shows nothing: they are in the "
            "volume and its change, and in none of these lesions."
        )


@dataclass(frozen=True)
class LesionsNotCompared:
    """No statement about single lesions.

    Attributes:
        code: why, for programs.
    """

    code: NotComparedCode

    @property
    def identity(self) -> str:
        """For derived UIDs."""
        return f"lesions not compared: {self.code}"

    @property
    def as_json(self) -> dict[str, str]:
        """The object `follow_up.lesions_not_compared` of measurements.json."""
        return {"code": self.code, "reason": self.in_words[0]}

    @property
    def in_words(self) -> tuple[str, ...]:
        """A sentence for a reader."""
        return (f"New and grown lesions are not given: {_REASONS[self.code]}",)


LesionFinding = LesionChanges | LesionsNotCompared


def kind_in_words(changes: LesionChanges, kind: Kind) -> str:
    """Like `3 new (+0.84 mL)`; stable ones without their volume."""
    count = changes.count(kind)
    return f"{count} {kind}" + (f" ({changes.change_ml(kind):+.2f} mL)" if count and kind != "stable" else "")
