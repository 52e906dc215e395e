"""Progress bars on stderr, for work that takes longer than a breath."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

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


class SeriesBar:
    """How many series are done, and how long the rest will take; plain lines where stderr is no terminal."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task: TaskID | None = None
        self._done = 0
        self._total = 0

    def expect(self, total: int) -> None:
        """So many series are left to analyse."""
        self._total = total
        if total:
            self._task = self._progress.add_task("series", total=total)

    def advance(self, counts: bool) -> None:
        """One more has ended; `counts`: it was among those that were left to analyse."""
        if not counts or self._task is None:
            return
        self._done += 1
        self._progress.advance(self._task)
        if not err.is_terminal:
            err.print(f"series {self._done} of {self._total}", markup=False)


@contextmanager
def series_bar() -> Iterator[SeriesBar]:
    """A bar over many series with the time that is left, by the mean of all that are done."""
    progress = Progress(
        TextColumn("{task.description:<12}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=err,
        disable=not err.is_terminal,
        speed_estimate_period=24 * 3600,
    )
    with progress:
        yield SeriesBar(progress)


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description:<12}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=err,
        disable=not err.is_terminal,
    )
