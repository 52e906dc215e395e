"""Synthetic scans for a run, drawn once into its folder."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from training.errors import BadCohort

Progress = Callable[[int, int], None]


def draw_cases(label_maps: Path, into: Path, count: int, progress: Progress | None = None) -> None:
    """Draw scans 0 to `count` - 1 as case folders; those that are there already are kept.

    Args:
        label_maps: folder with heads/ and lesions/ (see `training.synthesis`).
        into: folder of the case folders.
        count: how many; scan N is the same whatever the count.
        progress: called with (done, count).

    Raises:
        BadCohort: no label maps there.
    """
    from training.synthesis.__main__ import write_case
    from training.synthesis.case import draw_case
    from training.synthesis.heads import head_files, load_head
    from training.synthesis.lesions import load_library

    try:
        files, library = head_files(label_maps), load_library(label_maps)
    except OSError as error:
        raise BadCohort(f"{label_maps.name}/: expected heads/ and lesions/ ({type(error).__name__})") from error
    if not files:
        raise BadCohort(f"{label_maps.name}/: expected label maps in heads/, found none")
    # Head by head: reading and measuring one takes longer than a scan of it.
    todo = sorted((seed for seed in range(count) if not (into / _name(seed)).exists()), key=lambda s: s % len(files))
    number, head = -1, None
    for done, seed in enumerate(todo, start=count - len(todo) + 1):
        if head is None or seed % len(files) != number:
            number = seed % len(files)
            head = load_head(files[number])
        partial = into / f".{_name(seed)}"  # a kill leaves no half case among the good ones
        shutil.rmtree(partial, ignore_errors=True)
        write_case(draw_case(head, library, seed), partial)
        partial.replace(into / _name(seed))
        if progress is not None:
            progress(done, count)


def _name(seed: int) -> str:
    return f"synthetic-{seed}"
