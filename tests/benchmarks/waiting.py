"""What people and jobs wait for: the start of a command, and the time from entering a job to its claim.

    python tests/benchmarks/waiting.py [--rounds N] [--jobs N] [--json]

Starts stand beside an empty Python process, in turns; the CPU time of the whole process counts, which a busy machine
disturbs least. Jobs are entered at odd times by one connection and claimed by a loop on another, once looking twice a
second and once woken. A benchmark, not a test: nothing passes or fails.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import closing
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parents[2])]

from support.databases import postgres_server, sqlite_url  # noqa: E402

from db.engine import open_database  # noqa: E402
from db.engine.bell import Wake  # noqa: E402
from db.engine.migrate import upgrade  # noqa: E402
from db.jobs import JobTable  # noqa: E402
from dicom_node.serve.loop import run_until_stopped  # noqa: E402
from dicom_node.serve.wake_ups import WakeUps  # noqa: E402

_PYTHON = [sys.executable, "-c", "pass"]
_COMMANDS = {
    " ".join(arguments): [sys.executable, "-m", "dicom_node.cli", *arguments]
    for arguments in (["--help"], ["jobs", "list"], ["status"])
}
_LOOK_SECONDS = 0.5


def starts(rounds: int) -> dict[str, dict[str, float]]:
    """CPU seconds of each command, wall seconds, and how many empty Python processes its CPU time is."""
    commands = {"python": _PYTHON, **_COMMANDS}
    cpu: dict[str, list[float]] = {name: [] for name in commands}
    wall: dict[str, list[float]] = {name: [] for name in commands}
    with tempfile.TemporaryDirectory() as folder:
        upgrade(f"sqlite:///{Path(folder) / 'node.sqlite'}")
        environment = {**os.environ, "WMH_NODE_STORAGE": folder}
        for _ in range(rounds):
            for name, command in commands.items():
                before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
                subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=False)
                after = resource.getrusage(resource.RUSAGE_CHILDREN)
                cpu[name].append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
                wall[name].append(time.perf_counter() - began)
    empty = statistics.median(cpu["python"])
    return {
        name: {
            "cpu_seconds": round(statistics.median(cpu[name]), 3),
            "wall_seconds": round(statistics.median(wall[name]), 3),
            "empty_processes": round(statistics.median(cpu[name]) / empty, 1),
        }
        for name in commands
    }


def claims(url: str, jobs: int, *, woken: bool) -> dict[str, float]:
    """Milliseconds from entering a job, its commit included, to its claim."""
    upgrade(url)
    entered: dict[str, float] = {}
    waited: list[float] = []
    stop = threading.Event()
    with closing(open_database(url)) as here, closing(open_database(url)) as there:
        table, hearing = JobTable(there), WakeUps(there, stop)
        event = hearing.event(Wake.JOBS) if woken else None

        def step() -> float:
            if (job := table.claim("benchmark", 60)) is None:
                return _LOOK_SECONDS
            waited.append(time.perf_counter() - entered[job.series_instance_uid])
            return 0.0

        bodies = [lambda: run_until_stopped(step, stop, woken=event), *([hearing.run] if woken else [])]
        threads = [threading.Thread(target=body) for body in bodies]
        for thread in threads:
            thread.start()
        time.sleep(2 * _LOOK_SECONDS)
        odd = random.Random(1)
        for number in range(jobs):
            uid = f"1.2.{number}"
            entered[uid] = time.perf_counter()
            JobTable(here).enqueue(uid, "d" * 64, 24)
            time.sleep(_LOOK_SECONDS * (1 + odd.random()))
        stop.set()
        for thread in threads:
            thread.join()
    return {"median_ms": round(1000 * statistics.median(waited), 1), "worst_ms": round(1000 * max(waited), 1)}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--jobs", type=int, default=30)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    found: dict[str, dict[str, dict[str, float]]] = {"starts": starts(arguments.rounds), "claims": {}}
    with tempfile.TemporaryDirectory() as folder, postgres_server() as server:
        for name, woken in (("looking", False), ("woken", True)):
            (Path(folder) / name).mkdir()
            for database, url in (("SQLite", sqlite_url(Path(folder) / name)), ("PostgreSQL", server.new_database())):
                found["claims"][f"{database}, {name}"] = claims(url, arguments.jobs, woken=woken)
    if arguments.json:
        print(json.dumps(found, indent=2))
        return
    for kind, rows in found.items():
        for name, row in rows.items():
            print(f"{kind}  {name:22}", "  ".join(f"{what} {value}" for what, value in row.items()))


if __name__ == "__main__":
    main()
