"""What became of one series of many."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Status = Literal["analysed", "not_analysable", "failed"]


@dataclass(frozen=True)
class ScanResult:
    """What became of one series.

    Attributes:
        name: of its folder among the results; "" for what was refused before it was read.
        source: the file, or the folder of its files, under the path that was given.
        folder: what was written is here; None without a folder.
        status: `analysed`; `not_analysable`: the input is the reason; `failed`: anything else.
        measurements: the content of measurements.json; None where there is no result.
        code, reason: why there is no result; empty where there is one.
        is_resumed: taken over from an earlier run.
    """

    name: str
    source: Path
    folder: Path | None
    status: Status
    measurements: dict[str, Any] | None = None
    code: str = ""
    reason: str = ""
    is_resumed: bool = False
