"""Does the page slow the receiver? Four senders at once, without and with people who look at the page.

    python tests/benchmarks/page_load.py [--viewers 50] [--instances N] [--rounds N] [--folder DIR] [--json]

Each viewer is logged in, keeps the event stream open and, as the page's own script does, fetches its page again within
two seconds of each change: the start page, the jobs, or the series. Receiver and page are two processes as `serve`
starts them, the page niced. The viewers' own processor time, which a hospital's desks would give, is niced lowest.
Rounds without and with viewers take turns; the medians count. Wanted: a receive rate within 5 %.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

sys.path[:0] = [str(Path(__file__).resolve().parent), *map(str, Path(__file__).resolve().parents[1:3])]

import httpx2  # noqa: E402
from receiving import Instances, Running, our_receiver, send  # noqa: E402
from support.processes import free_port, listens, until  # noqa: E402

from db.accounts import AccountTable  # noqa: E402
from db.engine import open_database  # noqa: E402
from db.records import AccountRole  # noqa: E402
from dicom_node.web.people.passwords import hash_password  # noqa: E402

_NAME, _PASSWORD = "viewer", "correct horse battery"
_SENDERS: Final = 4
_PAGES: Final = ("/", "/jobs", "/series")
_PROGRAM: Final = Path(sys.executable).with_name("wmh-node")


@contextmanager
def page(folder: Path) -> Iterator[tuple[str, int]]:
    """`wmh-node web` beside the receiver of a folder, as its supervisor would start it; its address and process."""
    url, port = f"sqlite:///{folder / 'node.sqlite'}", free_port()
    database = open_database(url)
    AccountTable(database).add(_NAME, hash_password(_PASSWORD), AccountRole.VIEWER, "benchmark")
    database.close()
    settings = {"DATABASE_URL": url, "STORAGE": str(folder), "WEB_PORT": str(port), "SUPERVISED": "1"}
    environment = os.environ | {f"WMH_NODE_{name}": value for name, value in settings.items()}
    with (folder / "web.log").open("ab") as log:
        process = subprocess.Popen(
            [_PROGRAM, "web"], env=environment, stdin=subprocess.PIPE, stdout=log, stderr=log, cwd=folder
        )
    try:
        until(lambda: listens(port), "the page listening", 60)
        yield f"http://127.0.0.1:{port}", process.pid
    finally:
        process.terminate()
        process.wait(30)


class Viewers:
    """People in front of the page, in a process of their own."""

    def __init__(self, address: str, count: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, other = context.Pipe()
        self._process = context.Process(target=_look_on_command, args=(address, count, other), daemon=True)
        self._process.start()
        assert self._pipe.recv() == "logged in"

    def start(self) -> None:
        """Open all streams; returns when they are open."""
        self._pipe.send("start")
        assert self._pipe.recv() == "open"

    def stop(self) -> list[float]:
        """Close them; gives the seconds that each fetched page took."""
        self._pipe.send("stop")
        return list(self._pipe.recv())

    def close(self) -> None:
        """End the process."""
        self._pipe.send("end")
        self._process.join(20)


def _look_on_command(address: str, count: int, pipe: Connection) -> None:
    os.nice(19)
    asyncio.run(_looking(address, count, pipe))


async def _looking(address: str, count: int, pipe: Connection) -> None:
    limits = httpx2.Limits(max_connections=2 * count + 10)
    async with httpx2.AsyncClient(base_url=address, limits=limits, timeout=60) as client:
        cookies = [await _logged_in(client) for _ in range(count)]
        pipe.send("logged in")
        while (await asyncio.to_thread(pipe.recv)) == "start":
            seconds: list[float] = []
            opened = [asyncio.Event() for _ in cookies]
            tasks = [
                asyncio.create_task(_viewer(client, cookie, _PAGES[number % len(_PAGES)], opened[number], seconds))
                for number, cookie in enumerate(cookies)
            ]
            await asyncio.gather(*(event.wait() for event in opened))
            pipe.send("open")
            await asyncio.to_thread(pipe.recv)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            pipe.send(seconds)


async def _logged_in(client: httpx2.AsyncClient) -> str:
    client.cookies.clear()
    answer = await client.post("/login", data={"name": _NAME, "password": _PASSWORD})
    assert answer.status_code == 303, answer.text
    cookie = answer.headers["set-cookie"].split(";")[0]
    client.cookies.clear()
    return str(cookie)


async def _viewer(
    client: httpx2.AsyncClient, cookie: str, path: str, opened: asyncio.Event, seconds: list[float]
) -> None:
    """Follow one page as page.js does."""
    headers = {"Cookie": cookie}
    fetching: asyncio.Task[None] | None = None
    async with client.stream("GET", "/events", headers=headers) as events:
        assert events.status_code == 200
        opened.set()
        try:
            async for line in events.aiter_lines():
                if line == "event: changed" and (fetching is None or fetching.done()):
                    fetching = asyncio.create_task(_fetch(client, path, headers, seconds))
        finally:
            if fetching is not None:
                fetching.cancel()
                with suppress(asyncio.CancelledError):
                    await fetching


async def _fetch(client: httpx2.AsyncClient, path: str, headers: dict[str, str], seconds: list[float]) -> None:
    await asyncio.sleep(random.uniform(0.8, 2.0))
    began = time.perf_counter()
    answer = await client.get(path, headers=headers | {"HX-Request": "true"})
    assert answer.status_code == 200, answer.status_code
    seconds.append(time.perf_counter() - began)


def _seconds_of(pid: int) -> float:
    """Processor time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Rates without and with viewers."""
    instances, rates, fetched = Instances(folder), {False: [], True: []}, []  # type: ignore[var-annotated]
    processor = 0.0
    with our_receiver(folder / "node", 1) as receiver, page(folder / "node") as (address, pid):
        viewers = Viewers(address, arguments.viewers)
        _round(receiver, instances, arguments.instances)  # the first one warms up
        for _ in range(arguments.rounds):
            rates[False].append(_round(receiver, instances, arguments.instances))
            viewers.start()
            before = _seconds_of(pid)
            rates[True].append(_round(receiver, instances, arguments.instances))
            processor += _seconds_of(pid) - before
            fetched += viewers.stop()
        viewers.close()
    alone, watched = (statistics.median(rates[looking]) for looking in (False, True))
    return {
        "viewers": arguments.viewers, "senders": _SENDERS, "instances_a_round": arguments.instances,
        "instances_per_second": {"without": [*map(round, rates[False])], "with": [*map(round, rates[True])]},
        "ratio": round(watched / alone, 3), "pages_fetched": len(fetched),
        "page_seconds_median": round(statistics.median(fetched), 3) if fetched else None,
        "page_processor_seconds": round(processor, 2),
    }  # fmt: skip


def _round(receiver: Running, instances: Instances, count: int) -> float:
    folders = [instances.series(count // _SENDERS) for _ in range(_SENDERS)]
    seconds = send(receiver, folders, nodelay=True)
    for folder in folders:
        shutil.rmtree(folder)
    return count // _SENDERS * _SENDERS / seconds


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--viewers", type=int, default=50)
    parser.add_argument("--instances", type=int, default=4000, help="instances a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where to store; name one on the disk that you mean")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="wmh-page-load-", dir=arguments.folder) as folder:
        result = measure(Path(folder), arguments)
    if arguments.json:
        print(json.dumps(result, indent=2))
        return
    print(f"{result['viewers']} viewers, {result['senders']} senders; instances/s by round:")
    for name, values in result["instances_per_second"].items():
        print(f"  {name} viewers: {' '.join(map(str, values))}")
    print(f"ratio {result['ratio']} (wanted: 0.95 or more)")
    print(f"{result['pages_fetched']} pages fetched, median {result['page_seconds_median']} s each")
    print(f"the page's process took {result['page_processor_seconds']} s of processor in the watched rounds")


if __name__ == "__main__":
    main()
