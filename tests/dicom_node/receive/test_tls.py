"""DICOM over TLS, with DCMTK's storescu and real certificates; and what breaks receivers on such a port.

| case | we |
|---|---|
| idle connections without a ClientHello, or with half of one | closed when ARTIM expires; other peers are unaffected |
| a handshake that drips, a client that stops in the middle of it | the same |
| no client certificate, another CA's, an expired one | refused, with the reason in the log |
| no TLS on this port, TLS on the other | closed, with a line that says so |
| TLS 1.1 | refused |
"""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import threading
import time

import pytest
from support.certificates import Authority
from support.databases import with_schema
from support.mr import encoded, mr_object
from support.processes import free_port, listens, until
from support.raw_scu import RawScu, associate_request, pdata, store_command
from support.receiver import ReceiverProcess, answers, storescu, undisturbed

from dicom_node.node.errors import ConfigurationError
from dicom_node.node.tls import ClientTls, ServerContext, TlsFiles, client_context, inspect
from dicom_node.receive.receiver_settings import ReceiverSettings
from dicom_node.receive.run import receive

pytestmark = [pytest.mark.peer("storescu"), pytest.mark.peer("openssl"), pytest.mark.slow]


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """The hospital's CA."""
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def scanner(authority):
    """The certificate of a real sender."""
    return authority.issue("scanner")


@pytest.fixture(scope="module")
def secure(tmp_path_factory, authority):
    """A receiver that listens with and without TLS and asks for client certificates; short timeouts."""
    folder = tmp_path_factory.mktemp("secure")
    files = authority.files(authority.issue("node"))
    limits = {"handshake_seconds": 2.0, "message_seconds": 3.0, "idle_seconds": 4.0, "max_pdu_bytes": 64 * 1024}
    with ReceiverProcess(folder, tls=files, tls_port=free_port(), log_level="debug", **limits) as process:
        yield process
        assert "Traceback" not in process.log_text(), process.log_text()
        assert process.leftovers() == []


def with_certificate(authority, issued):
    """Options of storescu: its own key and certificate, and the CA that it trusts."""
    return ("+tls", str(issued.key), str(issued.certificate), "+cf", str(authority.certificate))


class SecureScu(RawScu):
    """A `RawScu` over TLS, by Python's ssl."""

    def __init__(self, port, authority, issued):
        super().__init__(port)
        context = client_context(ClientTls(authority.files(issued)))
        self.socket = context.wrap_socket(self.socket, server_hostname="127.0.0.1")


def client_hello():
    """The first bytes that a TLS client sends."""
    outgoing = ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="node")
    with contextlib.suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


HELLO = client_hello()


def test_dcmtk_sends_over_tls_and_without(secure, series, authority, scanner):
    """Both ports take everything; over TLS it is TLS 1.2 or newer with forward secrecy."""
    done = storescu(secure, series, *with_certificate(authority, scanner), port=secure.settings.tls_port)
    assert answers(done) == ["Success"] * len(series), done.stdout
    assert answers(storescu(secure, series)) == ["Success"] * len(series)
    agreed = [line for line in secure.lines("transport open") if "tls=" in line and "None" not in line]
    assert agreed
    assert all("TLSv1.2 ECDHE" in line or "TLSv1.3" in line for line in agreed), agreed


@pytest.mark.parametrize("said", [b"", HELLO[:60]], ids=["nothing", "half a ClientHello"])
def test_idle_tls_connections_keep_no_sender_out(secure, series, authority, scanner, said):
    """30 of them on the same port: a real sender goes on, no core is busy, and they are closed when ARTIM expires."""
    port = secure.settings.tls_port
    with contextlib.ExitStack() as stack:
        idle = [stack.enter_context(RawScu(port)) for _ in range(30)]
        for association in idle:
            association.send(said)
        with undisturbed(secure, series, *with_certificate(authority, scanner), port=port):
            assert secure.usage().memory_info().rss < 120e6
        used = sum(secure.usage().cpu_times()[:2])
        assert all(association.is_closed(30) for association in idle)
        assert sum(secure.usage().cpu_times()[:2]) - used < 0.5
    assert secure.wait_for_line("no TLS handshake in time")


def test_200_idle_tls_connections(secure, series, authority, scanner):
    """More than may wait: the oldest go, a real sender gets in at once."""
    port = secure.settings.tls_port
    with contextlib.ExitStack() as stack:
        for _ in range(200):
            stack.enter_context(RawScu(port)).send(HELLO[:60])
        with undisturbed(secure, series, *with_certificate(authority, scanner), port=port):
            assert secure.usage().num_threads() < secure.settings.max_waiting + 20
            assert secure.usage().memory_info().rss < 120e6


def test_a_handshake_that_drips_is_closed_in_time(secure):
    """One byte of a ClientHello every 0.2 s does not push the end back."""
    with RawScu(secure.settings.tls_port) as scu:
        began = time.monotonic()
        with contextlib.suppress(OSError):
            for byte in HELLO:
                scu.send(bytes([byte]))
                time.sleep(0.2)
                if time.monotonic() - began > 40:
                    break
        assert time.monotonic() - began < 20


def test_silent_after_the_handshake(secure, authority, scanner):
    """TLS and then no A-ASSOCIATE-RQ: the same end as without TLS."""
    with SecureScu(secure.settings.tls_port, authority, scanner) as scu:
        assert scu.is_closed(30)
    assert secure.wait_for_line("no association request in time")


def test_a_record_that_drips_inside_an_association(secure, authority, scanner):
    """Half a TLS record and silence in the middle of an object: aborted after the message timeout, nothing is left."""
    with SecureScu(secure.settings.tls_port, authority, scanner) as scu:
        scu.associate()
        scu.send(pdata(1, 3, store_command("1.2.3")) + pdata(1, 0, b"\0" * 100))
        until(secure.leftovers, "object under way", 30)
        raw = socket.socket(fileno=os.dup(scu.socket.fileno()))
        with raw:
            raw.sendall(b"\x17\x03\x03\x20\x00" + b"\0" * 100)
            assert scu.is_closed(30)
    until(lambda: not secure.leftovers(), "temporary file removed", 30)


@pytest.mark.parametrize("fragment_bytes", [100, 16_000, 60_000])
def test_objects_in_pieces_of_every_size(secure, authority, scanner, fragment_bytes):
    """PDUs smaller and larger than TLS records arrive whole, several objects in one association."""
    with SecureScu(secure.settings.tls_port, authority, scanner) as scu:
        scu.associate()
        for _ in range(3):
            dataset = mr_object(matrix=128)
            assert scu.store(dataset.SOPInstanceUID, encoded(dataset), fragment_bytes) == 0x0000
        scu.release()


def refused(secure, authority, issued, series, *options):
    """Whether storescu is kept out with these credentials; the log lines that say why."""
    options = options or with_certificate(authority, issued)
    before = len(secure.lines("TLS handshake failed"))
    done = storescu(secure, series[:1], *options, port=secure.settings.tls_port)
    assert done.returncode != 0
    assert answers(done) == []
    until(lambda: len(secure.lines("TLS handshake failed")) > before, "log line", 10, secure.log)
    return secure.lines("TLS handshake failed")[-1]


def test_a_client_without_certificate_is_refused(secure, series, authority):
    """With tls_ca set, anonymous TLS does not do."""
    line = refused(secure, authority, None, series, "+tla", "+cf", str(authority.certificate))
    assert "showed no certificate" in line


def test_a_certificate_of_another_ca_is_refused(secure, series, authority, tmp_path):
    """Signed by somebody else."""
    stranger = Authority(tmp_path, "another CA").issue("stranger")
    assert "not accepted" in refused(secure, authority, stranger, series)


def test_an_expired_certificate_is_refused(secure, series, authority):
    """From our CA, but out of date."""
    assert "certificate has expired" in refused(secure, authority, authority.expired("old scanner"), series)


def test_a_peer_that_does_not_trust_us(secure, series, authority, scanner, tmp_path):
    """It knows another CA: it leaves, and the log says that our certificate is the reason."""
    other = Authority(tmp_path, "another CA")
    options = ("+tls", str(scanner.key), str(scanner.certificate), "+cf", str(other.certificate))
    assert "our certificate" in refused(secure, authority, scanner, series, *options)


def test_tls_1_1_is_refused(secure, authority, scanner):
    """PS3.15 B.12: TLS 1.2 or newer."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with RawScu(secure.settings.tls_port) as scu, pytest.raises(ssl.SSLError):
        context.wrap_socket(scu.socket)
    assert "TLS handshake failed" in secure.wait_for_line("no TLS version from 1.2 on")


def test_a_sender_without_tls_on_the_tls_port(secure, series, authority, scanner):
    """Closed at once, and the line says what to do; others are not disturbed."""
    options = with_certificate(authority, scanner)
    with undisturbed(secure, series, *options, port=secure.settings.tls_port):
        done = storescu(secure, series[:1], port=secure.settings.tls_port)
    assert done.returncode != 0
    assert any("association request without TLS" in line for line in secure.lines("TLS handshake failed"))


def test_a_sender_with_tls_on_the_plain_port(secure, series, authority, scanner):
    """Closed at once, and the line says what to do."""
    began = time.monotonic()
    with undisturbed(secure, series):
        done = storescu(secure, series[:1], *with_certificate(authority, scanner))
    assert done.returncode != 0
    assert time.monotonic() - began < 30
    assert "invalid PDU" in secure.wait_for_line("a TLS handshake on the port without TLS")


def test_noise_on_the_tls_port(secure, series, authority, scanner):
    """Random bytes, a web browser, a ClientHello with damage: each ends its own connection."""
    good = HELLO
    damaged = bytearray(good)
    damaged[20:40] = os.urandom(20)
    damaged[45:49] = b"\xff" * 4
    with undisturbed(secure, series, *with_certificate(authority, scanner), port=secure.settings.tls_port):
        for noise in (b"GET / HTTP/1.1\r\n\r\n", os.urandom(2000), bytes(damaged), good + os.urandom(500)):
            with RawScu(secure.settings.tls_port) as scu, contextlib.suppress(OSError):
                scu.send(noise)
                assert scu.is_closed(30)


def test_descriptors_are_given_back(secure, authority, scanner):
    """Forty connections later, good and bad, no descriptor is left open."""
    before = secure.usage().num_fds()
    for number in range(40):
        with RawScu(secure.settings.tls_port) as bad:
            bad.send(associate_request() if number % 2 else HELLO)
        with SecureScu(secure.settings.tls_port, authority, scanner) as scu:
            scu.associate()
            scu.release()
    until(lambda: secure.usage().num_fds() <= before + 2, "descriptors closed", 30)


def test_without_tls_ca_any_client_may_call(tmp_path, series, authority):
    """The connection is encrypted; who calls is up to `peers`."""
    files = authority.files(authority.issue("open node"), ca=False)
    with ReceiverProcess(tmp_path, tls=files, tls_port=free_port()) as receiver:
        port = receiver.settings.tls_port
        done = storescu(receiver, series[:2], "+tla", "+cf", str(authority.certificate), port=port)
        assert answers(done) == ["Success"] * 2, done.stdout


def test_several_processes_behind_a_tls_port_alone(tmp_path, authority, scanner):
    """Two processes, no port without TLS: associations are answered, and the port is free afterwards."""
    settings = ReceiverSettings(
        "WMHNODE", tmp_path, f"sqlite:///{tmp_path / 'node.sqlite'}", port=0, tls_port=free_port(), processes=2,
        tls=authority.files(authority.issue("double")),
    )  # fmt: skip
    with_schema(settings.database_url)
    stop = threading.Event()
    thread = threading.Thread(target=receive, args=(settings, stop))
    thread.start()
    try:
        until(lambda: listens(settings.tls_port), "listening", 60)
        for _ in range(6):
            with SecureScu(settings.tls_port, authority, scanner) as scu:
                scu.associate()
                scu.release()
    finally:
        stop.set()
        thread.join(60)
    assert not thread.is_alive()
    assert not listens(settings.tls_port)


def test_renewed_files_are_taken_up(authority, tmp_path):
    """A new certificate counts without a restart; a broken one does not, and the old one stays."""
    first, second = authority.issue("first"), authority.issue("second")
    certificate, key = tmp_path / "node.pem", tmp_path / "node.key"
    own = ServerContext(_copied(first, certificate, key))
    before = own.current()
    _copied(second, certificate, key)
    own._looked_at -= 10
    renewed = own.current()
    assert renewed is not before
    certificate.write_text("half a fi")
    own._looked_at -= 10
    assert own.current() is renewed


def _copied(issued, certificate, key):
    certificate.write_bytes(issued.certificate.read_bytes())
    key.write_bytes(issued.key.read_bytes())
    return TlsFiles(certificate, key)


def test_files_that_cannot_work_are_named(authority, tmp_path):
    """Missing, mismatched, no PEM, expired, not valid yet: each says which file and what is wrong."""
    good, other = authority.issue("good"), authority.issue("other")
    early = authority.issue("early", dates=("350101", "360101"))
    wrong = [
        (TlsFiles(tmp_path / "missing.pem"), "missing.pem cannot be read: No such file"),
        (TlsFiles(good.certificate, other.key), "other.key does not belong to the certificate"),
        (TlsFiles(good.key, good.key), "expected a PEM certificate"),
        (authority.files(authority.expired("gone")), "gone.pem has expired"),
        (authority.files(early), "early.pem is not valid yet"),
    ]
    for files, words in wrong:
        for as_server in (True, False):
            with pytest.raises(ConfigurationError, match=words):
                inspect(files, as_server=as_server)
    facts = inspect(authority.files(good), as_server=True)
    assert 28 <= facts.days_left() <= 30
    assert facts.names == ("127.0.0.1",)


def test_settings_with_tls_travel_as_json(authority, tmp_path):
    """What a child process gets is what the parent had."""
    settings = ReceiverSettings(
        "A", tmp_path, "sqlite:///y", port=0, tls_port=2762, tls=TlsFiles(tmp_path, None, tmp_path)
    )
    assert ReceiverSettings.from_json(settings.to_json()) == settings
    assert settings.receiver == "A:2762/0"
