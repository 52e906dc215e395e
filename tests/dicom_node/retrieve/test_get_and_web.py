"""Studies by C-GET and by DICOMweb: Orthanc and dcmqrscp give them, and they go the receiver's way to disk."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pydicom
import pytest
from pydicom.uid import generate_uid
from support.data import REPOSITORY
from support.databases import sqlite_url, with_schema
from support.dcmtk import PACS_AE_TITLE, dcmqrscp, storescu
from support.mr import mr_object, write_object
from support.orthanc import AE_TITLE as ORTHANC_AE_TITLE
from support.orthanc import orthanc
from support.processes import free_port, until
from typer.testing import CliRunner

from db.cohorts import CohortRules, CohortTable, ItemState, NewItem, Way
from db.engine import open_database
from db.schema import associations, instances, series
from dicom_node.cli.main import build_app
from dicom_node.node.dicom_uids import MR_IMAGE_STORAGE
from dicom_node.node.errors import DeliveryError
from dicom_node.node.settings import Settings
from dicom_node.receive.receiver_settings import ReceiverSettings
from dicom_node.retrieve.arrivals import ArchiveDown, Arrivals
from dicom_node.retrieve.by_get import proposed_contexts
from dicom_node.retrieve.retriever import Retriever
from dicom_node.retrieve.web_object import Meta, read_object
from dicom_node.serve.fetching import archives_of


def study_of(folder: Path, of_series: int = 2, images: int = 3) -> list[Path]:
    """Files of one study, of MR series."""
    folder.mkdir(parents=True)
    study, found = generate_uid(), []
    for number in range(of_series):
        uid = generate_uid()
        for image in range(1, images + 1):
            one = mr_object(image, series=uid, StudyInstanceUID=study, AccessionNumber="ACC1", StudyDate="20240501")
            one.StudyTime, one.StudyID, one.SeriesNumber = "120000", "1", number + 1
            found.append(write_object(one, folder / f"{one.SOPInstanceUID}.dcm"))
    return found


@contextmanager
def archive_with(kind: str, folder: Path, files: list[Path]) -> Iterator[str]:
    """A PACS that holds these files and does not know how to call us; as a destination of the settings."""
    port = free_port()
    if kind == "dcmqrscp":
        with dcmqrscp(folder / "pacs", port, free_port(), {"WMHNODE": free_port()}):
            storescu(files, PACS_AE_TITLE, port)
            yield f"pacs={PACS_AE_TITLE}@127.0.0.1:{port}"
        return
    users = {"wmh": "secret"} if kind == "web" else None
    with orthanc(folder / "orthanc", {"wmhnode": ("WMHNODE", free_port())}, dicom_port=port, users=users) as peer:
        storescu(files, ORTHANC_AE_TITLE, port)
        web = f"pacs=http://127.0.0.1:{peer.http_port}/dicom-web+basic"
        yield web if kind == "web" else f"pacs={ORTHANC_AE_TITLE}@127.0.0.1:{port}"


class Node:
    """Storage and database of a node without a receiver: no port of ours is open."""

    def __init__(self, folder: Path) -> None:
        self.storage = folder / "storage"
        self.storage.mkdir(parents=True)
        self.url = sqlite_url(folder)
        with_schema(self.url)
        self.database = open_database(self.url)
        self.table = CohortTable(self.database)

    def settings(self, destination: str, **more: Any) -> Settings:
        values: dict[str, Any] = {"reserve_bytes": 0, **more}
        return Settings(storage=self.storage, database_url=self.url, destinations=[destination], **values)

    @contextmanager
    def retriever(self, destination: str, **more: Any) -> Iterator[Retriever]:
        settings = self.settings(destination, **more)
        with closing(Arrivals(ReceiverSettings.of(settings), self.database)) as arrivals:
            yield Retriever("test", self.table, archives_of(settings, arrivals), 60)

    def rows(self) -> dict[str, Any]:
        with self.database.read() as connection:
            return {row.sop_instance_uid: row for row in connection.execute(instances.select())}

    def ends(self) -> list[str | None]:
        with self.database.read() as connection:
            return [row.ended_how for row in connection.execute(associations.select().order_by(associations.c.id))]

    def left_behind(self) -> list[Path]:
        return list((self.storage / "inbox" / "tmp").glob("*.part"))


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    node = Node(tmp_path / "node")
    with closing(node.database):
        yield node


@pytest.fixture(autouse=True)
def secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WMH_NODE_SECRET_PACS", "wmh:secret")


KINDS = [
    pytest.param("orthanc", Way.GET, marks=pytest.mark.peer("Orthanc")),
    pytest.param("dcmqrscp", Way.GET, marks=pytest.mark.peer("dcmqrscp")),
    pytest.param("web", Way.WEB, marks=pytest.mark.peer("Orthanc")),
]


@pytest.mark.parametrize(("kind", "way"), KINDS)
@pytest.mark.peer("storescu")
@pytest.mark.slow
def test_a_study_without_a_port_of_ours(
    kind: str, way: Way, tmp_path: Path, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By command, found by accession number and by query: every instance is in the inbox with the data set that was
    stored, its row committed with low priority, and its series is completed as any other."""
    files = study_of(tmp_path / "source")
    (tmp_path / "list.csv").write_text("AccessionNumber\nACC1\n")
    with archive_with(kind, tmp_path, files) as destination, node.retriever(destination) as retriever:
        monkeypatch.setenv("WMH_NODE_STORAGE", str(node.storage))
        monkeypatch.setenv("WMH_NODE_DATABASE_URL", node.url)
        monkeypatch.setenv("WMH_NODE_DESTINATIONS", destination)
        command = ["cohort", "add", str(tmp_path / "list.csv"), "--from", "pacs", f"--{way}", "--json"]
        done = CliRunner().invoke(build_app("cohort"), command)
        assert done.exit_code == 0, done.output
        assert json.loads(done.stdout)[0]["way"] == way
        assert retriever.fetch_once()
        (item,) = node.table.items("list")
        assert item.state is ItemState.DONE, item.reason
        found = ["cohort", "add", "--query", "StudyDate=20240501", "--from", "pacs", f"--{way}", "--name", "again"]
        done = CliRunner().invoke(build_app("cohort"), found)
        assert done.exit_code == 0, done.output
        assert retriever.fetch_once()
        assert node.table.items("again")[0].state is ItemState.DONE
    rows = node.rows()
    sent = {one.SOPInstanceUID: one for one in map(pydicom.dcmread, files)}
    assert rows.keys() == sent.keys()
    for uid, row in rows.items():
        kept = pydicom.dcmread(node.storage / row.path)
        assert kept == sent[uid]
    assert set(node.ends()) == {"released"}
    assert node.left_behind() == []
    with node.database.read() as connection:
        assert [row.priority for row in connection.execute(series.select())] == ["low", "low"]


@pytest.mark.parametrize(("kind", "way"), KINDS)
@pytest.mark.peer("storescu")
@pytest.mark.slow
def test_killed_in_the_middle(kind: str, way: Way, tmp_path: Path, node: Node) -> None:
    """A retriever that is killed between two instances loses none and doubles none: the next one has the study whole,
    and what the dead one left is cleared up."""
    files = study_of(tmp_path / "source", images=4)
    study = str(pydicom.dcmread(files[0]).StudyInstanceUID)
    with archive_with(kind, tmp_path, files) as destination:
        node.table.add("one", "pacs", CohortRules(), [NewItem(1, {}, study, None)], "test", way)
        died = subprocess.run(
            [sys.executable, str(REPOSITORY / "tests" / "support" / "dying_retriever.py"), node.url, str(node.storage),
             destination, way, "3", "instances"],
            cwd=REPOSITORY, env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(REPOSITORY),
                                 "WMH_NODE_SECRET_PACS": "wmh:secret"},
            capture_output=True, timeout=240, check=False,
        )  # fmt: skip
        assert died.returncode == -signal.SIGKILL, died.stderr.decode()
        assert len(node.rows()) == 3
        (item,) = node.table.items("one")
        assert item.state is ItemState.WAITING
        with node.retriever(destination) as retriever:
            until(retriever.fetch_once, "the lease of the dead one to end", 30)
        (item,) = node.table.items("one")
        assert item.state is ItemState.DONE, item.reason
    assert node.rows().keys() == {pydicom.dcmread(file).SOPInstanceUID for file in files}
    assert node.ends()[0] == "lost"
    with node.database.read() as connection:  # what is here is not fetched again
        assert [row.duplicate_count for row in connection.execute(series.select())] == [0, 0]
    assert node.left_behind() == []


@pytest.mark.parametrize(("kind", "way"), KINDS)
@pytest.mark.peer("storescu")
@pytest.mark.slow
def test_a_full_disk_is_no_studys_trouble(kind: str, way: Way, tmp_path: Path, node: Node) -> None:
    """Without room nothing is acknowledged and no attempt is lost; with room the study comes."""
    files = study_of(tmp_path / "source", of_series=1)
    study = str(pydicom.dcmread(files[0]).StudyInstanceUID)
    with archive_with(kind, tmp_path, files) as destination:
        node.table.add("one", "pacs", CohortRules(), [NewItem(1, {}, study, None)], "test", way)
        with node.retriever(destination, reserve_bytes=2**60) as full:
            assert full.fetch_once()
        (item,) = node.table.items("one")
        assert (item.attempts, node.rows(), node.left_behind()) == (0, {}, [])
        assert "no space left on the disk" in (item.reason or "")
        with node.retriever(destination) as retriever:
            assert retriever.fetch_once()
        assert node.table.items("one")[0].state is ItemState.DONE


@pytest.mark.parametrize(
    ("destination", "options", "words"),
    [
        ("pacs=PACS@127.0.0.1:104", ["--web"], "expected --move or --get with destination pacs, got --web"),
        ("pacs=PACS@127.0.0.1:104", ["--get", "--move"], "got --move --get"),
        ("pacs=https://pacs.example/dicom-web", ["--get"], "expected --web with destination pacs, got --get"),
        ("pacs=mllps://ris.example:2575+oru", [], "expected a DICOM or web destination of the settings (none)"),
    ],
)
def test_ways_that_do_not_fit(
    destination: str, options: list[str], words: str, node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A way that the destination does not have is refused with those that it has, and nothing is added."""
    (tmp_path / "list.csv").write_text("StudyInstanceUID\n1.2.3\n")
    monkeypatch.setenv("WMH_NODE_STORAGE", str(node.storage))
    monkeypatch.setenv("WMH_NODE_DATABASE_URL", node.url)
    monkeypatch.setenv("WMH_NODE_DESTINATIONS", destination)
    done = CliRunner().invoke(
        build_app("cohort"), ["cohort", "add", str(tmp_path / "list.csv"), "--from", "pacs", *options]
    )
    assert done.exit_code != 0
    assert words in " ".join(done.output.split())
    assert node.table.list() == []


def test_what_is_proposed_fits_in_one_association() -> None:
    """128 presentation contexts at most (PS3.8 9.3.2.2), MR images in each transfer syntax that the receiver takes."""
    contexts = proposed_contexts()
    assert len(contexts) <= 128
    assert len(set(contexts)) == len(contexts)
    assert len([one for one in contexts if one[0] == MR_IMAGE_STORAGE]) == 11


# A web server that does what Orthanc does not


class FakeServer(BaseHTTPRequestHandler):
    """Answers by path, as `answers` says: status, content type, body."""

    answers: Callable[[str], tuple[int, str, bytes]]

    def do_GET(self) -> None:
        status, content_type, body = type(self).answers(self.path)
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_about: object) -> None:
        """Say nothing."""


@contextmanager
def server(answers: Callable[[str], tuple[int, str, bytes]]) -> Iterator[str]:
    handler = type("Handler", (FakeServer,), {"answers": staticmethod(answers)})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        thread = Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield f"pacs=http://127.0.0.1:{running.server_address[1]}/web"
        running.shutdown()
        thread.join()


def rows_of(tag: str, uids: list[str]) -> tuple[int, str, bytes]:
    return 200, "application/dicom+json", json.dumps([{tag: {"vr": "UI", "Value": [uid]}} for uid in uids]).encode()


def one_object(folder: Path) -> tuple[Any, bytes]:
    (file,) = study_of(folder, of_series=1, images=1)
    return pydicom.dcmread(file), file.read_bytes()


def multipart(body: bytes) -> bytes:
    return b"\r\n--cut\r\nContent-Type: application/dicom\r\n\r\n" + body + b"\r\n--cut--\r\n"


RELATED = 'multipart/related; type="application/dicom"; boundary=cut'


@pytest.mark.parametrize(
    ("status", "kind", "change", "words", "attempts"),
    [
        (200, RELATED, lambda whole: multipart(whole)[:-20], "was cut off", 1),
        (200, RELATED, lambda whole: multipart(whole[:400]), "", 1),
        (200, RELATED, lambda _whole: multipart(b"<html>" * 100), "no DICOM object", 1),
        (200, "text/html", lambda _whole: b"<html>", "no DICOM object", 1),
        (404, "text/plain", lambda _whole: b"", "does not find an instance that it lists", 1),
        (500, "text/plain", lambda _whole: b"", "its log says more", 1),
        (503, "text/plain", lambda _whole: b"", "busy", 0),
        (401, "text/plain", lambda _whole: b"", "does not accept our login", 0),
    ],
)
def test_answers_that_are_no_object(
    status: int, kind: str, change: Callable[[bytes], bytes], words: str, attempts: int, node: Node, tmp_path: Path
) -> None:
    """What is not the whole object leaves nothing on disk and no row, and the item says why; trouble of the server
    costs the study no attempt."""
    about, whole = one_object(tmp_path / "source")

    def answers(path: str) -> tuple[int, str, bytes]:
        if "offset=0" not in path and "offset" in path:
            return 204, "text/plain", b""
        if path.endswith(about.SOPInstanceUID):
            return status, kind, change(whole)
        if "/instances" in path:
            return rows_of("00080018", [about.SOPInstanceUID])
        return rows_of("0020000E", [about.SeriesInstanceUID])

    with server(answers) as destination, node.retriever(destination) as retriever:
        node.table.add(
            "one", "pacs", CohortRules(), [NewItem(1, {}, str(about.StudyInstanceUID), None)], "test", Way.WEB
        )
        assert retriever.fetch_once()
    (item,) = node.table.items("one")
    assert (item.state, item.attempts) == (ItemState.WAITING, attempts)
    assert words in (item.reason or "")
    assert (node.rows(), node.left_behind()) == ({}, [])


@pytest.mark.parametrize("most", [3, 1000])
def test_lists_in_pages(most: int, node: Node) -> None:
    """A server that gives fewer rows than it was asked for, and one that does not know `offset`: every row counts once,
    and both searches end."""
    names = [f"1.2.{number}" for number in range(7)]

    def answers(path: str) -> tuple[int, str, bytes]:
        offset = int(path.rpartition("offset=")[2]) if most < len(names) else 0
        return rows_of("0020000D", names[offset : offset + most])

    with server(answers) as destination:
        settings = node.settings(destination)
        archive = archives_of(settings, Arrivals(ReceiverSettings.of(settings), node.database))["pacs", Way.WEB]
        assert [uid for uid, _accession in archive.studies({0x00080020: "2024"})] == names  # type: ignore[attr-defined]
        with pytest.raises(DeliveryError, match="lists 7 studies"):
            archive.study_of("A1")


def test_a_server_that_is_away(node: Node) -> None:
    """Nothing at that address: the archive's trouble, no study's."""
    settings = node.settings(f"pacs=http://127.0.0.1:{free_port()}/web")
    archive = archives_of(settings, Arrivals(ReceiverSettings.of(settings), node.database))["pacs", Way.WEB]
    with pytest.raises(ArchiveDown, match="connection refused"):
        archive.instances_of("1.2.3")


class Kept:
    def __init__(self) -> None:
        self.data = b""
        self.meta: Meta | None = None

    def begin(self, meta: Meta) -> Kept:
        self.meta = meta
        return self

    def write(self, fragment: memoryview | bytes) -> None:
        self.data += fragment


@pytest.mark.parametrize("step", [1, 7, 4096])
def test_bodies_in_pieces(step: int, tmp_path: Path) -> None:
    """However an answer is cut on its way, the data set is the same, byte for byte."""
    about, whole = one_object(tmp_path / "source")
    body = multipart(whole)
    kept = Kept()
    read_object(RELATED, (body[at : at + step] for at in range(0, len(body), step)), kept.begin)
    assert kept.meta is not None and kept.meta.sop_instance_uid == about.SOPInstanceUID
    assert kept.meta.transfer_syntax_uid == about.file_meta.TransferSyntaxUID
    assert whole.endswith(kept.data) and len(whole) - len(kept.data) < 600
    with pytest.raises(DeliveryError, match="several objects"):
        twice = multipart(whole).replace(b"--cut--", b"--cut") + multipart(whole)[2:]
        read_object(RELATED, iter([twice]), Kept().begin)
