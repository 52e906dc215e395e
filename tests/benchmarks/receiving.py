"""Instances a second with durable answers: our receiver, Orthanc and DCMTK's storescp, in one run.

    python tests/benchmarks/receiving.py [--instances N] [--rounds N] [--processes N] [--folder DIR] [--json]

Senders are DCMTK's storescu, 1 or 4 at once, each with new 256 x 256 MR instances of 133 kB:

- tuned: TCP_NODELAY at both ends, the best that a peer can do;
- default: nothing set anywhere, as most senders are (Nagle's algorithm meets delayed ACKs).

Our receiver and Orthanc (SQLite, synced) answer when the instance is on disk and in the database; storescp has no
database and does not flush: it is the ceiling, not a competitor. Rounds take turns, so that a busy machine hits all of
them alike; the median counts, and the disk's own rate of fsync is printed beside it.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parents[2])]

import psutil  # noqa: E402
from rich.console import Console  # noqa: E402
from rich.progress import Progress  # noqa: E402
from rich.table import Table  # noqa: E402
from support.mr import mr_object, write_object  # noqa: E402
from support.peers import peer  # noqa: E402
from support.processes import free_port, listens, program, until  # noqa: E402
from support.receiver import dcmtk  # noqa: E402

from db.engine.migrate import upgrade  # noqa: E402

_REPOSITORY = Path(__file__).resolve().parents[2]
_OURS, _ORTHANC, _STORESCP = "wmh-node", "Orthanc", "storescp"


@dataclass(frozen=True)
class Rate:
    """One cell: instances/s, the median of the rounds, and all of them."""

    receiver: str
    senders: str
    associations: int
    instances_per_second: float
    rounds: list[float]


@dataclass(frozen=True)
class Running:
    """A receiver under test."""

    name: str
    ae_title: str
    port: int
    process: psutil.Process


class Peak:
    """Largest resident memory of one process of a receiver, looked at every 20 ms while a block lasts."""

    def __init__(self, running: Sequence[Running]) -> None:
        self.megabytes = {process.name: 0.0 for process in running}
        self._running = running
        self._stop = threading.Event()

    def __enter__(self) -> Peak:
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._stop.wait(0.02):
            for running in self._running:
                for process in family(running.process):
                    try:
                        used = process.memory_info().rss / 1e6
                    except psutil.Error:
                        continue
                    self.megabytes[running.name] = max(self.megabytes[running.name], used)


def family(process: psutil.Process) -> list[psutil.Process]:
    """A process and what it started."""
    try:
        return [process, *process.children(recursive=True)]
    except psutil.Error:
        return []


class Instances:
    """Makes series of new instances from one template, by changing the UIDs in its bytes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._series = 0
        marked = {"SOPInstanceUID": self._uid(7), "SeriesInstanceUID": self._uid(8), "StudyInstanceUID": self._uid(9)}
        path = write_object(mr_object(matrix=256, **marked), folder / "template.dcm")
        self._template = path.read_bytes()

    @staticmethod
    def _uid(kind: int, series: int = 0, number: int = 0) -> str:
        return f"1.2.826.0.1.3680043.10.999.{kind}.1{os.getpid():09d}.1{series:05d}.1{number:06d}"

    def series(self, count: int) -> Path:
        """A folder with `count` new instances of one new series."""
        self._series += 1
        folder = self._folder / f"series-{self._series}"
        folder.mkdir()
        old, new = [self._uid(kind).encode() for kind in (7, 8, 9)], self._series
        for number in range(1, count + 1):
            data = self._template.replace(old[0], self._uid(7, new, number).encode())
            data = data.replace(old[1], self._uid(8, new).encode()).replace(old[2], self._uid(9, new).encode())
            (folder / f"{number:05d}.dcm").write_bytes(data)
        return folder


def environment(nodelay: bool) -> dict[str, str]:
    """Environment of DCMTK's programs, and of Orthanc, which is built on them."""
    others = {name: value for name, value in os.environ.items() if name != "TCP_NODELAY"}
    return {**others, "TCP_NODELAY": "1"} if nodelay else others


def send(target: Running, folders: Sequence[Path], nodelay: bool) -> float:
    """Send each folder in its own association, all at once; gives the seconds until all have ended."""
    command = [dcmtk("storescu"), "-aec", target.ae_title, "+sd", "127.0.0.1", str(target.port)]
    began = time.perf_counter()
    senders = [
        subprocess.Popen([*command, str(folder)], env=environment(nodelay), stdout=subprocess.DEVNULL)
        for folder in folders
    ]
    codes = [sender.wait(120) for sender in senders]
    seconds = time.perf_counter() - began
    assert codes == [0] * len(codes), f"storescu to {target.name} failed: {codes}"
    return seconds


@contextmanager
def our_receiver(folder: Path, processes: int) -> Iterator[Running]:
    """`run_receiver` in its own process, on SQLite."""
    folder.mkdir()
    url, port = f"sqlite:///{folder / 'node.sqlite'}", free_port()
    upgrade(url)
    code = (
        "import signal, sys, threading; from pathlib import Path\n"
        "from dicom_node.receive.receiver_settings import ReceiverSettings\n"
        "from dicom_node.receive.run import receive\n"
        "from dicom_node.node.logs import configure_logs\n"
        "configure_logs('info'); stop = threading.Event(); signal.signal(signal.SIGTERM, lambda *_: stop.set())\n"
        f"settings = ReceiverSettings('WMHNODE', Path({str(folder)!r}), {url!r}, port={port}, processes={processes})\n"
        "receive(settings, stop)"
    )
    with program(
        [sys.executable, "-c", code], folder / "log", port, {**os.environ, "PYTHONPATH": str(_REPOSITORY)}
    ) as p:
        yield Running(_OURS, "WMHNODE", port, psutil.Process(p.pid))


@contextmanager
def orthanc(folder: Path, nodelay: bool) -> Iterator[Running]:
    """Orthanc as Debian installs it: SQLite index, storage synced."""
    folder.mkdir()
    port, http_port = free_port(), free_port()
    settings = {
        "Name": "benchmark",
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "index"),
        "DicomPort": port,
        "HttpPort": http_port,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "Plugins": [],
    }
    (folder / "orthanc.json").write_text(json.dumps(settings))
    with program([peer("Orthanc"), str(folder / "orthanc.json")], folder / "log", port, environment(nodelay)) as p:
        yield Running(_ORTHANC, "ORTHANC", port, psutil.Process(p.pid))


@contextmanager
def storescp(folder: Path, nodelay: bool) -> Iterator[Running]:
    """DCMTK's storescp with a process an association."""
    folder.mkdir()
    port = free_port()
    command = [dcmtk("storescp"), "--fork", "-aet", "STORESCP", "-od", str(folder), str(port)]
    with (folder.parent / f"{folder.name}.log").open("ab") as log:
        process = subprocess.Popen(command, env=environment(nodelay), stdout=log, stderr=log)
    try:
        until(lambda: listens(port), "storescp listening", 20)
        yield Running(_STORESCP, "STORESCP", port, psutil.Process(process.pid))
    finally:
        process.terminate()
        process.wait(10)


def fsyncs_per_second(folder: Path) -> float:
    """What the disk does alone: files of 133 kB, written, flushed, one after the other."""
    data, began, count = os.urandom(133_000), time.perf_counter(), 100
    for number in range(count):
        with (folder / f"fsync-{number}").open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    return count / (time.perf_counter() - began)


def measure(folder: Path, arguments: argparse.Namespace, progress: Progress) -> dict[str, object]:
    """All cells of the table."""
    instances = Instances(folder)
    rates: dict[tuple[str, str, int], list[float]] = {}
    disk = fsyncs_per_second(folder)
    with ExitStack() as stack:
        ours = stack.enter_context(our_receiver(folder / "ours", arguments.processes))
        targets: dict[str, list[Running]] = {}
        for senders, nodelay in (("tuned", True), ("default", False)):
            targets[senders] = [
                ours,
                stack.enter_context(orthanc(folder / f"orthanc-{senders}", nodelay)),
                stack.enter_context(storescp(folder / f"storescp-{senders}", nodelay)),
            ]
        peak = stack.enter_context(Peak([*targets["tuned"]]))
        task = progress.add_task("receiving", total=arguments.rounds * 12)
        for _ in range(arguments.rounds):
            for senders, nodelay in (("tuned", True), ("default", False)):
                for associations in (1, 4):
                    for target in targets[senders]:
                        count = arguments.instances
                        if not nodelay and target is not ours:
                            count = max(count // 8, 20)  # 20 a second: the rate is the same, in less time
                        folders = [instances.series(count // associations) for _ in range(associations)]
                        seconds = send(target, folders, nodelay)
                        rate = (count // associations) * associations / seconds
                        rates.setdefault((target.name, senders, associations), []).append(rate)
                        for folder in folders:
                            shutil.rmtree(folder)
                        progress.advance(task)
    return {
        "instance_bytes": (folder / "template.dcm").stat().st_size,
        "fsyncs_per_second": round(disk, 1),
        "receiver_processes": arguments.processes,
        "peak_megabytes": {name: round(value, 1) for name, value in peak.megabytes.items()},
        "rates": [asdict(Rate(*key, round(statistics.median(values), 1), values)) for key, values in rates.items()],
    }


def show(result: dict[str, object]) -> None:
    """The table for people."""
    console = Console()
    rates = {(process["receiver"], process["senders"], process["associations"]): process for process in result["rates"]}  # type: ignore
    table = Table(title=f"instances/s, {result['instance_bytes']} bytes each, answered when durable (storescp: not)")
    for heading in ("receiver", "tuned, 1", "tuned, 4", "default, 1", "default, 4", "peak MB of a process"):
        table.add_column(heading, justify="left" if heading == "receiver" else "right")
    for name in (_OURS, _ORTHANC, _STORESCP):
        cells = [rates[name, senders, n]["instances_per_second"] for senders in ("tuned", "default") for n in (1, 4)]
        memory = result["peak_megabytes"][name]  # type: ignore[index]
        table.add_row(name, *[f"{cell:.0f}" for cell in cells], f"{memory:.0f}")
    console.print(table)
    console.print(
        f"{result['receiver_processes']} receiver process(es); {result['fsyncs_per_second']} fsyncs/s of one file"
    )
    for senders, associations in (("tuned", 1), ("tuned", 4), ("default", 1), ("default", 4)):
        pairs = [rates[name, senders, associations]["instances_per_second"] for name in (_OURS, _ORTHANC)]
        console.print(f"{senders} senders, {associations}: {pairs[0] / pairs[1]:.2f} times Orthanc's rate")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--instances", type=int, default=240, help="instances a round and receiver")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--processes", type=int, default=1, help="receiver processes of ours")
    parser.add_argument("--folder", type=Path, help="where to store; name one on the disk that you mean")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="wmh-receiving-", dir=arguments.folder) as folder,
        Progress(console=Console(stderr=True), transient=True, disable=arguments.json) as progress,
    ):
        result = measure(Path(folder), arguments, progress)
    if arguments.json:
        print(json.dumps(result, indent=2))
    else:
        show(result)


if __name__ == "__main__":
    main()
