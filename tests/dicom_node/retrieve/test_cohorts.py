"""Cohorts from real archives: Orthanc and dcmqrscp send to the real receiver, whose rows alone are believed."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pydicom
import pytest
from pydicom.uid import generate_uid
from sqlalchemy import select
from support.clock import ManualClock
from support.data import REPOSITORY
from support.databases import sqlite_url, with_schema
from support.dcmtk import PACS_AE_TITLE, dcmqrscp, storescu
from support.mr import mr_object, write_object
from support.orthanc import AE_TITLE as ORTHANC_AE_TITLE
from support.orthanc import orthanc
from support.processes import free_port, until
from support.receiver import ReceiverProcess
from typer.testing import CliRunner

from db import schema
from db.cohorts import CohortRules, CohortState, CohortTable, ItemState, NewItem, Way
from db.engine import Database, open_database
from db.errors import DatabaseUnavailable, IllegalTransition, LeaseLost
from db.jobs import JobTable
from db.withdrawals import WithdrawalTable
from dicom_node.cli.main import build_app
from dicom_node.deliver.send.association import Call, Timeouts
from dicom_node.node.destinations import Destination
from dicom_node.node.errors import ConfigurationError, DeliveryError
from dicom_node.node.small_data_set import decode, text_of
from dicom_node.retrieve.archive import Archive, final_status
from dicom_node.retrieve.arrivals import ArchiveDown
from dicom_node.retrieve.retriever import Retriever
from dicom_node.retrieve.study_list import read_studies


def studies_of(folder: Path, count: int, series: int = 2, images: int = 3) -> dict[str, list[Path]]:
    """Files of so many studies, by accession number."""
    folder.mkdir(parents=True)
    found: dict[str, list[Path]] = {}
    for number in range(count):
        study, accession = generate_uid(), f"ACC{number}"
        for _ in range(series):
            uid = generate_uid()
            for image in range(1, images + 1):
                one = mr_object(
                    image, series=uid, StudyInstanceUID=study, AccessionNumber=accession, StudyDate="20240501"
                )
                one.StudyTime, one.StudyID, one.SeriesNumber = "120000", "1", 1
                path = folder / f"{one.SOPInstanceUID}.dcm"
                found.setdefault(accession, []).append(write_object(one, path))
    return found


def study_uid(files: list[Path]) -> str:
    return str(pydicom.dcmread(files[0], stop_before_pixels=True).StudyInstanceUID)


@contextmanager
def archive_with(kind: str, folder: Path, files: list[Path], receiver_port: int) -> Iterator[Destination]:
    """A PACS that holds these files and knows our receiver."""
    port = free_port()
    if kind == "orthanc":
        title, running = ORTHANC_AE_TITLE, orthanc(
            folder / "orthanc", {"wmhnode": ("WMHNODE", receiver_port)}, dicom_port=port
        )  # fmt: skip
    else:
        title, running = PACS_AE_TITLE, dcmqrscp(folder / "pacs", port, free_port(), {"WMHNODE": receiver_port})
    with running:
        storescu(files, title, port)
        yield Destination(name="pacs", ae_title=title, host="127.0.0.1", port=port)


def retriever_of(database: Database, pacs: Destination, **options: Any) -> Retriever:
    archive = Archive(Call(pacs, "WMHNODE", Timeouts(), None), silence_seconds=60)
    return Retriever("test", CohortTable(database), {("pacs", Way.MOVE): archive}, 60, **options)


def fetch_all(retriever: Retriever) -> None:
    while retriever.fetch_once():
        pass


BY_BOTH_ARCHIVES = pytest.mark.parametrize(
    "kind",
    [
        pytest.param("orthanc", marks=pytest.mark.peer("Orthanc")),
        pytest.param("dcmqrscp", marks=pytest.mark.peer("dcmqrscp")),
    ],
)


@BY_BOTH_ARCHIVES
@pytest.mark.peer("storescu")
@pytest.mark.slow
def test_a_list_from_an_archive(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By command: studies of a CSV, by UID and by accession number, arrive whole; a study that the archive lacks says
    so and holds nothing up; what is here already is not asked for again; the export has every row."""
    studies = studies_of(tmp_path / "source", 2)
    first, second = studies["ACC0"], studies["ACC1"]
    (tmp_path / "list.csv").write_text(
        f"Patient no;StudyInstanceUID;Accession Number\na;1.2.3.4;\nb;{study_uid(first)};\nc;;ACC1\n"
    )
    with (
        ReceiverProcess(tmp_path / "node") as receiver,
        archive_with(kind, tmp_path, [*first, *second], receiver.port) as pacs,
        closing(open_database(receiver.settings.database_url)) as database,
    ):
        monkeypatch.setenv("WMH_NODE_STORAGE", str(receiver.settings.storage))
        monkeypatch.setenv("WMH_NODE_DATABASE_URL", receiver.settings.database_url)
        monkeypatch.setenv("WMH_NODE_DESTINATIONS", str(pacs))

        def run(*words: str) -> str:
            done = CliRunner().invoke(build_app("cohort"), ["cohort", *words])
            assert done.exit_code == 0, done.output
            return done.stdout

        run("add", str(tmp_path / "list.csv"), "--from", "pacs", "--move", "--by", "alice")
        retriever, table = retriever_of(database, pacs), CohortTable(database)
        fetch_all(retriever)
        states = [(item.line, str(item.state)) for item in table.items("list")]
        assert states == [(2, "waiting"), (3, "done"), (4, "done")]
        wanted = {pydicom.dcmread(file).SOPInstanceUID for file in (*first, *second)}
        assert table.held(wanted) == wanted
        (shown,) = json.loads(run("list", "--json"))
        assert (shown["waiting"], shown["done"], shown["failed"]) == (1, 2, 0)
        assert "row 2: waiting, attempt 1: the archive lists no MR images of the study" in run("show", "list")

        found = json.loads(run("add", "--query", "StudyDate=20240501", "--from", "pacs", "--name", "again", "--json"))
        assert found[0]["waiting"] == 2
        moved: list[str] = []
        monkeypatch.setattr(
            Archive, "send_here", lambda _self, _study, series, _names, **_whole: moved.append(series) or ""
        )
        fetch_all(retriever)
        assert [str(item.state) for item in table.items("again")] == ["done", "done"]
        assert moved == []
        run("export", "list", "--out", str(tmp_path / "out.csv"))
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["Patient no"], row["cohort_state"], row["instances_expected"]) for row in rows] == [
        ("a", "waiting", ""), ("b", "done", "6"), ("c", "done", "6"),
    ]  # fmt: skip
    assert rows[2]["study_instance_uid"] == study_uid(second)


@pytest.mark.peer("dcmqrscp")
@pytest.mark.peer("storescu")
@pytest.mark.slow
def test_killed_in_the_middle(tmp_path: Path) -> None:
    """A retriever that is killed between two series loses nothing: the next one fetches what is missing, and asks for
    no series a second time."""
    (files,) = studies_of(tmp_path / "source", 1, series=3).values()
    with (
        ReceiverProcess(tmp_path / "node") as receiver,
        archive_with("dcmqrscp", tmp_path, files, receiver.port) as pacs,
        closing(open_database(receiver.settings.database_url)) as database,
    ):
        table = CohortTable(database)
        table.add("one", "pacs", CohortRules(), [NewItem(1, {}, study_uid(files), None)], "test")
        program = [
            sys.executable, str(REPOSITORY / "tests" / "support" / "dying_retriever.py"),
            receiver.settings.database_url, str(receiver.settings.storage), str(pacs), "move", "2", "series",
        ]  # fmt: skip
        died = subprocess.run(program, cwd=REPOSITORY, env={**receiver.environment, "PYTHONPATH": str(REPOSITORY)},
                              capture_output=True, timeout=240, check=False)  # fmt: skip
        assert died.returncode == -signal.SIGKILL, died.stderr.decode()
        (item,) = table.items("one")
        assert (item.state, item.attempts) == (ItemState.WAITING, 1)
        assert sum(map(len, (item.expected or {}).values())) == len(files)
        asked: list[str] = []

        class Counting(Archive):
            def send_here(self, study: str, series: str, instances: Sequence[str], *, whole: bool) -> str:
                asked.append(series)
                return super().send_here(study, series, instances, whole=whole)

        archive = Counting(Call(pacs, "WMHNODE", Timeouts(), None))
        retriever = Retriever("next", table, {("pacs", Way.MOVE): archive}, 60)
        until(retriever.fetch_once, "the lease of the dead one to end", 30)
        (item,) = table.items("one")
        assert item.state is ItemState.DONE, item.reason
        assert len(asked) == 1
        wanted = {pydicom.dcmread(file).SOPInstanceUID for file in files}
        assert table.held(wanted) == wanted


@pytest.mark.peer("Orthanc")
@pytest.mark.peer("storescu")
@pytest.mark.slow
def test_success_is_not_believed(tmp_path: Path) -> None:
    """What an archive cannot send is missed, whatever it reports; one that is down costs no attempt, and is left alone
    for a while."""
    (files,) = studies_of(tmp_path / "source", 1).values()
    now = [0.0]
    with (
        ReceiverProcess(tmp_path / "node") as receiver,
        closing(open_database(receiver.settings.database_url)) as database,
    ):
        table = CohortTable(database)
        table.add("one", "pacs", CohortRules(), [NewItem(1, {}, study_uid(files), None)], "test")
        down = Destination(name="pacs", ae_title="DOWN", host="127.0.0.1", port=free_port())
        retriever = retriever_of(database, down, still=lambda: now[0])
        assert retriever.fetch_once()
        assert not retriever.fetch_once()
        (item,) = table.items("one")
        assert (item.attempts, item.state) == (0, ItemState.WAITING)
        assert "connection refused" in (item.reason or "")
        with orthanc(tmp_path / "orthanc", {"wmhnode": ("WMHNODE", free_port())}) as peer:
            storescu(files, ORTHANC_AE_TITLE, peer.dicom_port)
            lost = Destination(name="pacs", ae_title=ORTHANC_AE_TITLE, host="127.0.0.1", port=peer.dicom_port)
            assert retriever_of(database, lost).fetch_once()
            (item,) = table.items("one")
            assert (item.attempts, item.state) == (1, ItemState.WAITING)
            assert f"{len(files)} of {len(files)} instances have not arrived" in (item.reason or "")


class FakeArchive:
    """An archive whose studies never arrive."""

    def __init__(self, said: str = "") -> None:
        self.said = said

    def study_of(self, accession_number: str) -> str:
        return f"1.{len(accession_number)}"

    def instances_of(self, study_uid: str) -> dict[str, list[str]]:
        return {f"{study_uid}.1": [f"{study_uid}.1.1"]}

    def send_here(self, study_uid: str, series_uid: str, instances: Sequence[str], *, whole: bool) -> str:
        return self.said


@pytest.fixture
def place(tmp_path: Path) -> Iterator[tuple[Database, ManualClock]]:
    clock = ManualClock()
    url = sqlite_url(tmp_path)
    with_schema(url)
    with closing(open_database(url, clock)) as database:
        yield database, clock


def cohort_of(table: CohortTable, count: int, name: str = "c", source: str = "pacs", **rules: int) -> None:
    table.add(name, source, CohortRules(**rules), [NewItem(n, {}, f"1.2.{n}", None) for n in range(count)], "test")


def test_dead_studies_end_and_stop_nothing(place: tuple[Database, ManualClock]) -> None:
    """Five attempts with growing waits, then failed with the reason; the other studies have their turn between; failed
    ones go again when a person says so."""
    database, clock = place
    table = CohortTable(database)
    cohort_of(table, 3)
    retriever = Retriever("r", table, {("pacs", Way.MOVE): FakeArchive()}, 60)
    fetch_all(retriever)
    assert [item.attempts for item in table.items("c")] == [1, 1, 1]
    for _ in range(6):
        clock.pass_seconds(3600)
        fetch_all(retriever)
    failed = table.items("c")
    assert {item.state for item in failed} == {ItemState.FAILED}
    assert failed[0].reason == ("tried 5 times: 1 of 1 instances have not arrived: the archive reported success")
    assert table.try_again("c", "alice") == 3
    assert retriever.fetch_once()


def test_a_study_that_ends_its_process_is_given_up(place: tuple[Database, ManualClock]) -> None:
    """Attempts that end with their process count: after five the study fails with that reason, and the next has its
    turn."""
    database, clock = place
    table = CohortTable(database)
    cohort_of(table, 2)
    for _ in range(5):
        taken = table.claim("killed", 60, 12)
        assert taken is not None and taken.line == 0
        clock.pass_seconds(61)
    retriever = Retriever("r", table, {("pacs", Way.MOVE): FakeArchive()}, 60)
    assert retriever.fetch_once()
    first, second = table.items("c")
    assert (first.state, second.attempts) == (ItemState.FAILED, 0)
    assert "tried 5 times: the last attempt ended with its process" in (first.reason or "")
    assert retriever.fetch_once()
    assert table.items("c")[1].attempts == 1


class Endless:
    """An association on which pending responses never end."""

    is_open = True

    def next_message(self, _seconds: float | None, _sink: object = None) -> Any:
        command = SimpleNamespace(is_response=True, message_id=1, status=0xFF00)
        return SimpleNamespace(command=command, data=b"")

    def abort(self) -> None:
        self.is_open = False


def test_pending_for_ever_is_cut_off() -> None:
    """An archive that says "pending" again and again holds up the others for half an hour, not for ever."""
    now = count(0.0, 600.0)
    peer = Destination(name="pacs", ae_title="PACS", host="127.0.0.1", port=104)
    archive = Archive(Call(peer, "WMHNODE", Timeouts(), None), still=lambda: next(now))
    association = Endless()
    with pytest.raises(DeliveryError, match="did not end C-MOVE in 1800 s"):
        list(archive.answers(association, 1, "C-MOVE"))  # type: ignore[arg-type]
    assert not association.is_open


class WithoutDatabase(FakeArchive):
    """While it is asked, the database goes away for a moment."""

    def send_here(self, study_uid: str, series_uid: str, instances: Sequence[str], *, whole: bool) -> str:
        raise DatabaseUnavailable("away")


def test_a_database_that_is_away_is_no_studys_trouble(place: tuple[Database, ManualClock]) -> None:
    """The role waits for it, and no study ends with a reason that is not its own."""
    database, _clock = place
    table = CohortTable(database)
    cohort_of(table, 1)
    with pytest.raises(DatabaseUnavailable):
        Retriever("r", table, {("pacs", Way.MOVE): WithoutDatabase()}, 60).fetch_once()
    (item,) = table.items("c")
    assert (item.state, item.reason) == (ItemState.WAITING, None)


def test_live_work_comes_first(place: tuple[Database, ManualClock]) -> None:
    """While a job is queued nothing is fetched, and then again."""
    database, _clock = place
    table, jobs = CohortTable(database), JobTable(database)
    cohort_of(table, 2)
    jobs.enqueue("9.9", "0" * 64, 1)
    retriever = Retriever("r", table, {("pacs", Way.MOVE): FakeArchive()}, 60)
    assert not retriever.fetch_once()
    assert jobs.claim("worker", 60) is not None
    assert retriever.fetch_once()


def test_one_study_at_a_time_of_one_archive(place: tuple[Database, ManualClock]) -> None:
    """A second retriever gets nothing of a busy archive, and something of another; an expired lease frees it."""
    database, clock = place
    table = CohortTable(database)
    cohort_of(table, 2, "a")
    cohort_of(table, 2, "b")
    cohort_of(table, 2, "elsewhere", "other")
    first = table.claim("one", 60, 12)
    assert first is not None and first.source == "pacs"
    other = table.claim("two", 60, 12)
    assert other is not None and other.source == "other"
    assert table.claim("three", 60, 12) is None
    clock.pass_seconds(61)
    assert table.claim("three", 60, 12, take_over=False) is None
    again = table.claim("three", 60, 12)
    assert again is not None and again.id == first.id
    with pytest.raises(LeaseLost):
        table.end(first.id, "one", ItemState.DONE)


def test_rules_of_the_hospital(place: tuple[Database, ManualClock]) -> None:
    """Night hours over midnight, a number an hour, and a pause hold; a name is taken once."""
    database, clock = place
    table = CohortTable(database)
    cohort_of(table, 3, per_hour=2, from_hour=20, until_hour=6)
    hour = [12]
    retriever = Retriever("r", table, {("pacs", Way.MOVE): FakeArchive()}, 60, local_hour=lambda: hour[0])
    assert not retriever.fetch_once()
    hour[0] = 23
    fetch_all(retriever)
    assert sorted(item.attempts for item in table.items("c")) == [0, 1, 1]
    clock.pass_seconds(3601)
    table.set_state("c", CohortState.PAUSED, "alice")
    assert not retriever.fetch_once()
    table.set_state("c", CohortState.ACTIVE, "alice")
    hour[0] = 5
    assert retriever.fetch_once()
    with pytest.raises(IllegalTransition, match="choose another --name"):
        cohort_of(table, 1)
    assert [CohortRules(None, 8, 18).allow_hour(one) for one in (7, 8, 17, 18)] == [False, True, True, False]


class Answering:
    """An association on which the archive gives one final answer."""

    is_open = True

    def __init__(self, status: int) -> None:
        self._status = status

    def __enter__(self) -> Answering:
        return self

    def __exit__(self, *_about: object) -> None:
        pass

    def request(self, *_about: object) -> int:
        return 1

    def next_message(self, _seconds: float | None, _sink: object = None) -> Any:
        command = SimpleNamespace(is_response=True, message_id=1, status=self._status)
        return SimpleNamespace(command=command, data=b"")


def test_an_archive_that_does_not_know_us(monkeypatch: pytest.MonkeyPatch) -> None:
    """Move destination unknown (0xA801) is true of every study: none is to blame; other failures are the study's."""
    peer = Destination(name="pacs", ae_title="PACS", host="127.0.0.1", port=104)
    archive = Archive(Call(peer, "WMHNODE", Timeouts(), None))
    monkeypatch.setattr(archive, "_asking", lambda _class: Answering(0xA801))
    with pytest.raises(ArchiveDown, match="add AE title, address and port"):
        archive.send_here("1.2", "1.2.3", ["1.2.3.4"], whole=True)
    monkeypatch.setattr(archive, "_asking", lambda _class: Answering(0xA702))
    assert "0xA702" in archive.send_here("1.2", "1.2.3", ["1.2.3.4"], whole=True)


@BY_BOTH_ARCHIVES
@pytest.mark.peer("storescu")
@pytest.mark.slow
def test_a_series_that_is_here_in_part(kind: str, tmp_path: Path) -> None:
    """Of a series of which some instances are here the archive sends the others alone, by C-MOVE."""
    (files,) = studies_of(tmp_path / "source", 1, images=4).values()
    with (
        ReceiverProcess(tmp_path / "node") as receiver,
        archive_with(kind, tmp_path, files, receiver.port) as pacs,
        closing(open_database(receiver.settings.database_url)) as database,
    ):
        storescu([files[0], files[2]], "WMHNODE", receiver.port)
        table = CohortTable(database)
        table.add("one", "pacs", CohortRules(), [NewItem(1, {}, study_uid(files), None)], "test")
        assert retriever_of(database, pacs).fetch_once()
        (item,) = table.items("one")
        assert item.state is ItemState.DONE, item.reason
        with database.read() as connection:
            rows = connection.execute(select(schema.series.c.instance_count, schema.series.c.duplicate_count)).all()
        assert sorted(map(tuple, rows)) == [(4, 0), (4, 0)]


@pytest.mark.parametrize(
    ("ends", "levels", "status"),
    [
        ([(0x0000, 100), (0x0000, 20)], ["IMAGE", "IMAGE"], 0x0000),
        ([(0x0000, 100), (0xB000, 0)], ["IMAGE", "IMAGE"], 0xB000),  # it lacks some: the whole series would, too
        ([(0xA702, 0), (0x0000, 20)], ["IMAGE", "IMAGE"], 0xA702),
        ([(0xA900, 0), (0x0000, 120)], ["IMAGE", "SERIES"], 0x0000),  # the level is unknown there
        ([(0x0000, 0), (0x0000, 120)], ["IMAGE", "SERIES"], 0x0000),  # a list matches nothing there
        ([(0x0000, 100), (0xC000, 0), (0x0000, 120)], ["IMAGE", "IMAGE", "SERIES"], 0x0000),
    ],
)
def test_the_series_is_asked_for_where_names_are_not_enough(
    ends: list[tuple[int, int]], levels: list[str], status: int
) -> None:
    """Missing instances are named, 100 in a request; the whole series follows only where the archive did not try."""
    names, answers, asked = [f"1.2.{number}" for number in range(120)], iter(ends), []

    def retrieve(identifier: bytes) -> Any:
        asked.append(decode(identifier, explicit_vr=False))
        end = next(answers)
        return SimpleNamespace(status=end[0], completed=end[1])

    assert final_status(retrieve, "1.1", "1.1.1", names) == status  # type: ignore[arg-type]
    assert [text_of(one, 0x00080052) for one in asked] == levels
    named = [text_of(one, 0x00080018).split("\\") for one in asked if 0x00080018 in one]
    assert named == [names[:100], names[100:]][: len(named)]


def test_an_archive_that_left_the_settings(place: tuple[Database, ManualClock]) -> None:
    """It costs no attempt, and the item says what is missing."""
    database, _clock = place
    table = CohortTable(database)
    cohort_of(table, 1)
    Retriever("r", table, {}, 60).fetch_once()
    (item,) = table.items("c")
    assert (item.attempts, item.state) == (0, ItemState.WAITING)
    assert "no longer in the settings" in (item.reason or "")


def test_export_of_withdrawn_results(
    place: tuple[Database, ManualClock], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Results that were withdrawn have the reason and no number; a column of the list with the name of an added one
    keeps its values."""
    database, _clock = place
    table, jobs = CohortTable(database), JobTable(database)
    given = {"study_instance_uid": "1.2", "job": "mine"}
    table.add("c", "pacs", CohortRules(), [NewItem(2, given, "1.2", None)], "test")
    item = table.claim("r", 60, 12)
    assert item is not None
    table.expects(item.id, "r", "1.2", {"1.2.3": ["1.2.3.4"], "1.2.5": ["1.2.5.6"]})
    for series, digest in (("1.2.3", "1"), ("1.2.5", "2")):
        job = jobs.enqueue(series, digest * 64, 1)
        assert jobs.claim("worker", 60) is not None
        jobs.deliver(job.id, "worker", {"wmh_volume_ml": 7.5}, [], {})
    WithdrawalTable(database).withdraw(job.id, "alice", "wrong side", [])
    monkeypatch.setenv("WMH_NODE_STORAGE", str(tmp_path))
    (file,) = tmp_path.glob("node-*.sqlite")
    monkeypatch.setenv("WMH_NODE_DATABASE_URL", f"sqlite:///{file}")
    words = ["cohort", "export", "c", "--out", str(tmp_path / "out.csv")]
    done = CliRunner().invoke(build_app("cohort"), words)
    assert done.exit_code == 0, done.output
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        rows = list(reader)
    assert len(reader.fieldnames or []) == len(set(reader.fieldnames or []))
    assert [(row["withdrawn"], row["wmh_volume_ml"]) for row in rows] == [("", "7.5"), ("wrong side", "")]
    assert {(row["list_job"], row["list_study_instance_uid"]) for row in rows} == {("mine", "1.2")}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"name\nx\n", "expected a column StudyInstanceUID or AccessionNumber, got name"),
        (b"study\n1.2\n\nabc\n", "not in: 4"),
        (b"study,accession\n,\n", "not in: 2"),
        ("study\nä\n".encode("utf-16"), "no UTF-8 text"),
        (b"", "got no row"),
        (b"study,notes\n1.2," + b"x" * 140_000 + b"\n", "is no CSV"),
    ],
)
def test_lists_that_are_none(content: bytes, words: str) -> None:
    """A list without studies, or with rows that name none, is refused whole, with the rows as a spreadsheet counts."""
    with pytest.raises(ConfigurationError, match=words):
        read_studies(content, "list.csv")


def test_lists() -> None:
    """Names of columns as people write them, separators of their spreadsheets, a byte order mark; all columns stay."""
    found = read_studies(b"\xef\xbb\xbfStudy Instance UID\tgroup\r\n1.2.3\tcase\r\n1.2.4\t\r\n", "list.csv")
    assert [(item.line, item.study_instance_uid, dict(item.given)) for item in found] == [
        (2, "1.2.3", {"Study Instance UID": "1.2.3", "group": "case"}),
        (3, "1.2.4", {"Study Instance UID": "1.2.4", "group": ""}),
    ]
