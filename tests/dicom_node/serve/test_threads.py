"""Threads that stand or fall together."""

from __future__ import annotations

import threading

import pytest

from dicom_node.serve.threads import run_threads


def test_one_error_stops_all() -> None:
    """A role that lost a thread does not look alive: the others stop and the error is raised."""
    stop = threading.Event()

    def fails() -> None:
        raise ValueError("lost")

    with pytest.raises(ValueError, match="lost"):
        run_threads([fails, stop.wait], stop)
    assert stop.is_set()
