"""CPU time of a process and its descendants, from Linux' /proc (proc(5)).

It distinguishes a process that computes without end from one that waits: for slow storage, or for a machine that is
busy.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from dicom_node.node.confined.family import family

_TICKS_A_SECOND: Final = os.sysconf("SC_CLK_TCK")
# utime, stime, cutime, cstime: fields 14 to 17; the second field, the name, may hold blanks and brackets.
_TIMES: Final = slice(11, 15)


def cpu_seconds(process_id: int) -> float:
    """What a process and its descendants have computed so far, those that have ended included; 0 when it has ended."""
    return sum(map(_spent_by, family(process_id)))


def _spent_by(process_id: int) -> float:
    try:
        _, _, fields = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")
    except OSError:
        return 0.0
    return sum(int(ticks) for ticks in fields.split()[_TIMES]) / _TICKS_A_SECOND
