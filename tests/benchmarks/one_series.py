"""One series through the real worker, from its job to its deliveries: time beside the networks alone, and memory.

    python tests/benchmarks/one_series.py [--slices 24 350] [--matrix 512] [--repeat N] [--bundle DIR] [--json]

Each number of slices has a process of its own, as a worker is one: SQLite, the confined child that reads, the shipped
model, the result checks and the files. Memory is what that process and its children hold together, looked at every
50 ms: Pss, in which a page that several processes share counts once. "Networks" is the time of the same networks on as
many slices, with nothing around them; only the ratio to it means something on a busy machine. "First" is the first
case of the process. A benchmark, not a test: nothing passes or fails.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parents[2])]

_LOOK_SECONDS = 0.05
_STAGES = ("read", "preprocess", "infer", "measure", "write")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slices", type=int, nargs="+", default=[24, 350])
    parser.add_argument("--matrix", type=int, default=512, help="rows and columns")
    parser.add_argument("--repeat", type=int, default=2, help="cases after the first one")
    parser.add_argument("--bundle", type=Path, help="model bundle; default: the shipped model")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        print(json.dumps(work(options.worker, options.bundle, options.repeat)))
        return
    found = {slices: measured(slices, options) for slices in options.slices}
    if options.json:
        print(json.dumps(found, indent=2))
        return
    for slices, figures in found.items():
        print(f"{slices} slices of {options.matrix} x {options.matrix}")
        for name, value in figures.items():
            print(f"  {name:<26} {value}")


def measured(slices: int, options: argparse.Namespace) -> dict[str, Any]:
    """The figures of one process."""
    with tempfile.TemporaryDirectory(prefix="wmh-series-") as folder:
        _draw(Path(folder) / "series", slices, options.matrix)
        command = [sys.executable, __file__, "--worker", folder, "--repeat", str(options.repeat)]
        command += ["--bundle", str(options.bundle)] if options.bundle else []
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        with _Memory(process.pid) as memory:
            output, _ = process.communicate()
        if process.returncode:
            raise SystemExit(f"the worker ended with {process.returncode}")
        figures: dict[str, Any] = json.loads(output.splitlines()[-1])
        return {"peak_mb": memory.peak_bytes >> 20, **figures}


class _Memory:
    """The most that a process and its children hold together, until the block ends."""

    def __init__(self, process_id: int) -> None:
        from dicom_node.node.confined.family import family

        self.peak_bytes = 0
        self._look = lambda: sum(map(_held_by, family(process_id)))
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> _Memory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(_LOOK_SECONDS):
            self.peak_bytes = max(self.peak_bytes, self._look())


def _held_by(process_id: int) -> int:
    """Bytes, by proc(5); 0 when it has ended."""
    try:
        lines = Path(f"/proc/{process_id}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) << 10 for line in lines if line.startswith("Pss:"))


def _draw(folder: Path, slices: int, matrix: int) -> None:
    """A phantom, by a process of its own: its memory is none of the worker's."""
    command = [sys.executable, "-m", "dicom_node.cli", "phantom", "--out", str(folder)]
    subprocess.run([*command, "--slices", str(slices), "--matrix", str(matrix)], check=True, stdout=subprocess.DEVNULL)


def work(folder: Path, bundle: Path | None, repeat: int) -> dict[str, Any]:
    """What the worker's process does and measures: cases, then the networks alone."""
    from support.worker_setting import READER, Setting

    from segmentation.bundle import load_bundle, reference_bundle
    from segmentation.ensemble import open_ensemble

    files = sorted((folder / "series").rglob("*.dcm"))
    ensemble = open_ensemble(load_bundle(bundle or reference_bundle()))
    cases = []
    for number in range(1 + repeat):
        (storage := folder / f"storage-{number}").mkdir()
        setting = Setting(storage, ensemble, limit_seconds=86_400.0)
        with closing(setting.database):
            setting.receive(files)
            job_id = setting.enqueue(files)
            cpu, began = _cpu_seconds(), time.perf_counter()
            assert setting.worker.work_once()
            wall, cpu = time.perf_counter() - began, _cpu_seconds() - cpu
            job = setting.jobs.get(job_id)
            assert job.state == "delivering", job.reason
            cases.append({"all": wall, "cpu": cpu, **job.measurements["seconds"]})
    READER.close()
    peak_of_worker = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    networks = [_networks_seconds(ensemble, len(files)) for _ in range(1 + repeat)]
    later = cases[1:] or cases
    pure_wall, pure_cpu = (min(times) for times in zip(*networks, strict=True))
    best_wall, best_cpu = min(case["all"] for case in later), min(case["cpu"] for case in later)
    seconds = {stage: round(statistics.median(case[stage] for case in later), 2) for stage in _STAGES}
    return {
        "peak_mb_of_worker_alone": peak_of_worker,
        "precision": ensemble.precision,
        "seconds": seconds | {"all": round(best_wall, 2), "cpu": round(best_cpu, 2)},
        "networks": {"all": round(pure_wall, 2), "cpu": round(pure_cpu, 2)},
        "all_to_networks": round(best_wall / pure_wall, 2),
        "cpu_to_networks": round(best_cpu / pure_cpu, 2),
        "first_to_later": round(cases[0]["all"] / statistics.median(case["all"] for case in later), 2),
    }


def _networks_seconds(ensemble: Any, slices: int) -> tuple[float, float]:
    """Wall and CPU time of every network on blank images, batch after batch, with nothing else."""
    import numpy as np

    from segmentation.runtimes.runtime import BATCH

    runtimes = [(ensemble._runtime, ensemble.size, 1), (ensemble._anatomy, ensemble._anatomy_size, 1)]
    runtimes.append((ensemble._ventricles, ensemble.size, 2 if ensemble._is_mirrored else 1))
    cpu, began = _cpu_seconds(), time.perf_counter()
    for runtime, size, times in runtimes:
        if runtime is not None:
            for _ in range(times * -(-slices // BATCH)):
                runtime.run(np.zeros((BATCH, size, size), np.float32))
    return time.perf_counter() - began, _cpu_seconds() - cpu


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
