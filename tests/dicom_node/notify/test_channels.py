"""Mail through a real SMTP server, events to a real HTTP server."""

from __future__ import annotations

import base64
import email
import hashlib
import hmac
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from email.message import Message as Mail
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword
from support.certificates import Authority, Issued
from support.node import clean_environment, run_cli
from support.processes import free_port, until

from db.records import AlarmNews, AlarmSeverity, News
from dicom_node.node.errors import ConfigurationError
from dicom_node.node.settings import load_settings
from dicom_node.notify.command import CommandChannel
from dicom_node.notify.errors import NotTaken
from dicom_node.notify.mail import MailChannel
from dicom_node.notify.message import Message
from dicom_node.notify.webhook import WebhookChannel

AT = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
MESSAGE = Message(
    "e" * 32,
    "WMHNODE@node1",
    AT,
    (
        News(AlarmNews.OVER, "storage", AlarmSeverity.CRITICAL, "the node refuses images", AT),
        News(AlarmNews.BEGAN, "destination pacs", AlarmSeverity.WARNING, "3 wait, the oldest for 2 h", AT),
    ),
)
PASSWORD = "pass word: ü".encode().decode("ascii", "ignore") + "x"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def issued(authority: Authority) -> Issued:
    return authority.issue("server")


class Mailbox:
    """What the server took; `refuse` names an address that it does not know."""

    def __init__(self) -> None:
        self.mails: list[Mail] = []
        self.recipients: list[str] = []
        self.refuse = ""
        self.answer = "550 no such mailbox"

    async def handle_RCPT(self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any) -> str:
        if address == self.refuse:
            return self.answer
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, _session: Any, envelope: Any) -> str:
        self.mails.append(email.message_from_bytes(envelope.content))
        self.recipients = list(envelope.rcpt_tos)
        return "250 OK"


def _context(issued: Issued) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(issued.certificate, issued.key)
    return context


def _login(_server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
    good = isinstance(data, LoginPassword) and (data.login, data.password) == (b"wmh-node", PASSWORD.encode())
    return AuthResult(success=good, handled=False)


@contextmanager
def mail_server(issued: Issued, mailbox: Mailbox, **options: Any) -> Iterator[int]:
    """A real SMTP server that wants STARTTLS and a login; gives its port."""
    wanted: dict[str, Any] = {
        "tls_context": _context(issued), "require_starttls": True, "auth_required": True, "authenticator": _login,
    }  # fmt: skip
    controller = Controller(mailbox, hostname="127.0.0.1", port=free_port(), **{**wanted, **options})
    controller.start()
    try:
        yield controller.port
    finally:
        controller.stop()


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    file = tmp_path / "mail.secret"
    file.write_text(PASSWORD + "\n")
    return file


def _channel(port: int, secret: Path, authority: Authority, **more: Any) -> MailChannel:
    settings = load_settings(
        mail_server=f"127.0.0.1:{port}", mail_user="wmh-node", mail_password_file=secret,
        mail_from="node@hospital.example", mail_to="a@hospital.example, b@hospital.example",
        notify_tls_ca=authority.certificate, **more,
    )  # fmt: skip
    return MailChannel.of(settings)


def test_a_mail_arrives_over_starttls_with_a_login(issued: Issued, authority: Authority, secret: Path) -> None:
    """Every recipient gets the message, with words for people and one Message-ID for all attempts."""
    mailbox = Mailbox()
    with mail_server(issued, mailbox) as port:
        channel = _channel(port, secret, authority)
        assert channel.send(MESSAGE) is None
        assert channel.send(MESSAGE) is None
    first, second = mailbox.mails
    assert mailbox.recipients == ["a@hospital.example", "b@hospital.example"]
    assert first["Subject"] == "[WMHNODE@node1] warning: destination pacs"
    assert first["Message-ID"] == second["Message-ID"] == f"<{'e' * 32}@hospital.example>"
    assert first["Auto-Submitted"] == "auto-generated"
    lines = first.get_payload(decode=True).decode().splitlines()
    assert "New, warning: destination pacs, since 2026-11-30 12:00 UTC: 3 wait, the oldest for 2 h" in lines
    assert "Over: storage (since 2026-11-30 12:00 UTC it was: the node refuses images)" in lines


def test_a_recipient_that_is_unknown_costs_the_others_nothing(
    issued: Issued, authority: Authority, secret: Path
) -> None:
    """The mail goes to the addresses that are accepted, and the words name the other."""
    mailbox = Mailbox()
    mailbox.refuse = "a@hospital.example"
    with mail_server(issued, mailbox) as port:
        words = _channel(port, secret, authority).send(MESSAGE)
    assert words == "127.0.0.1 does not take mail for a@hospital.example"
    assert mailbox.recipients == ["b@hospital.example"]


def test_a_recipient_that_is_refused_for_now_gets_it_later(issued: Issued, authority: Authority, secret: Path) -> None:
    """Greylisting of one address: the message is not taken yet; the others get it once."""
    mailbox = Mailbox()
    mailbox.refuse, mailbox.answer = "a@hospital.example", "450 greylisted"
    with mail_server(issued, mailbox) as port:
        channel = _channel(port, secret, authority)
        with pytest.raises(NotTaken, match=r"for a@hospital\.example for now"):
            channel.send(MESSAGE)
        assert mailbox.recipients == ["b@hospital.example"]
        mailbox.refuse = ""
        assert channel.send(MESSAGE) is None
    assert mailbox.recipients == ["a@hospital.example"] and len(mailbox.mails) == 2


class RudeMailbox(Mailbox):
    """Ends the session before it is asked to."""

    async def handle_QUIT(self, _server: SMTP, _session: Any, _envelope: Any) -> str:
        return "421 closing"


def test_the_answer_to_quit_changes_nothing(issued: Issued, authority: Authority, secret: Path) -> None:
    """A mail that the server took is sent, however it says goodbye."""
    mailbox = RudeMailbox()
    with mail_server(issued, mailbox) as port:
        assert _channel(port, secret, authority).send(MESSAGE) is None
    assert len(mailbox.mails) == 1


@pytest.mark.parametrize("fault", ["password", "certificate", "no STARTTLS", "no server"])
def test_failures_of_mail_say_what_to_do(fault: str, issued: Issued, authority: Authority, tmp_path: Path) -> None:
    """Each failure names the server and the next step, never the password, and no mail goes out in clear."""
    mailbox, secret = Mailbox(), tmp_path / "secret"
    secret.write_text("wrong-and-secret" if fault == "password" else PASSWORD)
    options: dict[str, Any] = (
        {"tls_context": None, "require_starttls": False, "auth_require_tls": False} if fault == "no STARTTLS" else {}
    )
    other = Authority(tmp_path / "other") if fault == "certificate" else authority
    with mail_server(issued, mailbox, **options) as port, pytest.raises(NotTaken) as caught:
        _channel(free_port() if fault == "no server" else port, secret, other).send(MESSAGE)
    expected = {
        "password": "does not accept the login of wmh-node: check it and its password",
        "certificate": "has a certificate that is not accepted: is WMH_NODE_NOTIFY_TLS_CA its CA?",
        "no STARTTLS": "does not offer STARTTLS: check WMH_NODE_MAIL_SECURITY",
        "no server": "is the mail server running, does the firewall allow it?",
    }
    assert expected[fault] in str(caught.value)
    assert "secret" not in str(caught.value).replace("mail.secret", "")
    assert mailbox.mails == []


class Receiver:
    """An HTTP server that answers with the statuses in turn, the last for ever, and keeps what it took."""

    def __init__(self, *statuses: int) -> None:
        self.requests: list[tuple[dict[str, str], bytes]] = []
        left, kept = list(statuses), self.requests

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                kept.append(({name.lower(): value for name, value in self.headers.items()}, body))
                self.send_response(left.pop(0) if len(left) > 1 else left[0])
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_arguments: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = int(self.server.server_address[1])

    def __enter__(self) -> Receiver:
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.server.shutdown()
        self.server.server_close()


def test_a_webhook_is_signed_and_over_tls(
    issued: Issued, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A receiver can check the signature with the shared secret; the event is a CloudEvent with every condition."""
    monkeypatch.setenv("WMH_NODE_SECRET_WEBHOOK", "shared secret")
    with Receiver(204) as receiver:
        receiver.server.socket = _context(issued).wrap_socket(receiver.server.socket, server_side=True)
        url = f"https://127.0.0.1:{receiver.port}/hooks/1"
        settings = load_settings(webhook_url=url, notify_tls_ca=authority.certificate)
        assert WebhookChannel.of(settings).send(MESSAGE) is None
    ((headers, body),) = receiver.requests
    signed = b".".join([headers["webhook-id"].encode(), headers["webhook-timestamp"].encode(), body])
    expected = base64.b64encode(hmac.new(b"shared secret", signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    assert abs(int(headers["webhook-timestamp"]) - datetime.now(UTC).timestamp()) < 60
    event = json.loads(body)
    assert (event["specversion"], event["id"], event["type"]) == ("1.0", "e" * 32, "org.wmh-node.alarm")
    assert [condition["condition"] for condition in event["data"]["conditions"]] == ["storage", "destination pacs"]


@pytest.mark.parametrize(
    ("status", "words"),
    [(500, "a fault of the server"), (401, "check the secret on both sides"), (302, "write the new address")],
)
def test_failures_of_a_webhook_say_what_to_do(status: int, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a success counts as taken; the path, which is often a secret, is in no message."""
    monkeypatch.setenv("WMH_NODE_SECRET_WEBHOOK", "shared secret")
    with Receiver(status) as receiver, pytest.raises(NotTaken, match=words) as caught:
        WebhookChannel(f"http://127.0.0.1:{receiver.port}/T0PSECRET").send(MESSAGE)
    assert "T0PSECRET" not in str(caught.value) and "shared" not in str(caught.value)


def test_a_webhook_without_a_secret_is_a_fault_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """No event goes out unsigned, and the words name the variable and the setting."""
    monkeypatch.delenv("WMH_NODE_SECRET_WEBHOOK", raising=False)
    with Receiver(204) as receiver, pytest.raises(ConfigurationError, match="WMH_NODE_WEBHOOK_SECRET_FILE"):
        WebhookChannel(f"http://127.0.0.1:{receiver.port}/").send(MESSAGE)
    assert receiver.requests == []


def test_the_command_tests_every_channel(issued: Issued, authority: Authority, secret: Path) -> None:
    """`notifications test` delivers by each channel and fails when one does not take it."""
    mailbox = Mailbox()
    with mail_server(issued, mailbox) as port, Receiver(500, 204) as receiver:
        given = {
            "MAIL_SERVER": f"127.0.0.1:{port}", "MAIL_USER": "wmh-node", "MAIL_PASSWORD_FILE": secret,
            "MAIL_TO": "a@hospital.example", "NOTIFY_TLS_CA": authority.certificate,
            "WEBHOOK_URL": f"http://127.0.0.1:{receiver.port}/", "SECRET_WEBHOOK": "s",
        }  # fmt: skip
        environment = {**clean_environment(), **{f"WMH_NODE_{name}": str(value) for name, value in given.items()}}
        test = ("notifications", "test", "--json")
        failed = json.loads(run_cli(*test, environment=environment, code=1).stdout)
        assert [(finding["channel"], finding["ok"]) for finding in failed] == [("mail", True), ("webhook", False)]
        assert all(finding["ok"] for finding in json.loads(run_cli(*test, environment=environment).stdout))
    assert [mail["Subject"] for mail in mailbox.mails] == [f"[WMHNODE@{socket.gethostname()}] test message"] * 2


def _program(folder: Path, *lines: str) -> CommandChannel:
    program = folder / "call-duty"
    program.write_text("\n".join(("#!/bin/sh", *lines, "")))
    program.chmod(0o755)
    return CommandChannel.of(load_settings(notify_command=program))


def test_a_program_gets_the_event_and_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole CloudEvent comes on standard input; no setting and no secret is in the program's environment."""
    monkeypatch.setenv("WMH_NODE_SECRET_MAIL", "hush")
    got, seen = tmp_path / "event.json", tmp_path / "environment"
    channel = _program(tmp_path, f"cat > {got}", f"env > {seen}")
    assert channel.send(MESSAGE) is None
    event = json.loads(got.read_text())
    assert (event["id"], event["type"], event["data"]["severity"]) == ("e" * 32, "org.wmh-node.alarm", "warning")
    assert "WMH_NODE" not in seen.read_text()


def test_a_program_may_leave_its_input_unread(tmp_path: Path) -> None:
    """Exit status 0 means taken, also of a program that reads nothing of a long message."""
    long = News(AlarmNews.BEGAN, "storage", AlarmSeverity.WARNING, "x" * 300_000, AT)
    assert _program(tmp_path, "exit 0").send(Message("f" * 32, "WMHNODE@node1", AT, (long,))) is None


@pytest.mark.parametrize(
    ("lines", "words"), [(("exit 3",), "call-duty ended with exit status 3"), (("kill -9 $$",), "ended by signal 9")]
)
def test_a_program_that_fails_took_nothing(tmp_path: Path, lines: tuple[str, ...], words: str) -> None:
    """The message stays to be sent again, and the words say how the program ended."""
    with pytest.raises(NotTaken, match=words):
        _program(tmp_path, *lines).send(MESSAGE)


def test_a_program_that_never_ends_is_killed_with_its_children(tmp_path: Path) -> None:
    """A program that hangs holds up nothing: it and what it started are gone after its time."""
    child = tmp_path / "child"
    channel = _program(tmp_path, "sleep 600 &", f"echo $! > {child}", "wait")
    with pytest.raises(NotTaken, match="did not end within 1 s"):
        replace(channel, seconds=1.0).send(MESSAGE)
    until(lambda: _has_ended(int(child.read_text())), "the end of the child", 20)


def _has_ended(pid: int) -> bool:
    try:
        return "State:\tZ" in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return True


def test_a_program_is_not_started_where_it_is_not_sound(tmp_path: Path) -> None:
    """A missing file, one that cannot be executed and one that everybody may write are errors of the settings."""
    channel = _program(tmp_path, "exit 0")
    channel.program.chmod(0o757)
    with pytest.raises(ConfigurationError, match="everybody may write"):
        channel.send(MESSAGE)
    channel.program.chmod(0o644)
    with pytest.raises(ConfigurationError, match=r"chmod \+x"):
        channel.send(MESSAGE)
    channel.program.unlink()
    with pytest.raises(ConfigurationError, match="WMH_NODE_NOTIFY_COMMAND"):
        channel.send(MESSAGE)


def test_notifications_test_starts_the_program(tmp_path: Path) -> None:
    """`notifications test` says of the program, too, whether it took the message."""
    channel = _program(tmp_path, f"cat > {tmp_path}/event")
    answer = run_cli(
        "notifications", "test", "--json",
        environment={**clean_environment(), "WMH_NODE_NOTIFY_COMMAND": str(channel.program)},
    )  # fmt: skip
    assert json.loads(answer.stdout) == [{"channel": "command", "ok": True, "detail": "taken: the program call-duty"}]
    assert json.loads((tmp_path / "event").read_text())["type"] == "org.wmh-node.test"
