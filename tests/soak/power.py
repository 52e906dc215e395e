"""Power cuts simulated for what is no reception: each file that a committed row names has to be on the disk before.

`cuts` looks at the moment when the rows are about to count: the files that they name must be flushed, with every
folder above them. (The receiver's own power cuts: `power_cuts` of `soak.soak`.)
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final
from unittest import mock

from soak.kinds import Kind, Promotion, Withdrawal, Work
from support.durable import Durable

from db.jobs import JobTable
from db.models import ModelTable
from db.withdrawals import WithdrawalTable


def _named_by_rows(_table: Any, *arguments: Any, **_: Any) -> list[str]:
    """The files of new deliveries: the last argument that is a list of them."""
    rows = next(argument for argument in reversed(arguments) if isinstance(argument, list))
    return [file for row in rows for file in row.files]


def _of_the_model(_table: Any, model: Any, *_: Any, **__: Any) -> list[str]:
    return [f"models/{model.digest}"]


# Kind -> the method whose commit makes files count, and which they are by its arguments.
_COUNTS: Final[dict[type[Kind], tuple[type, str, Callable[..., list[str]]]]] = {
    Work: (JobTable, "deliver", _named_by_rows),
    Promotion: (ModelTable, "add", _of_the_model),
    Withdrawal: (WithdrawalTable, "withdraw", _named_by_rows),
}


def cuts(kind: Kind, folder: Path) -> tuple[int, list[str]]:
    """Do the work once: (how often it flushed, files that a power cut at the commit could take)."""
    kind.copy(folder)
    owner, name, files_of = _COUNTS[type(kind)]
    commit, disk = getattr(owner, name), Durable(folder)
    lost: list[str] = []
    looked: list[str] = []

    def look_first(table: Any, *arguments: Any, **keywords: Any) -> Any:
        for file in files_of(table, *arguments, **keywords):
            found = folder / file
            each = sorted(found.iterdir()) if found.is_dir() else [found]
            looked.extend(map(str, each))
            lost.extend(str(path.relative_to(folder)) for path in each if disk.lost(path))
        return commit(table, *arguments, **keywords)

    with disk.recording(), mock.patch.object(owner, name, look_first):
        kind.work(folder)
    assert looked, f"{kind.name}: nothing was committed"
    return disk.flushes, lost


def kinds_with_files() -> tuple[type[Kind], ...]:
    """Those that write files."""
    return tuple(_COUNTS)
