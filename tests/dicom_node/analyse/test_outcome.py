"""The worker's policy, row by row."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.received import instance

from dicom_node.analyse.outcome import Fail, Quarantine, Reject, Retry, WaitForStorage, cause_of, outcome_of
from dicom_node.node import errors
from dicom_node.node.errors import (
    ConfinedChildLost,
    DamagedFiles,
    IncompleteSeries,
    NotAnalysable,
    RefusalReportDelayed,
    ResultError,
    ResultNotValid,
    StorageTrouble,
    WmhNodeError,
)
from dicom_node.node.storage import StorageProbe
from segmentation.errors import BadVolume

REFUSAL = IncompleteSeries("slices_missing", "1 slice is missing.")
NOT_VALID = ResultNotValid(("sr.dcm: no",))
LOST = ConfinedChildLost("was ended", took_too_much=False, ended=True)


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (StorageTrouble("the storage is away"), WaitForStorage("the storage is away")),
        (REFUSAL, Reject(REFUSAL)),
        (NOT_VALID, Quarantine(NOT_VALID)),
        (DamagedFiles(["1.2.3"]), Fail(str(DamagedFiles(["1.2.3"])))),
        (RefusalReportDelayed(REFUSAL, LOST), Retry(f"{REFUSAL}; its refusal report could not be written yet: {LOST}")),
        (LOST, Retry(str(LOST))),
        (ResultError("no"), Retry("no")),
        (BadVolume("too small"), Retry("too small")),
    ],
)
def test_each_error_has_its_outcome(error: Exception, outcome: object) -> None:
    """What becomes of a job follows from the type of its error."""
    assert outcome_of(error) == outcome


def test_text_of_a_foreign_error_stays_inside() -> None:
    """An unexpected error is retried, and its own text, which may quote a patient, is not shown."""
    outcome = outcome_of(ValueError("DOE^JANE"))
    assert isinstance(outcome, Retry)
    assert "ValueError" in outcome.reason and "DOE" not in outcome.reason


def _kinds(root: type[WmhNodeError]) -> Iterator[type[WmhNodeError]]:
    yield root
    for kind in root.__subclasses__():
        yield from _kinds(kind)


def test_a_permanent_error_is_never_retried() -> None:
    """Types that say that retrying cannot help, and only these, end a job at once."""
    ours = [kind for kind in _kinds(WmhNodeError) if kind.__module__ == errors.__name__]
    permanent = {kind for kind in ours if kind.permanent}
    assert {NotAnalysable, ResultNotValid, DamagedFiles} <= permanent
    for kind in ours:
        error = kind.__new__(kind)
        error.args = ("words",)
        assert isinstance(outcome_of(error), Retry | WaitForStorage) != kind.permanent, kind


def test_the_disk_is_looked_at_before_files_and_files_before_the_series(tmp_path: Path) -> None:
    """A full disk explains a damaged file, and a damaged file a refused series: neither is taken for the next."""
    probe = StorageProbe(tmp_path)
    gone = [instance("1.2.3", 1, 1)]
    full = OSError(errno.ENOSPC, "no space")
    assert isinstance(cause_of(full, probe, gone, tmp_path), StorageTrouble)
    assert isinstance(cause_of(REFUSAL, probe, gone, tmp_path), DamagedFiles)
    assert cause_of(REFUSAL, probe, [], tmp_path) is REFUSAL
