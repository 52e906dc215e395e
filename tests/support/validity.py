"""Result sets as the gate sees them, and as files for the validators."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydicom.dataset import Dataset


@dataclass(frozen=True)
class Named:
    """An object of a result set that a test may break."""

    kind: str
    name: str
    dataset: Dataset


def objects_of(result_set: Any) -> Sequence[Named]:
    """The objects of a result set, in sending order."""
    if hasattr(result_set, "objects"):
        return [Named(obj.kind, obj.name, obj.dataset) for obj in result_set.objects]
    return [Named("seg", "seg.dcm", result_set.seg), Named("sr", "sr.dcm", result_set.sr)]
