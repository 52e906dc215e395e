"""Storage SCU on pynetdicom."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


class Receiver(Protocol):
    """Where to send: `dicom_node.settings.Destination` is one."""

    @property
    def ae_title(self) -> str: ...
    @property
    def host(self) -> str: ...
    @property
    def port(self) -> int: ...


@dataclass(frozen=True)
class SendOutcome:
    """What became of one file: `status` is the C-STORE status, None when no answer came."""

    path: Path
    status: int | None
    ok: bool
    detail: str


def send_files(
    paths: Sequence[Path],
    destination: Receiver,
    progress: Callable[[int, int], None] | None = None,
    *,
    calling_ae_title: str = "WMHNODE",
) -> list[SendOutcome]:
    """Send files by C-STORE; one outcome per path, in the order given."""
    raise NotImplementedError
