"""Progress bars on stderr, for work that takes longer than a breath."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from dicom_node.cli.context import err
from dicom_node.node.progress import StageProgress


@contextmanager
def stage_bars() -> Iterator[StageProgress]:
    """One bar per stage, made at the stage's first call; where stderr is no terminal, one line per stage.

    Gives a callback (stage, done, total).
    """
    with _progress() as progress:
        tasks: dict[str, int] = {}

        def report(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = progress.add_task(stage, total=total)
                if not err.is_terminal:
                    err.print(f"{stage} ...", markup=False)
            progress.update(tasks[stage], completed=done, total=total)  # type: ignore[arg-type]

        yield report


@contextmanager
def one_bar(label: str) -> Iterator[Callable[[int, int], None]]:
    """A single bar; gives a callback (done, total)."""
    with stage_bars() as report:
        yield lambda done, total: report(label, done, total)


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description:<12}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=err,
        disable=not err.is_terminal,
    )
