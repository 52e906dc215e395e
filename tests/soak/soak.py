"""Kills and power cuts by the hundred: `make soak`, or `python tests/soak/soak.py [--kills N] [--seed N] [--json]`.

Not a part of `make test`. A kill is SIGKILL from inside, at a random step of a random kind of work:

| kind       | what has to be true after each kill, and after the work was done again                              |
|------------|-----------------------------------------------------------------------------------------------------|
| receive    | what the sender saw acknowledged is there with its bytes; a resend leaves each instance there once  |
| feedback   | the correction is entered or its series still waits; it is decided once, with one audit line        |
| promotion  | a model is live with its audit line, or neither is there                                            |
| withdrawal | a cancelled job has no delivery that is still to be sent; one that is not cancelled has all of them |

Power cuts replay the recorded order of the receiver's file operations against every disk that it may leave behind
(`support.power_cuts`): nothing acknowledged may depend on what was not flushed.

Prints how many acknowledged things were lost, and how many are there twice; exit 1 when there are any.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import subprocess
import sys
import tempfile
from collections import Counter
from contextlib import closing
from pathlib import Path

_TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(_TESTS), str(_TESTS.parent)]

import pydicom  # noqa: E402
from support.dying_receiver import POINTS  # noqa: E402
from support.mr import encoded, mr_object, mr_series  # noqa: E402
from support.power_cuts import power_may_fail  # noqa: E402
from support.receiver import ReceiverProcess  # noqa: E402

from db.audit import audit_entries  # noqa: E402
from db.deliveries import DeliveryTable  # noqa: E402
from db.engine import open_database  # noqa: E402
from db.engine.migrate import upgrade  # noqa: E402
from db.jobs import JobTable  # noqa: E402
from db.models import ModelTable  # noqa: E402
from db.records import DeliveryState, JobState, NewDelivery, NewModel  # noqa: E402
from dicom_node.deliver.send import send_files  # noqa: E402

_OBJECTS = 5
_PROMOTE = "ModelTable(database).promote(arguments[0], 'soak', None)"
_CANCEL = "JobTable(database).cancel(int(arguments[0]), 'soak')"
# Dies in the middle of a transaction, or right after its commit.
_DYING = """
import os, signal, sys
from contextlib import closing
import db.audit, db.models, db.jobs
from db.engine import open_database
from db.jobs import JobTable
from db.models import ModelTable
url, when, *arguments = sys.argv[1:]
def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)
if when == "inside":
    db.models.record_action = db.jobs.record_action = die
with closing(open_database(url)) as database:
    {work}
    die()
"""


class Soak:
    """Counts kills, and what they cost."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._folder = folder
        self._chance = random.Random(seed)
        self.kills: Counter[str] = Counter()
        self.lost: list[str] = []
        self.doubled: list[str] = []
        self._round = 0

    def one(self) -> None:
        """One kill of a random kind."""
        self._round += 1
        kind = self._chance.choice(["receive", "receive", "promotion", "withdrawal"])
        folder = self._folder / str(self._round)
        folder.mkdir()
        getattr(self, f"_{kind}")(folder)
        self.kills[kind] += 1

    def _receive(self, folder: Path) -> None:
        point, when = self._chance.choice(sorted(POINTS)), self._chance.choice(["before", "after"])
        first = 2 if point == "final name" else 1  # the first start links the installation's own file
        nth = 1 if point == "end of association" else self._chance.randint(first, _OBJECTS)
        files = mr_series(folder / "series", _OBJECTS)
        with ReceiverProcess(folder / "r", dies_at=(point, when, nth)) as receiver:
            acknowledged = [one.path for one in send_files(files, receiver.address) if one.ok]
            receiver.wait_for_death()
            where = f"receive, {when} {point} {nth}"
            self._look(receiver, acknowledged, where)
            receiver.start()
            assert all(one.ok for one in send_files(files, receiver.address)), where
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

    def _promotion(self, folder: Path) -> None:
        url = _database(folder)
        with closing(open_database(url)) as database:
            ModelTable(database).add(NewModel("a" * 64, "model", "1", 1), "soak")
        self._kill(url, _PROMOTE, "a" * 64)
        with closing(open_database(url)) as database:
            live = ModelTable(database).live_digest()
            lines = [one.action for one in audit_entries(database)].count("promote model")
            promotions = len(ModelTable(database).promotions())
        if (live is not None) != (lines == 1) or lines != promotions:
            (self.doubled if lines > 1 or promotions > 1 else self.lost).append(
                f"promotion: {live}, {lines} audit lines"
            )

    def _withdrawal(self, folder: Path) -> None:
        url = _database(folder)
        with closing(open_database(url)) as database:
            jobs = JobTable(database)
            job = jobs.enqueue("1.2.3", "0" * 64, 1)
            jobs.claim("soak", 60)
            jobs.deliver(job.id, "soak", {}, [NewDelivery(name, ["f"]) for name in ("pacs", "archive")])
        self._kill(url, _CANCEL, str(job.id))
        with closing(open_database(url)) as database:
            cancelled = JobTable(database).get(job.id).state is JobState.CANCELLED
            states = {one.state for one in DeliveryTable(database).list(job.id)}
        if states != {DeliveryState.CANCELLED if cancelled else DeliveryState.PENDING}:
            self.lost.append(f"withdrawal: cancelled {cancelled}, deliveries {sorted(map(str, states))}")

    def _kill(self, url: str, work: str, *arguments: str) -> None:
        when = self._chance.choice(["inside", "after"])
        environment = {**os.environ, "PYTHONPATH": str(_TESTS.parent)}
        command = [sys.executable, "-c", _DYING.format(work=work), url, when, *arguments]
        assert subprocess.run(command, env=environment, check=False).returncode == -9, (work, when)


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
        store = Store(folder, inbox)
        made = [mr_object(number) for number in range(objects)]
        for dataset in [*made, *made[: objects // 2]]:  # some are sent again
            sop_class, instance = str(dataset.SOPClassUID), str(dataset.SOPInstanceUID)
            incoming = IncomingObject(unfinished, "soak-", budget, sop_class, instance, syntax)
            incoming.write(encoded(dataset))
            store.keep(incoming.finish(), association)
            (row,) = [one for one in inbox.instances_of(dataset.SeriesInstanceUID) if one.sop_instance_uid == instance]
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
    """A test file as it is: hostile peers, hostile files, kills of feedback; gives its exit status."""
    return subprocess.run([sys.executable, "-m", "pytest", "-q", str(_TESTS / name)], check=False).returncode


def main() -> int:
    """Soak, print, and say by the exit status whether anything was lost or doubled."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20, help="1000 for a release")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only-kills", action="store_true", help="leave out hostile peers and files, and feedback")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="wmh-soak-") as folder:
        soak = Soak(Path(folder), arguments.seed)
        (Path(folder) / "power").mkdir()
        operations, taken = power_cuts(Path(folder) / "power", 8)
        for _ in range(arguments.kills):
            soak.one()
    failed = []
    if not arguments.only_kills:
        files = (
            "faults/test_killed_feedback.py",
            "dicom_node/receive/test_hostile_peers.py",
            "dicom_node/series/read/test_hostile_files.py",
        )
        failed = [name for name in files if _tests(name)]
    result = {
        "kills": dict(soak.kills),
        "lost": soak.lost,
        "doubled": soak.doubled,
        "power_cuts": {"file_operations": operations, "lost": taken},
        "failed": failed,
    }
    if arguments.json:
        print(json.dumps(result, indent=2))
    else:
        print(
            f"{sum(soak.kills.values())} kills ({dict(soak.kills)}): {len(soak.lost)} lost, {len(soak.doubled)} doubled"
        )
        print(f"power cuts at {operations} file operations: {len(taken)} lost")
        for line in (*soak.lost, *soak.doubled, *taken, *(f"{name} failed" for name in failed)):
            print(line)
    return 1 if soak.lost or soak.doubled or taken or failed else 0


if __name__ == "__main__":
    sys.exit(main())
