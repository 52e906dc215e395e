"""What many people look at at once."""

from __future__ import annotations

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from dicom_node.web.kept import Kept


def test_it_is_computed_once_in_some_seconds() -> None:
    """Everyone gets the kept value until it is too old, or until it is forgotten."""
    now, counts = [0.0], itertools.count(1)
    kept = Kept(lambda: next(counts), 2.0, lambda: now[0])
    assert [kept.value(), kept.value()] == [1, 1]
    now[0] = 1.9
    assert kept.value() == 1
    now[0] = 2.0
    assert kept.value() == 2
    kept.forget()
    assert kept.value() == 3


def test_an_error_is_raised_and_not_kept() -> None:
    """A database that was away is asked again at the next look, and an old value is not shown in its place."""
    now, answers = [0.0], iter([1, None, 3])

    def compute() -> int:
        answer = next(answers)
        if answer is None:
            raise LookupError
        return answer

    kept = Kept(compute, 2.0, lambda: now[0])
    assert kept.value() == 1
    now[0] = 5.0
    with pytest.raises(LookupError):
        kept.value()
    assert kept.value() == 3


def test_many_threads_compute_once() -> None:
    """Those who come while one computes wait for its value."""
    counts, started = itertools.count(1), threading.Event()

    def compute() -> int:
        started.set()
        threading.Event().wait(0.05)
        return next(counts)

    kept = Kept(compute, 60.0)
    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(kept.value)
        started.wait(10)
        others = [pool.submit(kept.value) for _ in range(7)]
        assert {future.result() for future in (first, *others)} == {1}
