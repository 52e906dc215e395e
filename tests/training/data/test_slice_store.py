"""Slices on disk are the slices in memory; what is missing or damaged is made, once."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.labelled_cases import labelled_case, write_cohort
from support.small_disk import files_that_stay_small
from support.training_runs import environment, tiny_recipe

from training.data.cases import open_cases
from training.data.facts_index import FactsIndex
from training.data.slice_store import SliceStore, StoredPlanes, Wanted, key_of
from training.data.slices import build_pool, slices_of
from training.errors import NotSaved

RECIPE = tiny_recipe(synthetic_share=0.5)


def test_the_store_gives_the_slices_of_memory(tmp_path: Path) -> None:
    """Images, labels, weights and scans of a pool are the same to the bit, of real and of drawn cases."""
    real, drawn = [labelled_case("a"), labelled_case("b", seed=1)], [labelled_case("d", seed=2)]
    memory = build_pool(real, drawn, RECIPE)
    for _ in range(2):  # made, then found
        stored = build_pool(real, drawn, RECIPE, SliceStore(tmp_path / "slices"))
        for mine, other in zip(stored.groups, memory.groups, strict=True):
            np.testing.assert_array_equal(np.stack(list(mine.images[0])), np.stack(list(other.images[0])))
            np.testing.assert_array_equal(np.stack(list(mine.labels)), np.stack(list(other.labels)))
            np.testing.assert_array_equal(mine.weights, other.weights)
            np.testing.assert_array_equal(mine.scans, other.scans)
            assert mine.images[0][0].dtype == other.images[0][0].dtype


def test_the_key_knows_all_that_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another mask, recipe, number of a drawn scan or version has slices of its own; the learning rate has not."""
    case = labelled_case("a")
    base = Wanted(case, RECIPE, None)
    others = [
        Wanted(replace(case, wmh=~case.wmh), RECIPE, None),
        Wanted(case, replace(RECIPE, target="ventricles"), None),
        Wanted(case, replace(RECIPE, scalp_factors=(1.0, 0.5)), None),
        Wanted(case, replace(RECIPE, ignored_rim_mm=5.0), None),
        Wanted(case, replace(RECIPE, ignored_rim_mm=5.0, ignored_rim_sd=1.3), None),
        Wanted(case, RECIPE, 0),
        Wanted(case, RECIPE, 1),
    ]
    assert len({key_of(wanted) for wanted in (base, *others)}) == 1 + len(others)
    assert key_of(Wanted(replace(case, name="b"), replace(RECIPE, learning_rate=9.0), None)) == key_of(base)
    before = key_of(base)
    monkeypatch.setattr("training.data.slice_store.version", lambda _: "9.9")
    assert key_of(base) != before


@pytest.mark.parametrize("harm", ["flip", "cut", "gone", "entry"])
def test_what_is_damaged_is_made_again(tmp_path: Path, harm: str) -> None:
    """A flipped bit, a short or lost file, or an entry that is no JSON: the slices come out right."""
    case = labelled_case("a")
    SliceStore(tmp_path).slices_of(case, RECIPE, None)
    folder = tmp_path / key_of(Wanted(case, RECIPE, None))
    images = folder / "images-00.npy"
    if harm == "flip":
        content = bytearray(images.read_bytes())
        content[-1] ^= 1
        images.write_bytes(content)
    elif harm == "cut":
        images.write_bytes(images.read_bytes()[:-5])
    elif harm == "gone":
        (folder / "labels.npy").unlink()
    else:
        (folder / "entry.json").write_text("{")
    found = SliceStore(tmp_path).slices_of(case, RECIPE, None)
    wanted = slices_of(case, RECIPE, None)
    np.testing.assert_array_equal(np.stack([found.images[0][k] for k in range(3)]), np.asarray(wanted.images[0]))
    np.testing.assert_array_equal(np.stack([found.labels[k] for k in range(3)]), np.asarray(wanted.labels))


def test_a_full_disk_is_said_and_the_rest_kept(tmp_path: Path) -> None:
    """The error names the case and the next step; after it the same call makes what is missing."""
    store, cases = SliceStore(tmp_path / "slices"), [labelled_case("a"), labelled_case("b", seed=1)]
    store.slices_of(cases[0], RECIPE, None)
    with (
        files_that_stay_small(os.getpid(), 2000),
        pytest.raises(NotSaved, match=r"slices of b could not be stored \((?!None).* same command"),
    ):
        store.slices_of(cases[1], RECIPE, None)
    seen: list[tuple[int, int]] = []
    store.fill([Wanted(case, RECIPE, None) for case in cases], lambda *stand: seen.append(stand), processes=1)
    assert seen == [(0, 2), (1, 2), (2, 2)]


# Both wait for a line on stdin once a case is made, so that they are killed in the middle.
_IMPORTS = (
    "import sys\nfrom pathlib import Path\nfrom support.training_runs import tiny_recipe\n"
    "from training.data.cases import open_cases\nfrom training.data.facts_index import FactsIndex\n"
    "from training.data.slice_store import SliceStore, Wanted\n"
    "store, recipe = SliceStore(Path(sys.argv[2])), tiny_recipe(synthetic_share=0.5)\n"
    "wanted = [Wanted(case, recipe, None) for case in open_cases(Path(sys.argv[1]), None, FactsIndex())]\n"
)
_ONE_BY_ONE = "for item in wanted:\n    store.slices_of(*item)\n    print(1, flush=True)\n    sys.stdin.readline()\n"
_BY_TWO = (
    "def heard(done, total):\n    print(done, flush=True)\n    if done:\n        sys.stdin.readline()\n"
    "store.fill(wanted, heard, processes=2)\n"
)


def _program(text: str, data: Path, slices: Path) -> subprocess.Popen[bytes]:
    program = [sys.executable, "-c", _IMPORTS + text, str(data), str(slices)]
    return subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment())


def _kill(child: subprocess.Popen[bytes]) -> None:
    child.kill()
    child.wait()
    for pipe in (child.stdin, child.stdout):  # a worker that stays behind holds their other ends
        if pipe is not None:
            pipe.close()


def _children(process_id: int) -> list[int]:
    return [int(number) for number in Path(f"/proc/{process_id}/task/{process_id}/children").read_text().split()]


def _runs(process_id: int) -> bool:
    with contextlib.suppress(OSError):
        # The state stands after the name, which is in parentheses.
        return Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


@pytest.mark.slow
def test_several_processes_fill_it_and_a_killed_one_costs_nothing(tmp_path: Path) -> None:
    """Killed after the first case, the next call goes on, and the store holds what one process makes."""
    data = write_cohort(tmp_path / "data", 6)
    wanted = [Wanted(case, RECIPE, None) for case in open_cases(data, None, FactsIndex())]
    child = _program(_ONE_BY_ONE, data, tmp_path / "slices")
    assert child.stdout is not None
    assert child.stdout.readline() == b"1\n"
    _kill(child)
    heard: list[tuple[int, int]] = []
    SliceStore(tmp_path / "slices").fill(wanted, lambda *stand: heard.append(stand), processes=2)
    assert heard == [(done, 6) for done in range(7)]
    for item in wanted:
        found = SliceStore(tmp_path / "slices").slices_of(*item)
        np.testing.assert_array_equal(
            np.stack([found.labels[k] for k in range(3)]), np.asarray(slices_of(*item).labels)
        )


@pytest.mark.slow
def test_workers_end_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    """No process with its memory stays behind to wait for work that never comes."""
    child = _program(_BY_TWO, write_cohort(tmp_path / "data", 6), tmp_path / "slices")
    assert child.stdout is not None
    assert [child.stdout.readline() for _ in range(2)] == [b"0\n", b"1\n"]
    workers = _children(child.pid)
    _kill(child)
    assert len(workers) >= 2
    for _ in range(600):
        if not any(map(_runs, workers)):
            return
        time.sleep(0.1)
    left = [worker for worker in workers if _runs(worker)]
    for worker in left:
        os.kill(worker, signal.SIGKILL)
    assert left == []


def test_slices_by_their_place_only(tmp_path: Path) -> None:
    """A slice is read alone; one beyond the end, or a file of another shape, is an error and no other slice."""
    np.save(tmp_path / "a.npy", np.arange(24, dtype=np.float32).reshape(2, 3, 4))
    planes = StoredPlanes(tmp_path / "a.npy")
    assert (len(planes), planes[1].tolist()[0]) == (2, [12.0, 13.0, 14.0, 15.0])
    for index in (-1, 2):
        with pytest.raises(IndexError):
            planes[index]
    np.save(tmp_path / "b.npy", np.zeros((2, 3)))
    with pytest.raises(ValueError, match="expected slices"):
        StoredPlanes(tmp_path / "b.npy")
