"""HL7 reports over MLLP: the server of the library hl7, TLS, and answers that are none."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import hl7
import pytest
from support.certificates import Authority
from support.mllp import accept, mllp_server, raw_server
from support.processes import free_port
from support.report_messages import content_of, reported

from dicom_node.deliver.mllp import MllpCall, look_at_receiver, send_message
from dicom_node.deliver.mllp.connection import NoAnswer, exchange
from dicom_node.deliver.send import SendOutcome
from dicom_node.node.destinations import MllpDestination
from dicom_node.node.errors import DeliveryError
from dicom_node.node.profiles import MessageKind
from dicom_node.node.tls import ClientTls, TlsFiles


@pytest.fixture(scope="module")
def message(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report as the outbox has it."""
    folder = tmp_path_factory.mktemp("report")
    _series, result = reported(folder / "source")
    (folder / "oru.hl7").write_bytes(content_of(result, MessageKind.ORU))
    return folder / "oru.hl7"


def send(message: Path, port: int, tls: ClientTls | None = None, *, seconds: float = 20.0) -> SendOutcome:
    destination = MllpDestination(name="ris", host="127.0.0.1", port=port, message="oru", tls=tls is not None)
    (outcome,) = send_message([message], MllpCall(destination, tls, seconds, seconds), lambda _outcome: True)
    return outcome


def answering(code: str, *errors: str, text: str = "") -> Any:
    """An answer with this MSA-1, MSA-3, and ERR segments."""

    def answer(message: hl7.Message) -> hl7.Message:
        said = message.create_ack(code)
        lines = [*str(said).strip("\r").split("\r"), *errors]
        lines = [f"{line}|{text}" if line.startswith("MSA") and text else line for line in lines]
        return hl7.parse("\r".join(lines) + "\r")

    return answer


def test_a_receiver_reads_what_we_send(message: Path) -> None:
    """AA: the receiver has the report, which its library reads with names and numbers as we wrote them."""
    with mllp_server() as (port, received):
        outcome = send(message, port)
    assert (outcome.status, outcome.ok, outcome.detail) == (0x0000, True, "")
    (read,) = received
    assert str(read.segment("PID")[3][0][0]) == "4711-0815"
    assert read.unescape(str(read.segment("PID")[5][0][1])) == "Anna|M"
    assert str(read).encode().rstrip(b"\r") == message.read_bytes().rstrip(b"\r")


@pytest.mark.parametrize(
    ("code", "errors", "status", "words"),
    [
        ("CA", (), 0x0000, ""),
        ("AE", (), 0xA900, "does not say which"),
        ("AE", ("ERR||PID^1^3|204^Unknown key identifier^HL70357|E",), 0xA900,
         "204 Unknown key identifier in PID-1-3"),
        ("AE", ("ERR|||207^Application internal error^HL70357|E",), 0xA900, "207 Application internal error"),
        ("AR", ("ERR|||203^Unsupported version id^HL70357|E",), 0xA900, "set it up for ORU^R01 of version 2.5.1"),
        ("AR", ("ERR|||206^Application record locked^HL70357|E",), None, "206 Application record locked"),
        ("AR", (), None, "cannot take messages now"),
    ],
)  # fmt: skip
def test_acknowledgments(message: Path, code: str, errors: tuple[str, ...], status: int | None, words: str) -> None:
    """AA, AE and AR are three outcomes: stored; never for this report, with the receiver's words; not now, but for a
    reject of message type, event, processing ID or version, which does not pass."""
    with mllp_server(answering(code, *errors)) as (port, received):
        outcome = send(message, port)
    assert (outcome.status, outcome.answered, outcome.lost) == (status, True, False)
    assert words in outcome.detail
    assert outcome.answer == f"answer {code}"
    assert len(received) == 1


def test_a_receivers_words_hold_no_patient(message: Path) -> None:
    """What the receiver repeats of the patient is in no word of ours."""
    error = "ERR|||204^Unknown key identifier^HL70357|E||||4711-0815 MUSTER, Anna born 19500102, accession ACC-99"
    with mllp_server(answering("AE", error, text="no patient Muster")) as (port, _received):
        outcome = send(message, port)
    for part in ("4711", "0815", "muster", "anna", "19500102", "ACC-99"):
        assert part.lower() not in outcome.detail.lower()
    assert "no patient [hidden]" in outcome.detail


@pytest.mark.parametrize(
    ("answer", "hold", "words"),
    [
        (b"", False, "ended the connection without an acknowledgment"),
        (b"\x0bMSH|^~\\&|RIS\rMSA|A", False, "ended the connection within its acknowledgment"),
        (b"\x0bMSH|^~\\&|RIS\rMSA|A", True, "sent only a part of an acknowledgment"),
        (b"", True, "sent no acknowledgment"),
        (b"\x0bMSH|^~\\&|RIS\rMSA|AA|another\r\x1c\r", False, "about another message"),
        (b"\x0bMSH|^~\\&|RIS\rEVN|A\r\x1c\r", False, "no acknowledgment"),
        (b"\x0b220 mail.example ESMTP\x1c\r", False, "begins with MSH"),
    ],
)
def test_answers_that_are_none(message: Path, answer: bytes, hold: bool, words: str) -> None:
    """Silence, a broken or half-written acknowledgment, and one of another message are no success and no refusal: the
    receiver may have the report, and it is sent again."""
    with raw_server(answer, hold=hold) as port:
        outcome = send(message, port, seconds=1.0 if hold else 20.0)
    assert (outcome.status, outcome.lost) == (None, True)
    assert words in outcome.detail


class Trickle:
    """A connection that gives a byte a second, without end."""

    def __init__(self) -> None:
        self.now = 0.0

    def settimeout(self, _seconds: float) -> None:
        pass

    def sendall(self, _block: bytes) -> None:
        pass

    def recv(self, _size: int) -> bytes:
        self.now += 1.0
        if self.now > 1000:
            raise AssertionError("read on for ever")
        return b"x"


def test_an_acknowledgment_has_to_end_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes that come now and then do not prolong the wait."""
    slow = Trickle()
    monkeypatch.setattr("dicom_node.deliver.mllp.connection.time.monotonic", lambda: slow.now)
    destination = MllpDestination(name="ris", host="127.0.0.1", port=1, message="oru", tls=False)
    with pytest.raises(NoAnswer, match="sent only a part of an acknowledgment in 60 s"):
        exchange(slow, b"MSH", MllpCall(destination, None))  # type: ignore[arg-type]
    assert slow.now == 60


def test_the_right_acknowledgment_in_pieces(message: Path) -> None:
    """Other delimiters, line feeds before the block, and an answer that comes in pieces are read."""

    def answer(block: bytes) -> bytes:
        control_id = block.split(b"|")[9]
        return b"\n\n\x0bMSH$%~\\&$RIS\rMSA$AA$" + control_id + b"\r\x1c\r"

    with raw_server(answer) as port:
        assert send(message, port).ok


def test_no_receiver(message: Path) -> None:
    """Where no receiver listens nothing was sent, and the words say what to look at."""
    outcome = send(message, free_port())
    assert (outcome.status, outcome.lost) == (None, False)
    assert "is the HL7 receiver running" in outcome.detail
    (message.parent / "broken.hl7").write_bytes(b"PID|1")
    assert "is damaged" in send(message.parent / "broken.hl7", free_port()).detail
    assert "cannot be read" in send(message.parent / "away.hl7", free_port()).detail


@pytest.mark.peer("openssl")
def test_tls(message: Path, tmp_path: Path) -> None:
    """Over TLS the receiver's certificate counts: of our CA it gets the report; of another, for another host, or
    without TLS on its side, nothing is sent."""
    ours, other = Authority(tmp_path / "ours"), Authority(tmp_path / "other", "other CA")
    trusted = ClientTls(TlsFiles(None, None, ours.certificate))

    def serving(authority: Authority, names: str) -> ssl.SSLContext:
        issued = authority.issue("ris", names=names)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(issued.certificate, issued.key)
        return context

    with mllp_server(accept, serving(ours, "IP:127.0.0.1")) as (port, received):
        assert send(message, port, trusted).ok
        assert len(received) == 1
        assert send(message, port, seconds=2).status is None  # without TLS it answers with nothing that we can read
        assert len(received) == 1
    for authority, names, words in (
        (other, "IP:127.0.0.1", "is tls_ca its CA?"),
        (ours, "DNS:elsewhere", "tls_check_name = false"),
    ):
        with mllp_server(accept, serving(authority, names)) as (port, received):
            outcome = send(message, port, trusted)
            assert (outcome.status, outcome.lost, received) == (None, False, [])
            assert words in outcome.detail
    with mllp_server() as (port, received):
        outcome = send(message, port, trusted, seconds=2.0)
        assert (outcome.status, outcome.lost, received) == (None, False, [])
        assert "TLS with 127.0.0.1" in outcome.detail


def test_a_look_sends_nothing(message: Path) -> None:
    """A test of the destination connects, and the receiver gets no message; where there is none it says so."""
    with mllp_server() as (port, received):
        destination = MllpDestination(name="ris", host="127.0.0.1", port=port, message="oru", tls=False)
        look_at_receiver(MllpCall(destination, None))
    assert received == []
    with pytest.raises(DeliveryError, match="ris: connection refused"):
        look_at_receiver(MllpCall(destination, None))
