"""Upgrade and check of the schema."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SchemaStatus:
    """How the database's schema stands to this version of the program.

    Attributes:
        current: revision of the database; None when it has no tables of ours.
        head: revision that this version needs.
        is_known: False when a newer version of the program has upgraded the database.
    """

    current: str | None
    head: str
    is_known: bool

    @property
    def is_current(self) -> bool:
        """True when this version can work with it."""
        return self.current == self.head

    def __str__(self) -> str:
        if self.is_current:
            return f"revision {self.head}, current"
        if self.current is None:
            return f"no schema yet, this version needs revision {self.head}"
        if not self.is_known:
            return f"revision {self.current} belongs to a newer version; this one needs {self.head}"
        return f"revision {self.current}, this version needs {self.head}"


def upgrade(url: str) -> SchemaStatus:
    """Make or upgrade the schema."""
    raise NotImplementedError


def check(url: str) -> SchemaStatus:
    """Compare the schema with what this version needs; changes nothing."""
    raise NotImplementedError
