"""A process and its descendants, from Linux' /proc (proc(5))."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path


def family(process_id: int) -> Iterator[int]:
    """Ids of a process and of what it has started, as far as they are there now."""
    yield process_id
    try:
        tasks = list(Path(f"/proc/{process_id}/task").iterdir())
        children = [int(word) for task in tasks for word in (task / "children").read_text().split()]
    except OSError:  # it has ended
        return
    for child in children:
        yield from family(child)
