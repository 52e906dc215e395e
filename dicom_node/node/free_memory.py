"""Freed memory goes back to the system.

glibc keeps what a process frees for its next request, and what lies under a block that is still used it keeps for ever:
300 MB of a child that has read 350 slices. After such work the process asks for it to be given back.
"""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any


def give_back_free_memory() -> None:
    """Ask the C library for it (malloc_trim(3)); musl, which has no such call, keeps little."""
    if (trim := _malloc_trim()) is not None:
        trim(0)


@cache
def _malloc_trim() -> Any:
    return getattr(ctypes.CDLL(None), "malloc_trim", None)
