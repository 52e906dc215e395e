"""The audit trail at a real syslog receiver over TLS."""

from __future__ import annotations

import re
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from support.certificates import Authority, Issued
from support.node import clean_environment, run_here

from db.audit import RECEIVED, record_action
from db.audit_exports import AuditExportTable
from db.engine import Database
from dicom_node.node.settings import load_settings
from dicom_node.upkeep.audit.export import AuditExporter, Repository

LINE = re.compile(
    r"<(?P<priority>\d+)>1 (?P<at>\S+Z) (?P<host>\S+) wmh-node (?P<process>\d+) DICOM\+RFC3881 "
    r'\[meta sequenceId="(?P<number>\d+)"\] \ufeff(?P<xml><AuditMessage>.*</AuditMessage>)',
    re.DOTALL,
)


class Receiver:
    """A syslog receiver of RFC 5425 that keeps what it reads; it asks for a certificate of its own CA."""

    def __init__(self, issued: Issued, ca: Path | None) -> None:
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(issued.certificate, issued.key)
        if ca is not None:
            self.context.load_verify_locations(ca)
            self.context.verify_mode = ssl.CERT_REQUIRED
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self.listener.getsockname()[1])
        self.lines: list[str] = []
        self.read_nothing = False
        threading.Thread(target=self._run, daemon=True).start()

    def close(self) -> None:
        self.listener.close()

    def _run(self) -> None:
        while True:
            try:
                plain, _ = self.listener.accept()
                self._serve(plain)
            except ssl.SSLError:
                continue
            except OSError:
                return

    def _serve(self, plain: socket.socket) -> None:
        with self.context.wrap_socket(plain, server_side=True) as connection:
            if self.read_nothing:
                return
            stream = connection.makefile("rb")
            while length := _number(stream):
                line = stream.read(length)
                assert len(line) == length
                self.lines.append(line.decode())


def _number(stream: Any) -> int:
    digits = b""
    while (one := stream.read(1)) not in (b" ", b""):
        digits += one
    return int(digits or b"0")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def issued(authority: Authority) -> Issued:
    return authority.issue("both")


@pytest.fixture
def receiver(authority: Authority, issued: Issued) -> Iterator[Receiver]:
    with closing(Receiver(issued, authority.certificate)) as one:
        yield one


def _exporter(database: Database, port: int, authority: Authority, issued: Issued) -> AuditExporter:
    settings = load_settings(
        audit_repository=f"127.0.0.1:{port}", audit_tls_ca=authority.certificate,
        tls_certificate=issued.certificate, tls_key=issued.key,
    )  # fmt: skip
    return AuditExporter(database, Repository.of(settings), "WMHNODE")


def _act(database: Database, who: str, action: str, detail: str = "", about: dict[str, Any] | None = None) -> None:
    with database.write() as connection:
        record_action(connection, database.clock(), who, action, None, detail, about)


def _xml(line: str) -> ElementTree.Element:
    match = LINE.fullmatch(line)
    assert match is not None, line
    return ElementTree.fromstring(match["xml"])


def test_entries_arrive_as_dicom_audit_messages(
    database: Database, receiver: Receiver, authority: Authority, issued: Issued
) -> None:
    """What came, with sender, study and SOP classes, and who logged in, by the schema of PS3.15 A.5.1."""
    about = {"studies": ["1.2.3"], "sop_classes": {"1.2.840.10008.5.1.4.1.1.4": 24}, "address": "10.0.0.7"}
    _act(database, "SCANNER", RECEIVED, "24 instances", about)
    _act(database, "jürg & <co>", "log in", "by password\x01")
    assert _exporter(database, receiver.port, authority, issued).step() == 0.0
    came, login = map(_xml, receiver.lines)
    assert [child.tag for child in came] == [
        "EventIdentification", "ActiveParticipant", "ActiveParticipant", "AuditSourceIdentification",
        "ParticipantObjectIdentification",
    ]  # fmt: skip
    event = came.find("EventIdentification/EventID")
    assert event is not None and (event.get("csd-code"), event.get("codeSystemName")) == ("110104", "DCM")
    sender = came.find("ActiveParticipant")
    assert sender is not None and sender.get("NetworkAccessPointID") == "10.0.0.7"
    study = came.find("ParticipantObjectIdentification")
    assert study is not None and study.get("ParticipantObjectID") == "1.2.3"
    sop_class = study.find("ParticipantObjectDescription/SOPClass")
    assert sop_class is not None and sop_class.get("NumberOfInstances") == "24"
    person = login.find("ActiveParticipant")
    assert person is not None and (person.get("UserID"), person.get("UserIsRequestor")) == ("jürg & <co>", "true")
    kind = login.find("EventIdentification/EventTypeCode")
    assert kind is not None and kind.get("csd-code") == "110122"
    assert receiver.lines[0].startswith("<85>1 2026-11-24T08:00:00.000000Z ")


def test_a_dead_repository_loses_and_costs_nothing(
    database: Database, receiver: Receiver, authority: Authority, issued: Issued
) -> None:
    """While it is down, entries stay in the trail only; when it is back it gets each once, in order, over batches."""
    exporter = _exporter(database, 1, authority, issued)
    for number in range(250):
        _act(database, "alice", "hold", f"study {number}")
    waits = [exporter.step() for _ in range(3)]
    assert waits == sorted(waits) and waits[0] >= 10.0
    since, words = AuditExportTable(database).state("127.0.0.1:1")
    assert since is not None and words is not None and "is the audit repository running" in words
    again = _exporter(database, receiver.port, authority, issued)
    assert [again.step() for _ in range(3)] == [0.0, 0.0, 5.0]
    descriptions = [_xml(line).findtext("EventIdentification/EventOutcomeDescription") for line in receiver.lines]
    assert descriptions == [f"study {number}" for number in range(250)]
    _act(database, "alice", "release")
    assert _exporter(database, receiver.port, authority, issued).step() == 0.0
    assert len(receiver.lines) == 251


def test_a_repository_of_another_authority_gets_nothing(
    database: Database, receiver: Receiver, authority: Authority, issued: Issued, tmp_path: Path
) -> None:
    """Its certificate is checked before a byte is sent, and ours where it asks for one."""
    other = Authority(tmp_path / "other")
    _act(database, "alice", "hold")
    assert _exporter(database, receiver.port, other, issued).step() >= 10.0
    _, words = AuditExportTable(database).state(f"127.0.0.1:{receiver.port}")
    assert words is not None and "WMH_NODE_AUDIT_TLS_CA" in words
    assert _exporter(database, receiver.port, authority, other.issue("stranger")).step() >= 10.0
    assert receiver.lines == []


@pytest.mark.slow
def test_the_commands_list_verify_and_export(database: Database, tmp_path: Path) -> None:
    """`audit verify` ends with 0 on a whole trail and with 1 on a changed one; export writes every entry."""
    _act(database, "alice", "hold", "study 1.2.3")
    _act(database, "SCANNER", RECEIVED, "24 instances")
    database.close()
    environment = {**clean_environment(), "WMH_NODE_STORAGE": str(tmp_path)}
    assert "SCANNER" in run_here("audit", "list", environment=environment).stdout
    assert "2 entries" in run_here("audit", "verify", environment=environment).stdout
    lines = run_here("audit", "export", "--format", "syslog", environment=environment).stdout.splitlines()
    assert [_xml(line).tag for line in lines] == ["AuditMessage"] * 2
    with database.write() as connection:
        connection.exec_driver_sql("UPDATE audit SET detail = 'study 1.2.4' WHERE who = 'alice'")
    database.close()
    assert "broken at entry 1" in run_here("audit", "verify", environment=environment, code=1).stderr
