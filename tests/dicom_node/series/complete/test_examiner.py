"""Headers are read in a child process with limits: what a hostile series takes, the worker keeps."""

from __future__ import annotations

import hashlib
import struct
import tracemalloc
import zlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import psutil
import pydicom
import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian, MRImageStorage
from support.killed_child import KilledAgain
from support.phantoms import phantom_files

from db.records import StoredInstance
from dicom_node.demo.phantom.phantom import PhantomSpec
from dicom_node.node.confined.limits import Limits
from dicom_node.node.errors import ConfinedChildLost
from dicom_node.receive.part10 import file_header
from dicom_node.series.complete.completer import examine_files
from dicom_node.series.complete.examiner import Examiner

pytestmark = pytest.mark.slow

_MEBIBYTE = 1024 * 1024


def rows(files: Sequence[Path]) -> list[StoredInstance]:
    """The rows that the receiver would have made."""
    made = []
    for ordinal, file in enumerate(files, 1):
        header = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=["SOPInstanceUID"])
        made.append(
            StoredInstance(
                sop_instance_uid=str(header.file_meta.MediaStorageSOPInstanceUID),
                sop_class_uid=MRImageStorage,
                series_instance_uid="1.2.5",
                study_instance_uid="1.2.4",
                transfer_syntax_uid="1.2.840.10008.1.2.1",
                path=file.name,
                sha256=hashlib.sha256(file.read_bytes()).hexdigest(),
                size_bytes=file.stat().st_size,
                association_id=1,
                ordinal=ordinal,
                is_conflict=False,
                known_elsewhere=False,
                received_at=datetime(2026, 11, 24, tzinfo=UTC),
            )
        )
    return made


@pytest.fixture(scope="module")
def series(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A small phantom series."""
    return phantom_files(PhantomSpec(slices=12, matrix=64), tmp_path_factory.mktemp("series"))


@pytest.fixture
def bomb(tmp_path: Path) -> list[Path]:
    """A deflated file of some kilobytes: a sequence of items that take a kilobyte each in a parser. The receiver takes
    up to a million elements and items."""
    items = struct.pack("<HHL", 0xFFFE, 0xE000, 0) * 100_000
    sequence = struct.pack("<HH2sxxL", 8, 0x1140, b"SQ", 0xFFFFFFFF) + items + struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)
    deflater = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    path = tmp_path / "bomb.dcm"
    header = file_header(MRImageStorage, "1.2.3", DeflatedExplicitVRLittleEndian)
    path.write_bytes(header + deflater.compress(sequence) + deflater.flush())
    assert path.stat().st_size < 20_000
    return [path]


@pytest.fixture
def examiner() -> Iterator[Examiner]:
    """One with the limits of the product."""
    one = Examiner()
    yield one
    one.close()


@pytest.fixture
def tight_examiner() -> Iterator[Examiner]:
    """One with memory for a good series and not for the bomb, which takes 160 MiB of it."""
    one = Examiner(Limits(memory_bytes=125 * _MEBIBYTE, seconds=600, answer_bytes=_MEBIBYTE))
    yield one
    one.close()


def child(examiner: Examiner) -> psutil.Process:
    """The examiner's child."""
    assert examiner.process_id is not None
    return psutil.Process(examiner.process_id)


def test_a_good_series_is_classified_as_in_this_process(examiner: Examiner, series: list[Path]) -> None:
    """Whole, and with a slice missing: the child's verdict, completeness and digest are those of `examine_files`."""
    for files in (series, series[:5] + series[6:]):
        instances = rows(files)
        assert examiner.examine(instances, series[0].parent) == examine_files(instances, series[0].parent)
    assert examiner.examine(rows(series), series[0].parent).verdict.accepted


@pytest.mark.slow
def test_headers_that_grow_without_bounds_are_refused(
    tight_examiner: Examiner, bomb: list[Path], series: list[Path]
) -> None:
    """The child is ended when it has reached its limit, long before its time is over; this process does not grow, and
    the next series is decided as ever."""
    instances = rows(bomb)
    tracemalloc.start()
    examination = tight_examiner.examine(instances, bomb[0].parent)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert examination.verdict.code == "header_too_complex"
    assert peak < 30 * _MEBIBYTE
    assert tight_examiner.examine(rows(series), series[0].parent).verdict.accepted


def test_headers_that_take_too_long_are_refused(bomb: list[Path]) -> None:
    """The child is ended after its time, and the series with it."""
    examiner = Examiner(Limits(memory_bytes=2048 * _MEBIBYTE, seconds=0.2, answer_bytes=_MEBIBYTE))
    examination = examiner.examine(rows(bomb), bomb[0].parent)
    assert examination.verdict.code == "header_too_complex"
    assert examiner.process_id is None


@pytest.mark.slow
def test_a_child_that_was_killed_is_started_again(examiner: Examiner, series: list[Path]) -> None:
    """The system may kill it at any time: the series is not to blame, and is read again."""
    assert examiner.examine(rows(series), series[0].parent).verdict.accepted
    victim = child(examiner)
    victim.terminate()  # a service manager asks every process to stop: this one waits for the end of its input
    assert examiner.examine(rows(series), series[0].parent).verdict.accepted
    assert child(examiner) == victim
    victim.kill()
    assert examiner.examine(rows(series), series[0].parent).verdict.accepted


def test_a_machine_short_of_memory_refuses_nothing(examiner: Examiner, series: list[Path]) -> None:
    """Killed from outside however often: no verdict about the series, which is accepted when that is over."""
    with KilledAgain(examiner) as killer, pytest.raises(ConfinedChildLost, match="killed") as caught:
        examiner.examine(rows(series), series[0].parent)
    assert killer.killed == 2
    assert not caught.value.took_too_much
    assert examiner.examine(rows(series), series[0].parent).verdict.accepted


def test_a_child_is_kept_from_series_to_series(examiner: Examiner, series: list[Path]) -> None:
    """Also where this process is large, as a worker with a model is: only what the child itself took counts."""
    held = np.ones(700 * _MEBIBYTE // 8)
    assert examiner.examine(rows(series), series[0].parent).verdict.accepted
    first = child(examiner)
    assert examiner.examine(rows(series), series[0].parent).verdict.accepted
    assert child(examiner) == first
    assert held.nbytes > 600 * _MEBIBYTE
