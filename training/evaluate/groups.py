"""Groups of cases that are summed up apart, and the one that the figures are drawn of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, Protocol, TypeVar

ALL: Final = "all"
INTERNAL: Final = "internal"
EXTERNAL: Final = "external"
TEST: Final = "split:test"

_SPLIT: Final = "split:"
_INTERNAL_SPLITS: Final = ("train", "validation", "test")


class Placed(Protocol):
    """A case that knows its site and its part of the split."""

    @property
    def site(self) -> str:
        """Blank when unknown."""

    @property
    def split(self) -> str:
        """Blank when not drawn."""


P = TypeVar("P", bound=Placed)


def groups_of(cases: Sequence[P]) -> dict[str, list[P]]:
    """Group -> its cases: `all`, `internal` and `external` where both exist, each split and each site if several."""
    groups: dict[str, list[P]] = {ALL: list(cases)}
    internal = [case for case in cases if case.split in _INTERNAL_SPLITS]
    external = [case for case in cases if case.split == EXTERNAL]
    if external:
        groups[EXTERNAL] = external
        if internal:
            groups[INTERNAL] = internal
    if len({case.split for case in cases}) > 1 or len(internal) == len(cases):
        for split in _INTERNAL_SPLITS:
            if found := [case for case in cases if case.split == split]:
                groups[f"{_SPLIT}{split}"] = found
    sites = sorted({case.site for case in cases} - {""})
    if len(sites) > 1:
        groups.update({f"site:{site}": [case for case in cases if case.site == site] for site in sites})
    return groups


def is_divided(groups: Iterable[str]) -> bool:
    """Whether there is a part of the split among the groups: external, train, validation or test."""
    return any(name == EXTERNAL or name.startswith(_SPLIT) for name in groups)


def figure_group(cases: Sequence[Placed]) -> str:
    """External cases as in the paper, else the test part, else all: never training patients where others are there."""
    groups = groups_of(cases)
    return next(name for name in (EXTERNAL, TEST, ALL) if name in groups)
