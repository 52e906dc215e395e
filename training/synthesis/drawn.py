"""Synthetic scans for a run, drawn once into its folder."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

from training.errors import BadCohort, NotSaved
from training.files import alone_with, sync_tree, write_whole
from training.synthesis.case import draw_case
from training.synthesis.heads import head_files, load_head
from training.synthesis.lesions import LesionLibrary, load_library
from training.synthesis.write import write_case

CountProgress = Callable[[int, int], None]

# What label maps the scans there were drawn from.
_SOURCE: Final = "label-maps.sha256"
_LOCK: Final = ".lock"
_PREFIX: Final = "synthetic-"


def draw_cases(
    label_maps: Path, into: Path, count: int, progress: CountProgress | None = None, first: int = 0
) -> tuple[str, ...]:
    """Draw scans `first` to `first + count - 1` as case folders; those that are there already are kept.

    One process at a time draws into a folder; the next one waits, and finds the scans there.

    Args:
        label_maps: folder with heads/ and lesions/ (see `training.synthesis`).
        into: folder of the case folders; it may hold more scans than are asked for.
        count: how many; scan N is the same whatever the count.
        progress: called with (done, count).
        first: number of the first one.

    Returns:
        Names of the case folders, in order of their numbers.

    Raises:
        BadCohort: no label maps there, or the folder holds scans drawn from others.
        NotSaved: the disk is full; the scans drawn before are there, and the same command goes on from them.
    """
    files, library = head_files(label_maps), load_library(label_maps)
    wanted = range(first, first + count)
    try:
        into.mkdir(parents=True, exist_ok=True)
        with alone_with(into / _LOCK):
            _claim(into, label_maps)
            _draw_missing(files, library, into, wanted, progress)
    except OSError as error:
        raise NotSaved(
            f"{into.name}/: a synthetic scan could not be written ({error.strerror or type(error).__name__}); free "
            "some space and run the same command again: it continues from there"
        ) from error
    return tuple(_name(seed) for seed in wanted)


def _draw_missing(
    files: list[Path], library: LesionLibrary, into: Path, wanted: range, progress: CountProgress | None
) -> None:
    # Head by head: reading and measuring one takes longer than a scan of it.
    todo = sorted((seed for seed in wanted if not (into / _name(seed)).exists()), key=lambda seed: seed % len(files))
    number, head = -1, None
    for done, seed in enumerate(todo, start=len(wanted) - len(todo) + 1):
        if head is None or seed % len(files) != number:
            number = seed % len(files)
            head = load_head(files[number])
        partial = into / f".{_name(seed)}"  # a kill leaves no half case among the good ones
        shutil.rmtree(partial, ignore_errors=True)
        write_case(draw_case(head, library, seed), partial)
        sync_tree(partial)
        partial.replace(into / _name(seed))
        if progress is not None:
            progress(done, len(wanted))


def _claim(into: Path, label_maps: Path) -> None:
    """Write what the folder's scans are drawn from, or make sure that those there are of the same."""
    source, digest = into / _SOURCE, _digest(label_maps)
    if any(into.glob(f"{_PREFIX}*")) and (not source.exists() or source.read_text(encoding="ascii") != digest):
        raise BadCohort(
            f"{into.name}/: expected scans drawn from the label maps in {label_maps.name}/, found scans drawn from "
            "others: delete that folder, or choose another --out"
        )
    write_whole(source, digest)


def _digest(label_maps: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(path for part in ("heads", "lesions") for path in (label_maps / part).iterdir()):
        with path.open("rb") as file:
            digest.update(f"{path.name} {hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return digest.hexdigest()


def _name(seed: int) -> str:
    return f"{_PREFIX}{seed}"
