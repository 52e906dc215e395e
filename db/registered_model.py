"""A model that was registered: its identity, when it came, and what it scored; as frozen records."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from db.errors import DatabaseError

_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class NewModel:
    """What is registered of a bundle.

    Attributes:
        digest: sha256 as hex, stands for every byte of the bundle.
        name, version: as the bundle's manifest gives them; several bundles may share them.
        size_bytes: of all its files together.
    """

    digest: str
    name: str
    version: str
    size_bytes: int

    def __post_init__(self) -> None:
        """A row that names no bundle could never be found again."""
        if not _DIGEST.fullmatch(self.digest) or not self.name or not self.version or self.size_bytes < 0:
            raise DatabaseError(
                "a model needs a sha256 of 64 hexadecimal digits, a name, a version and a size; came "
                f"{self.digest!r}, {self.name!r}, {self.version!r}, {self.size_bytes} bytes"
            )


@dataclass(frozen=True, slots=True)
class RegisteredModel:
    """A row of `models`; nothing of it changes but the evaluation.

    Attributes:
        added_by: account, as `user@host` from the command line.
        evaluation: what `wmh-node evaluate` wrote about it (evaluation.json); None when nothing was given.
    """

    digest: str
    name: str
    version: str
    size_bytes: int
    added_at: datetime
    added_by: str
    evaluation: Mapping[str, Any] | None

    def __str__(self) -> str:
        return f"{self.name} {self.version} ({self.digest[:12]})"
