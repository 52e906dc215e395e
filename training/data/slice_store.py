"""Network-ready slices on disk, made once and shared by members, stages, runs and processes.

A training of the paper's size has 70,196 slices of 2,408 patients: more than a memory holds, and an hour to
preprocess. NumPy's own .npy files: a slice of one is read by its place, without a library between (ADR 16).

STORE/<key>/images-K.npy   slices (slice, row, column) of variant K
STORE/<key>/labels.npy     their labels
STORE/<key>/entry.json     which of them are marked, and the sha256 of each file; the key is a digest of all that
                           decides the slices, so that a changed case or recipe finds none
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from training.data.cases import Case
from training.data.presets import Recipe
from training.data.slices import CaseSlices, Planes, slices_of
from training.errors import NotSaved
from training.files import alone_with, replacing, write_whole

_SCHEMA: Final = 1
_ENTRY: Final = "entry.json"
_LABELS: Final = "labels.npy"
_MOST_PROCESSES: Final = 4
"""Each holds one case with its intermediate images, about half a gigabyte."""


class Wanted(NamedTuple):
    """Slices that a training needs: of a case, by a recipe; `drawn` is the number of a drawn scan."""

    case: Case
    recipe: Recipe
    drawn: int | None


class StoredPlanes:
    """Slices of one .npy file, each read when it is asked for."""

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            npy.read_magic(file)
            shape, is_fortran, self._dtype = npy.read_array_header_1_0(file)
            self._start = file.tell()
        if is_fortran or len(shape) != 3:
            raise ValueError(f"expected slices (slice, row, column) in C order, got shape {shape}")
        self._path, self._count, self._shape = path, shape[0], shape[1:]

    def __len__(self) -> int:
        return int(self._count)

    def __getitem__(self, index: int) -> NDArray[Any]:
        if not 0 <= index < self._count:
            raise IndexError(index)
        plane = np.empty(self._shape, self._dtype)
        file = os.open(self._path, os.O_RDONLY)
        try:
            read = os.preadv(file, [plane.data.cast("B")], self._start + index * plane.nbytes)
        finally:
            os.close(file)
        if read != plane.nbytes:
            raise OSError(f"{self._path.name}: expected {plane.nbytes} bytes of slice {index}, got {read}")
        return plane


class SliceStore:
    """A folder of slices. What is not there, or is damaged, is made."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._sound: set[str] = set()

    def slices_of(self, case: Case, recipe: Recipe, drawn: int | None) -> CaseSlices:
        """As `training.data.slices.slices_of`, on disk.

        Raises:
            NotSaved: the disk is full, or the folder cannot be written.
        """
        key = key_of(Wanted(case, recipe, drawn))
        if (found := self._read(key)) is not None:
            return found
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            # Two processes that want the same case: the second one finds it made.
            with alone_with(self.folder / f".lock-{key[:2]}"):
                if (found := self._read(key)) is not None:
                    return found
                _write(self.folder / key, slices_of(case, recipe, drawn))
        except OSError as error:
            raise NotSaved(
                f"{self.folder.name}/: slices of {case.name} could not be stored ({error.strerror or error}); free "
                "some space and run the same command again: it goes on from here"
            ) from error
        found = self._read(key)
        if found is None:
            raise NotSaved(f"{self.folder.name}/: slices of {case.name} read back otherwise than they were written")
        return found

    def fill(
        self, wanted: Sequence[Wanted], progress: Callable[[int, int], None], processes: int | None = None
    ) -> None:
        """Make all that is not there yet; a killed call goes on where it was.

        Args:
            wanted: in any order.
            progress: called with (cases done, cases in all).
            processes: at most so many, and at most four; default: as many as there are cores.

        Raises:
            NotSaved, BadCase: see `slices_of`. NotSaved: a process was ended from outside, too.
        """
        missing, done = [], 0
        progress(done, len(wanted))
        for item in wanted:
            # Files of an earlier call are checked here, which takes minutes where they are many.
            if self._read(key_of(item)) is None:
                missing.append(item)
            else:
                done += 1
                progress(done, len(wanted))
        count = min(_MOST_PROCESSES, processes or os.cpu_count() or 1)
        if count == 1 or len(missing) < 2 * count:
            for item in missing:
                self.slices_of(*item)
                done += 1
                progress(done, len(wanted))
            return
        spawn = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(count, mp_context=spawn, initializer=_end_with_parent) as pool:
            running = [pool.submit(_make, self.folder, item) for item in missing]
            try:
                for made in as_completed(running):
                    made.result()
                    done += 1
                    progress(done, len(wanted))
            except BrokenProcessPool as error:
                raise NotSaved(
                    f"{self.folder.name}/: a process that preprocesses cases was ended from outside, most often for "
                    "want of memory; free some, or give --threads 1, and run the same command again: it goes on from "
                    "here"
                ) from error
            except BaseException:
                pool.shutdown(wait=True, cancel_futures=True)
                raise

    def _read(self, key: str) -> CaseSlices | None:
        """None where there is no entry, or a file of it is not what was written."""
        folder = self.folder / key
        try:
            entry = json.loads((folder / _ENTRY).read_text(encoding="utf-8"))
            if key not in self._sound:
                if any(_sha256(folder / name) != digest for name, digest in entry["files"].items()):
                    return None
                self._sound.add(key)
            images = tuple(StoredPlanes(folder / name) for name in sorted(entry["files"]) if name != _LABELS)
            return CaseSlices(images, StoredPlanes(folder / _LABELS), np.array(entry["marked"], bool))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None


def key_of(wanted: Wanted) -> str:
    """Digest of all that decides the slices of a case."""
    case, recipe, drawn = wanted
    decides = {
        "schema": _SCHEMA,
        # Another version may preprocess otherwise, and so will its networks.
        "software": version("wmh-node"),
        "case": case.facts.digest,
        "target": recipe.target,
        "preprocessing": asdict(recipe.preprocessing),
        "scalp_factors": recipe.scalp_factors,
        "brain_margins_mm": recipe.brain_margins_mm,
        "ignored_rim_mm": recipe.ignored_rim_mm,
        "ignored_rim_sd": recipe.ignored_rim_sd,
        "drawn": drawn,
    }
    return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()[:32]


def _make(folder: Path, wanted: Wanted) -> None:
    SliceStore(folder).slices_of(*wanted)


def _end_with_parent() -> None:
    """A worker whose parent is killed ends too: its queue is never closed, and it would wait there for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:

        def watch() -> None:
            parent.join()
            os._exit(1)

        threading.Thread(target=watch, daemon=True).start()


def _write(folder: Path, slices: CaseSlices) -> None:
    with replacing(folder) as unfinished:
        unfinished.mkdir()
        planes: dict[str, Planes] = {f"images-{index:02d}.npy": images for index, images in enumerate(slices.images)}
        for name, array in (planes | {_LABELS: slices.labels}).items():
            np.save(unfinished / name, np.asarray(array), allow_pickle=False)
        files = {path.name: _sha256(path) for path in sorted(unfinished.iterdir())}
        write_whole(unfinished / _ENTRY, json.dumps({"files": files, "marked": slices.marked.tolist()}) + "\n")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
