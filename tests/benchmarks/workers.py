"""How many series an hour workers analyse beside each other on this machine, and what is used up first.

    python tests/benchmarks/workers.py [--workers 1 2 3] [--threads 0] [--series 6] [--slices 24] [--matrix 256]

Each number of workers has an empty PostgreSQL, the shipped model and the same series, which wait in the queue before
the first worker starts: the real role `wmh-node work`, without destinations. The first series of each worker is not
counted: it compiles the networks. `--threads 0`: as many as there are cores, for each worker; N: N for each.

Rates mean something on a quiet machine only; CPU seconds a series also on a busy one. "others" is the share of all
cores that programs took which are not ours. A benchmark, not a test: nothing passes or fails.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parents[2])]

import psutil  # noqa: E402
import pydicom  # noqa: E402
from pydicom.uid import generate_uid  # noqa: E402
from support.databases import postgres_server  # noqa: E402

from db.engine import open_database  # noqa: E402
from db.engine.migrate import upgrade  # noqa: E402
from db.inbox import Inbox  # noqa: E402
from db.jobs import JobTable  # noqa: E402
from dicom_node.deliver.send.object_file import read_object_file  # noqa: E402
from dicom_node.node.settings import Settings  # noqa: E402
from dicom_node.receive.receiver_settings import ReceiverSettings  # noqa: E402
from dicom_node.retrieve.arrivals import Arrivals  # noqa: E402
from dicom_node.series.read.instances import digest_of  # noqa: E402

_LOOK_SECONDS = 0.2
_STAGES = ("read", "preprocess", "infer", "measure", "write")
_LIMIT_SECONDS = 3600.0


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--threads", type=int, default=0, help="of each worker; 0: every core")
    parser.add_argument("--series", type=int, default=6, help="that are counted")
    parser.add_argument("--slices", type=int, default=24)
    parser.add_argument("--matrix", type=int, default=256, help="rows and columns")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="wmh-workers-") as folder:
        source = Path(folder) / "source"
        command = [sys.executable, "-m", "dicom_node.cli", "phantom", "--out", str(source)]
        size = ["--slices", str(options.slices), "--matrix", str(options.matrix)]
        subprocess.run([*command, *size], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        files = sorted(source.rglob("*.dcm"))
        for number in options.workers:
            figures = measured(number, files, options.threads, options.series)
            print(json.dumps(figures) if options.json else _in_words(figures), flush=True)


def _in_words(figures: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in figures.items())


def measured(workers: int, files: list[Path], threads: int, series: int) -> dict[str, Any]:
    """The figures of so many workers."""
    with tempfile.TemporaryDirectory(prefix="wmh-workers-") as folder, postgres_server() as server:
        url = server.new_database()
        upgrade(url)
        storage = Path(folder) / "storage"
        storage.mkdir()
        with closing(open_database(url)) as database:
            jobs = JobTable(database)
            _fill(url, storage, files, workers + series, jobs)
            with _running(workers, url, storage, threads, Path(folder)) as processes:
                _wait(jobs, workers, processes)
                before = _Used.now(processes)
                _wait(jobs, workers + series, processes)
                after = _Used.now(processes)
            found = jobs.list(None, 1000)
    done = [job.measurements["seconds"] for job in found if job.measurements and "seconds" in job.measurements]
    if len(done) != workers + series:
        raise SystemExit(f"expected {workers + series} results, got {len(done)}; {found[0].state}: {found[0].reason}")
    wall = after.wall - before.wall
    cores = os.cpu_count() or 1
    ours, busy = after.ours - before.ours, after.busy - before.busy
    stages = {stage: round(statistics.median(one[stage] for one in done), 2) for stage in _STAGES}
    return {
        "workers": workers,
        "threads": threads or cores,
        "series an hour": round(3600 * series / wall, 1),
        "CPU s a series": round(ours / series, 2),
        "our share of the cores": round(ours / wall / cores, 2),
        "others": round(max(busy - ours, 0) / wall / cores, 2),
        "waiting for the disk": round((after.waiting - before.waiting) / wall / cores, 2),
        "memory MB": round(after.memory / 2**20),
        "median s by stage": stages,
    }


class _Used:
    """What was used until a moment: seconds of wall, of our processes, of the machine; bytes of our processes."""

    def __init__(self, wall: float, ours: float, busy: float, waiting: float, memory: int) -> None:
        self.wall, self.ours, self.busy, self.waiting, self.memory = wall, ours, busy, waiting, memory

    @classmethod
    def now(cls, processes: list[subprocess.Popen[bytes]]) -> _Used:
        """Of these processes and their children."""
        ours, memory = 0.0, 0
        for one in _family(processes):
            try:
                times = one.cpu_times()
                ours += times.user + times.system
                memory += one.memory_info().rss
            except psutil.NoSuchProcess:
                continue
        machine = psutil.cpu_times()
        waiting = getattr(machine, "iowait", 0.0)
        busy = sum(machine) - machine.idle - waiting - getattr(machine, "guest", 0.0)
        return cls(time.perf_counter(), ours, busy, waiting, memory)


def _family(processes: list[subprocess.Popen[bytes]]) -> Iterator[psutil.Process]:
    for one in processes:
        parent = psutil.Process(one.pid)
        yield parent
        yield from parent.children(recursive=True)


def _fill(url: str, storage: Path, files: list[Path], count: int, jobs: JobTable) -> None:
    """Copies of a series, received as any, each with a job."""
    settings = Settings(storage=storage, database_url=url, reserve_bytes=0)
    with closing(open_database(url)) as database:
        inbox, arrivals = Inbox(database), Arrivals(ReceiverSettings.of(settings), database)
        with closing(arrivals):
            for _ in range(count):
                series = generate_uid()
                with arrivals.visit("BENCHMARK", "127.0.0.1") as visit:
                    for file in files:
                        copy = storage / "copy.dcm"
                        _copy(file, copy, series)
                        about = read_object_file(copy)
                        sink = visit.begin(about.sop_class_uid, about.sop_instance_uid, about.transfer_syntax_uid)
                        sink.write(copy.read_bytes()[about.offset :])
                        visit.keep()
                        copy.unlink()
                found = inbox.instances_of(series)
                jobs.enqueue(series, digest_of(found), len(found))


def _copy(file: Path, to: Path, series: str) -> None:
    one = pydicom.dcmread(file)
    one.SeriesInstanceUID, one.StudyInstanceUID = series, f"{series[:60]}.1"
    one.SOPInstanceUID = one.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    one.save_as(to)


@contextmanager
def _running(
    count: int, url: str, storage: Path, threads: int, folder: Path
) -> Iterator[list[subprocess.Popen[bytes]]]:
    """So many roles `work`; those that we started are ended."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("WMH_NODE_")}
    environment = {**clean, "WMH_NODE_STORAGE": str(storage), "WMH_NODE_DATABASE_URL": url}
    if threads:
        environment["WMH_NODE_THREADS"] = str(threads)
    processes: list[subprocess.Popen[bytes]] = []
    try:
        for number in range(count):
            with (folder / f"worker-{number}.log").open("wb") as log:
                command = [sys.executable, "-m", "dicom_node.cli", "work"]
                processes.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log))
        yield processes
    finally:
        for process in processes:
            process.terminate()
        for process in processes:  # a job that has begun is finished first
            process.wait(600)


def _wait(jobs: JobTable, count: int, processes: list[subprocess.Popen[bytes]]) -> None:
    """Until so many jobs have ended."""
    until = time.perf_counter() + _LIMIT_SECONDS
    while sum(job.state.has_ended for job in jobs.list(None, 1000)) < count:
        if any(process.poll() is not None for process in processes) or time.perf_counter() > until:
            raise SystemExit("a worker has ended, or the jobs do not: see its log")
        time.sleep(_LOOK_SECONDS)


if __name__ == "__main__":
    main()
