"""How full the disk under STORAGE is."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class DiskUse:
    """Bytes of a file system that programs of this user can use, and what of them is free."""

    total_bytes: int
    free_bytes: int

    @classmethod
    def of(cls, folder: Path) -> DiskUse:
        """Of the file system that holds the folder; what is reserved for root does not count, as in df(1).

        Raises:
            OSError: the folder is not there.
        """
        found = os.statvfs(folder)
        reserved = found.f_bfree - found.f_bavail
        return cls((found.f_blocks - reserved) * found.f_frsize, found.f_bavail * found.f_frsize)

    @property
    def percent(self) -> float:
        """Share that is used, 0 to 100."""
        return 100.0 * (1.0 - self.free_bytes / self.total_bytes) if self.total_bytes > 0 else 0.0

    def bytes_until(self, percent: float, reserve_bytes: int) -> int:
        """How much may be written until the disk is that full, or until no more than a reserve is free."""
        kept_free = int(self.total_bytes * (1.0 - percent / 100.0))
        return self.free_bytes - max(kept_free, reserve_bytes)
