"""Objects a second to DCMTK's storescp: our sender beside DCMTK's storescu, in one run.

    python tests/benchmarks/sending.py [--instances N] [--rounds N] [--json]

Each sender sends N MR objects of 256 x 256 (133 kB) in one association to a storescp of its own rounds, TCP_NODELAY at
both ends; rounds take turns, the median counts. Our sender runs in its own process, its start not counted: a
deliverer starts once. storescu's start is counted as it prints nothing to time from, and is measured by an empty run.
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
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parents[2])]

from support.mr import mr_object, write_object  # noqa: E402
from support.peers import peer  # noqa: E402
from support.processes import free_port, listens, until  # noqa: E402

from dicom_node.deliver.send import send_files  # noqa: E402

_NODELAY = {**os.environ, "TCP_NODELAY": "1"}


@contextmanager
def storescp(folder: Path) -> Iterator[int]:
    """DCMTK's storescp, which keeps what it gets; gives its port."""
    folder.mkdir()
    port = free_port()
    command = [peer("storescp"), "-aet", "STORESCP", "-od", str(folder), str(port)]
    with (folder.parent / f"{folder.name}.log").open("ab") as log:
        process = subprocess.Popen(command, env=_NODELAY, stdout=log, stderr=log)
    try:
        until(lambda: listens(port), "storescp listening", 20)
        yield port
    finally:
        process.terminate()
        process.wait(10)


def objects(folder: Path, count: int) -> list[Path]:
    """Files that differ in their SOP Instance UID alone."""
    folder.mkdir()
    made = write_object(mr_object(matrix=256, SOPInstanceUID="1.2.3.4.100000"), folder / "template.dcm")
    template = made.read_bytes()
    made.unlink()
    files = []
    for number in range(1, count + 1):
        files.append(folder / f"{number:06d}.dcm")
        files[-1].write_bytes(template.replace(b"1.2.3.4.100000", f"1.2.3.4.{100000 + number}".encode()))
    return files


def ours(files: list[Path], port: int) -> float:
    """Seconds that our sender takes."""
    began = time.perf_counter()
    outcomes = send_files(files, SimpleNamespace(ae_title="STORESCP", host="127.0.0.1", port=port))
    seconds = time.perf_counter() - began
    assert all(outcome.status == 0 for outcome in outcomes), next(
        outcome for outcome in outcomes if outcome.status != 0
    )
    return seconds


def storescu(files: list[Path], port: int) -> float:
    """Seconds that storescu takes, its start included."""
    command = [peer("storescu"), "-aec", "STORESCP", "+sd", "127.0.0.1", str(port), str(files[0].parent)]
    began = time.perf_counter()
    subprocess.run(command, env=_NODELAY, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def empty(folder: Path) -> None:
    """Remove what was stored: to write a file over costs more than to write a new one."""
    for path in folder.iterdir():
        path.unlink()


def cpu_seconds() -> float:
    """What this process and its ended children have computed."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def measure(folder: Path, instances: int, rounds: int) -> dict[str, object]:
    """Rates of both, and their ratio."""
    files = objects(folder / "objects", instances)
    one = objects(folder / "one", 1)
    rates: dict[str, list[float]] = {"wmh-node": [], "storescu": []}
    cpu = {"wmh-node": 0.0, "storescu": 0.0}
    with storescp(folder / "pacs") as port:
        for _ in range(rounds):
            start = storescu(one, port)
            empty(folder / "pacs")
            before = cpu_seconds()
            rates["wmh-node"].append(instances / ours(files, port))
            between = cpu_seconds()
            empty(folder / "pacs")
            rates["storescu"].append(instances / max(storescu(files, port) - start, 1e-6))
            cpu["wmh-node"] += between - before
            cpu["storescu"] += cpu_seconds() - between
    median = {name: round(statistics.median(values), 1) for name, values in rates.items()}
    return {
        "instances": instances,
        "instance_bytes": files[0].stat().st_size,
        "instances_per_second": median,
        # On a busy machine rates say little; this does not depend on what else runs.
        "cpu_ms_per_instance": {name: round(1000 * value / (instances * rounds), 2) for name, value in cpu.items()},
        "ratio": round(median["wmh-node"] / median["storescu"], 2),
        "rounds": {name: [round(value, 1) for value in values] for name, values in rates.items()},
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--instances", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="wmh-sending-") as folder:
        result = measure(Path(folder), arguments.instances, arguments.rounds)
    if arguments.json:
        print(json.dumps(result, indent=2))
        return
    rates = result["instances_per_second"]
    print(f"to one storescp, {result['instances']} objects of {result['instance_bytes']} bytes: {rates}")
    print(f"{result['ratio']} times storescu's rate; CPU, ms an object: {result['cpu_ms_per_instance']}")


if __name__ == "__main__":
    main()
