"""Kills and power cuts by the hundred: `make soak`, or `python tests/soak/soak.py [--kills N] [--tally FILE] [--json]`.

Not a part of `make test`. A kill is SIGKILL at a random step of a random kind of work: of reception (here), or of one
of `soak.kinds`. After it the work is done again, and nothing may be lost or there twice.

| kind    | after each kill                                                       | after it was sent again         |
|---------|-----------------------------------------------------------------------|---------------------------------|
| receive | what the sender saw acknowledged is there with its bytes              | each instance is there once     |

Power cuts: the receiver's file operations are replayed in their recorded order against every disk that they may leave
(`support.power_cuts`); of results, models and withdrawals, each file that a row names must be flushed before the row
counts (`soak.power`).

`--tally FILE` counts on from an earlier run: the kills that are in it are not done again, so that 1,000 can be had in
several sittings. Prints how many acknowledged things were lost, and how many are there twice; exit 1 when there are
any.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

_TESTS = Path(__file__).resolve().parents[1]
# As a program it stands beside modules that it knows as `soak.kinds`.
sys.path[:] = [str(_TESTS), str(_TESTS.parent), *(folder for folder in sys.path if folder != str(_TESTS / "soak"))]

import pydicom  # noqa: E402
import structlog  # noqa: E402
from soak.kinds import KINDS, Kind  # noqa: E402
from soak.power import cuts, kinds_with_files  # noqa: E402
from soak.steps import killed_at, steps_of  # noqa: E402
from support.dying_receiver import POINTS  # noqa: E402
from support.mr import encoded, mr_object, mr_series  # noqa: E402
from support.power_cuts import power_may_fail  # noqa: E402
from support.receiver import ReceiverProcess  # noqa: E402

from db.engine import open_database  # noqa: E402
from db.engine.migrate import upgrade  # noqa: E402
from dicom_node.deliver.send import send_files  # noqa: E402
from dicom_node.node.files import write_whole  # noqa: E402

_OBJECTS = 5


class Soak:
    """Kills, counts, and what they cost.

    Args:
        folder: for everything; what a kill leaves is removed after it was looked at.
        seed: with the number of the kill it decides where that one hits, whatever was done before.
        tally: as `document` gave it in an earlier run; None to begin.
    """

    def __init__(self, folder: Path, seed: int, tally: Mapping[str, Any] | None = None) -> None:
        self._folder = folder
        self._seed = seed
        known = tally or {}
        self.kills: Counter[str] = Counter(known.get("kills", {}))
        self.lost: list[str] = list(known.get("lost", []))
        self.doubled: list[str] = list(known.get("doubled", []))
        self._kinds: dict[type[Kind], tuple[Kind, int]] = {}

    @property
    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {"seed": self._seed, "kills": dict(self.kills), "lost": self.lost, "doubled": self.doubled}

    def one(self) -> None:
        """One kill of a random kind."""
        number = self.kills.total() + 1
        chance = random.Random(f"{self._seed}/{number}")
        folder = self._folder / str(number)
        kind = chance.choice([None, *KINDS])
        if kind is None:
            folder.mkdir()
            self._receive(folder, chance)
        else:
            self._kill(kind, folder, chance)
        self.kills["receive" if kind is None else kind.name] += 1
        shutil.rmtree(folder)

    def _kill(self, which: type[Kind], folder: Path, chance: random.Random) -> None:
        if which not in self._kinds:
            made = which(self._folder / which.name)
            made.copy(self._folder / f"{which.name}-once")
            steps = steps_of(lambda: made.work(self._folder / f"{which.name}-once"))
            self._kinds[which] = made, steps
        kind, steps = self._kinds[which]
        kind.copy(folder)
        step = chance.randint(1, steps)
        while not killed_at(lambda: kind.work(folder), step):  # it ended before: no kill, and none is counted
            shutil.rmtree(folder)
            kind.copy(folder)
            step -= 1
        where = f"{kind.name}, step {step} of {steps}"
        self.lost += [f"{where}: {what}" for what in kind.after_kill(folder)]
        steps_of(lambda: kind.work(folder))
        self.doubled += [f"{where}, done again: {what}" for what in kind.at_the_end(folder)]

    def _receive(self, folder: Path, chance: random.Random) -> None:
        point, when = chance.choice(sorted(POINTS)), chance.choice(["before", "after"])
        first = 2 if point == "final name" else 1  # the first start links the installation's own file
        nth = 1 if point == "end of association" else chance.randint(first, _OBJECTS)
        files = mr_series(folder / "series", _OBJECTS)
        with ReceiverProcess(folder / "r", dies_at=(point, when, nth)) as receiver:
            acknowledged = [outcome.path for outcome in send_files(files, receiver.address) if outcome.ok]
            receiver.wait_for_death()
            where = f"receive, {when} {point} {nth}"
            self._look(receiver, acknowledged, where)
            receiver.start()
            assert all(outcome.ok for outcome in send_files(files, receiver.address)), where
            self._look(receiver, files, where)

    def _look(self, receiver: ReceiverProcess, there: list[Path], where: str) -> None:
        heads = {path: pydicom.dcmread(path, stop_before_pixels=True) for path in there}
        if not heads:
            return
        rows = receiver.rows(next(iter(heads.values())).SeriesInstanceUID)
        found = Counter(row.sop_instance_uid for row in rows)
        stored = {row.sop_instance_uid: row for row in rows}
        for head in heads.values():
            uid = str(head.SOPInstanceUID)
            if uid not in stored or not _is_whole(receiver.settings.storage / stored[uid].path, stored[uid].sha256):
                self.lost.append(f"{where}: {uid}")
        self.doubled += [f"{where}: {uid}" for uid, times in found.items() if times > 1]


def power_cuts(folder: Path, objects: int) -> tuple[int, list[str]]:
    """Store objects while every file operation is recorded: (operations, what a power cut could have taken)."""
    from db.inbox import Inbox
    from dicom_node.node.dicom_uids import TRANSFER_SYNTAXES
    from dicom_node.receive.incoming import DiskBudget, IncomingObject
    from dicom_node.receive.store import Store

    url = _database(folder)
    unfinished = folder / "inbox" / "tmp"
    unfinished.mkdir(parents=True)
    budget = DiskBudget(unfinished, 2**30, 0)
    syntax = TRANSFER_SYNTAXES["1.2.840.10008.1.2.1"]
    acknowledged: dict[str, bytes] = {}
    lost: list[str] = []
    with closing(open_database(url)) as database, power_may_fail(str(folder / "inbox")) as disk:
        inbox = Inbox(database)
        association = inbox.open_association("SCANNER", "WMHNODE", "127.0.0.1", "soak")
        store = Store(folder, inbox, "soak-")
        made = [mr_object(number) for number in range(objects)]
        for dataset in [*made, *made[: objects // 2]]:  # some are sent again
            sop_class, instance = str(dataset.SOPClassUID), str(dataset.SOPInstanceUID)
            incoming = IncomingObject(unfinished, "soak-", budget, sop_class, instance, syntax)
            incoming.write(encoded(dataset))
            store.keep(incoming.finish(), association)
            (row,) = [
                instance_row
                for instance_row in inbox.instances_of(dataset.SeriesInstanceUID)
                if instance_row.sop_instance_uid == instance
            ]
            acknowledged[row.path] = (folder / row.path).read_bytes()
            lost += [path for path, content in acknowledged.items() if disk.lost(str(folder / path), content)]
    return disk.operations, lost


def _database(folder: Path) -> str:
    url = f"sqlite:///{folder / 'node.sqlite'}"
    upgrade(url)
    return url


def _is_whole(path: Path, sha256: str) -> bool:
    return path.exists() and hashlib.sha256(path.read_bytes()).hexdigest() == sha256


def _tests(name: str) -> int:
    """A test file as it is: hostile peers or files; gives its exit status."""
    return subprocess.run([sys.executable, "-m", "pytest", "-q", str(_TESTS / name)], check=False).returncode


def main() -> int:
    """Soak, print, and say by the exit status whether anything was lost or doubled."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20, help="so many in all, those of the tally included")
    parser.add_argument("--seconds", type=float, help="end after so long, whatever is left; with --tally")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--tally", type=Path, help="JSON file to count on from, and to write after each kill")
    parser.add_argument("--only-kills", action="store_true", help="leave out hostile peers and files")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    logging.getLogger().setLevel(logging.ERROR)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    with tempfile.TemporaryDirectory(prefix="wmh-soak-") as folder:
        taken = _power_cuts(Path(folder))
        soak = _killed(Path(folder), arguments)
    files = ("dicom_node/receive/test_hostile_peers.py", "dicom_node/series/read/test_hostile_files.py")
    failed = [] if arguments.only_kills else [name for name in files if _tests(name)]
    _print({**soak.document, "power_cuts": taken, "failed": failed}, as_json=arguments.json)
    lost_by_power = any(cut["lost"] for cut in taken.values())
    return 1 if soak.lost or soak.doubled or lost_by_power or failed else 0


def _power_cuts(folder: Path) -> dict[str, dict[str, Any]]:
    """Kind -> how many operations were recorded, and what a power cut could have taken."""
    (folder / "power").mkdir()
    operations, lost = power_cuts(folder / "power", 8)
    taken: dict[str, dict[str, Any]] = {"receive": {"operations": operations, "lost": lost}}
    for which in kinds_with_files():
        flushes, lost = cuts(which(folder / f"power-of-{which.name}"), folder / f"power-{which.name}")
        taken[which.name] = {"operations": flushes, "lost": lost}
    return taken


def _killed(folder: Path, arguments: argparse.Namespace) -> Soak:
    tally: Path | None = arguments.tally
    known = json.loads(tally.read_text()) if tally is not None and tally.exists() else None
    soak = Soak(folder, arguments.seed if known is None else known["seed"], known)
    began = time.monotonic()
    while soak.kills.total() < arguments.kills:
        if arguments.seconds is not None and time.monotonic() - began > arguments.seconds:
            break
        soak.one()
        if tally is not None:
            tally.parent.mkdir(parents=True, exist_ok=True)
            write_whole(tally, json.dumps(soak.document, indent=1).encode())
    return soak


def _print(result: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(result, indent=2))
        return
    total = sum(result["kills"].values())
    print(f"{total} kills ({result['kills']}): {len(result['lost'])} lost, {len(result['doubled'])} doubled")
    for name, cut in result["power_cuts"].items():
        print(f"power cuts, {name}: {cut['operations']} operations recorded, {len(cut['lost'])} lost")
    taken = [f"power cut, {name}: {what}" for name, cut in result["power_cuts"].items() for what in cut["lost"]]
    for line in (*result["lost"], *result["doubled"], *taken, *(f"{name} failed" for name in result["failed"])):
        print(line)


if __name__ == "__main__":
    sys.exit(main())
