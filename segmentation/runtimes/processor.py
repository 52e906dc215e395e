"""What this machine's processor can do, as the system says it."""

from __future__ import annotations

import contextlib
import platform
from pathlib import Path
from typing import Final

_BFLOAT16: Final = frozenset({"amx_bf16", "avx512_bf16"})


def instruction_sets() -> str:
    """As the system names them, in one line; a virtual machine may hide some of a processor of that name."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith(("flags", "Features")):
                return line
    return platform.machine()


def trains_in_bfloat16(known: str | None = None) -> bool:
    """Whether bfloat16 makes a training step faster: without instructions for it TensorFlow emulates it, and a step
    takes several times as long as in float32.

    Args:
        known: `instruction_sets`; None: of this machine.
    """
    return not _BFLOAT16.isdisjoint((instruction_sets() if known is None else known).split())
