"""Many series in, one folder a series out, with a table and a contact sheet: the public face for Python."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from pathlib import Path
from typing import Final

from dicom_node.analyse.many.bids import BidsWriter
from dicom_node.analyse.many.contact_sheet import NAME as SHEET_NAME
from dicom_node.analyse.many.contact_sheet import contact_sheet
from dicom_node.analyse.many.inputs import FoundInputs, InputSeries, RefusedInput, find_inputs, is_bids
from dicom_node.analyse.many.one import SeriesOptions, analyse_input
from dicom_node.analyse.many.record import Finished, input_digest, made_by, remove_outdated
from dicom_node.analyse.many.result import ScanResult
from dicom_node.analyse.many.table import NAME as TABLE_NAME
from dicom_node.analyse.many.table import results_csv
from dicom_node.node.errors import NotAnalysable, WmhNodeError
from dicom_node.node.files import make_folder, write_whole
from dicom_node.node.profiles import DEFAULT_PROFILE, PROFILES, DeliveryOptions
from segmentation.bundle import load_bundle, reference_bundle
from segmentation.ensemble import Ensemble, open_ensemble
from segmentation.errors import SegmentationError

BIDS_NAME: Final = "bids"
# The table is written again at most this often while series end, and once more at the end.
_TABLE_SECONDS: Final = 10.0
# Of the machine, not of one series: to go on would fail for every other series too.
_OF_THE_MACHINE: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO})


def segment_many(
    paths: Sequence[Path],
    out: Path,
    *,
    ensemble: Ensemble | None = None,
    profile: str = DEFAULT_PROFILE.name,
    probability_map: bool = False,
    bids: bool = False,
    jobs: int = 1,
) -> Iterator[ScanResult]:
    """Segment every FLAIR series under the paths; gives what became of each, as soon as it is known.

    Each series goes to a folder of its own in `out`; results.csv and contact-sheet.html there sum them up, and are
    complete when the iterator has ended. One damaged series stops no other. A series whose files, model, software and
    options are those of an earlier run is not analysed again. Research use only.

    Args:
        paths: DICOM folders and files, DICOMDIRs, BIDS trees, NIfTI files, `.txt` lists of these; see `find_inputs`.
        out: folder for the results; made if missing.
        ensemble: from `segmentation.open_ensemble`; None: the shipped model. It is loaded once.
        profile: viewer profile, which decides what is written beside SEG and SR of a DICOM series.
        probability_map: also write the probabilities.
        bids: also write `out`/bids, a BIDS derivatives data set.
        jobs: series at the same time, in threads. The networks take turns; reading and writing overlap with them.

    Raises:
        ValueError: no path, an unknown profile, or fewer than 1 jobs.
        OSError: the disk is full or cannot be written.
    """
    if not paths:
        raise ValueError("expected at least one path, got none")
    if profile not in PROFILES:
        raise ValueError(f"expected a profile of {', '.join(PROFILES)}, got {profile!r}")
    options = SeriesOptions(DeliveryOptions(PROFILES[profile], probability_map))
    if ensemble is None:
        ensemble = open_ensemble(load_bundle(reference_bundle()))
    if bids:
        options = replace(options, bids=bids_writer(paths, out, probability_map))
    return segment_found(find_inputs(paths), out, ensemble, options, jobs)


def bids_writer(paths: Sequence[Path], out: Path, probability_map: bool) -> BidsWriter:
    """The derivatives data set in `out`, of the one BIDS tree among the paths where there is one."""
    trees = [path for path in paths if path.is_dir() and is_bids(path)]
    return BidsWriter(out / BIDS_NAME, probability_map, trees[0] if len(trees) == 1 else None)


def segment_found(
    found: FoundInputs,
    out: Path,
    ensemble: Ensemble,
    options: SeriesOptions,
    jobs: int = 1,
    expect: Callable[[int], None] | None = None,
) -> Iterator[ScanResult]:
    """`segment_many` for what `find_inputs` found.

    Args:
        found: the series.
        out: folder for the results.
        ensemble: by which model.
        options: what is written of each; the strip for the contact sheet always is.
        jobs: series at the same time.
        expect: called once with how many series are left to analyse, after those of an earlier run were given.

    Raises:
        ValueError: fewer than 1 jobs.
    """
    if jobs < 1:
        raise ValueError(f"expected at least 1 job, got {jobs}")
    return _Run(out, ensemble, replace(options, strip=True)).go(found, jobs, expect or (lambda _left: None))


class _Run:
    """One run over many series."""

    def __init__(self, out: Path, ensemble: Ensemble, options: SeriesOptions) -> None:
        self._out = out
        self._ensemble = ensemble
        self._options = options
        self._made_by = made_by(ensemble, options.identity)
        self._results: list[ScanResult] = []
        self._table_written = float("-inf")

    def go(self, found: FoundInputs, jobs: int, expect: Callable[[int], None]) -> Iterator[ScanResult]:
        make_folder(self._out)
        if self._options.bids is not None:
            self._options.bids.begin()
        for refused in found.refused:
            yield self._keep(_refused(refused))
        left = []
        for series in found.series:
            if (earlier := self._earlier(series)) is not None:
                yield self._keep(earlier)
            else:
                left.append(series)
        expect(len(left))
        try:
            for result in self._analysed(left, jobs):
                yield self._keep(result)
        finally:
            self._sum_up()

    def _analysed(self, left: Sequence[InputSeries], jobs: int) -> Iterator[ScanResult]:
        if jobs == 1:
            yield from map(self._analyse, left)
            return
        waiting = iter(left)
        running: set[Future[ScanResult]] = set()
        with ThreadPoolExecutor(jobs, "segment") as pool:
            try:
                while True:
                    while len(running) < jobs and (series := next(waiting, None)) is not None:
                        running.add(pool.submit(self._analyse, series))
                    if not running:
                        return
                    done, running = wait(running, return_when=FIRST_COMPLETED)
                    for future in done:
                        yield future.result()
            finally:
                pool.shutdown(wait=True, cancel_futures=True)

    def _earlier(self, series: InputSeries) -> ScanResult | None:
        """What an earlier run with the same input and model made of the series."""
        folder = self._out / series.name
        if (finished := Finished.read(folder)) is None or finished.made_by != self._made_by:
            return None
        try:
            if finished.input_sha256 != input_digest(series):
                return None
        except NotAnalysable:
            return None
        if finished.code:
            return ScanResult(
                series.name, series.source, folder, "not_analysable", None, finished.code, finished.reason, True
            )
        measurements = finished.measurements(folder)
        if measurements is None or not self._is_in_bids(series):
            return None
        return ScanResult(series.name, series.source, folder, "analysed", measurements, is_resumed=True)

    def _is_in_bids(self, series: InputSeries) -> bool:
        return self._options.bids is None or self._options.bids.has(series)

    def _analyse(self, series: InputSeries) -> ScanResult:
        folder = self._out / series.name
        try:
            make_folder(folder)
            remove_outdated(folder)
            digest = input_digest(series)
            try:
                measurements, files = analyse_input(series, self._ensemble, folder, self._options, _silent)
            except NotAnalysable as error:
                Finished(digest, self._made_by, (), error.code, error.reason).write(folder)
                raise
            Finished(digest, self._made_by, files).write(folder)
        except NotAnalysable as error:
            return ScanResult(series.name, series.source, folder, "not_analysable", None, error.code, error.reason)
        except OSError as error:
            if error.errno in _OF_THE_MACHINE:
                raise
            return _failed(series, folder, error)
        except Exception as error:  # the edge of a batch: one series that goes wrong stops no other
            return _failed(series, folder, error)
        return ScanResult(series.name, series.source, folder, "analysed", measurements)

    def _keep(self, result: ScanResult) -> ScanResult:
        self._results.append(result)
        if time.monotonic() - self._table_written >= _TABLE_SECONDS:
            self._write_table()
        return result

    def _write_table(self) -> None:
        write_whole(self._out / TABLE_NAME, results_csv(self._results))
        self._table_written = time.monotonic()

    def _sum_up(self) -> None:
        self._write_table()
        write_whole(self._out / SHEET_NAME, contact_sheet(self._results, self._ensemble.identity))


def _refused(refused: RefusedInput) -> ScanResult:
    error = refused.error
    return ScanResult("", refused.source, None, "not_analysable", None, error.code, error.reason)


def _failed(series: InputSeries, folder: Path, error: Exception) -> ScanResult:
    """Of an error that is not ours the kind only: its text may hold anything."""
    if isinstance(error, (WmhNodeError, SegmentationError)):
        return ScanResult(series.name, series.source, folder, "failed", None, "error", str(error))
    reason = f"The analysis ended with an unexpected error ({type(error).__name__}). Run this series alone to see it."
    return ScanResult(series.name, series.source, folder, "failed", None, "unexpected_error", reason)


def _silent(stage: str, done: int, total: int) -> None:
    """Several series at once have no one stage to show."""
