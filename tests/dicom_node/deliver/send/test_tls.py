"""Sending over TLS to DCMTK's storescp: what arrives, and what is said when it cannot."""

from __future__ import annotations

import socket
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
from support.certificates import Authority
from support.dcmtk import storescp
from support.mr import mr_series
from support.peers import peer
from support.processes import free_port, program

from dicom_node.deliver.send import echo, send_files
from dicom_node.deliver.send.scu import Timeouts
from dicom_node.node.errors import DeliveryError
from dicom_node.node.tls import ClientTls, TlsFiles

pytestmark = [pytest.mark.peer("storescp"), pytest.mark.peer("openssl"), pytest.mark.slow]

_FAST = Timeouts(connection=3, acse=3, dimse=5, network=5)


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """The hospital's CA."""
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def node(authority):
    """Our own certificate."""
    return authority.issue("node")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Three objects, larger than a TLS record."""
    return mr_series(tmp_path_factory.mktemp("series"), 3, matrix=128)


@contextmanager
def pacs(folder, authority, issued):
    """storescp over TLS, which asks for client certificates of `authority`; gives its port."""
    port = free_port()
    folder.mkdir()
    options = ["+tls", issued.key, issued.certificate, "+cf", authority.certificate, "-od", folder]
    with program([peer("storescp"), *map(str, options), str(port)], folder.with_suffix(".log"), port):
        yield port


def peer_at(port):
    return SimpleNamespace(ae_title="PACS", host="127.0.0.1", port=port)


def refusal(files, port, tls):
    """What is said of a file that could not be sent; none was."""
    outcomes = send_files(files, peer_at(port), timeouts=_FAST, tls=tls)
    assert [(outcome.status, outcome.ok) for outcome in outcomes] == [(None, False)] * len(files)
    with pytest.raises(DeliveryError):
        echo(peer_at(port), timeouts=_FAST, tls=tls)
    return outcomes[0].detail


def test_a_pacs_over_tls_gets_every_object(tmp_path, authority, node, files):
    """Both sides show a certificate; storescp holds all files, and C-ECHO is answered."""
    with pacs(tmp_path / "pacs", authority, authority.issue("pacs")) as port:
        tls = ClientTls(authority.files(node))
        assert [outcome.status for outcome in send_files(files, peer_at(port), tls=tls)] == [0, 0, 0]
        echo(peer_at(port), tls=tls)
    assert len(list((tmp_path / "pacs").iterdir())) == 3


def test_a_pacs_that_asks_for_our_certificate(tmp_path, authority, files):
    """We have none, or one of another CA: nothing is sent, and the reason says whose certificate it is about."""
    with pacs(tmp_path / "pacs", authority, authority.issue("pacs")) as port:
        assert "certificate" in refusal(files, port, ClientTls(TlsFiles(ca=authority.certificate)))
        stranger = Authority(tmp_path / "other", "another CA").issue("stranger")
        tls = ClientTls(TlsFiles(stranger.certificate, stranger.key, authority.certificate))
        assert "our certificate" in refusal(files, port, tls)


def test_a_pacs_that_we_must_not_trust(tmp_path, authority, node, files):
    """Another CA's certificate, the system's CAs only, an expired one: nothing is sent."""
    other = Authority(tmp_path / "other", "another CA")
    with pacs(tmp_path / "pacs", authority, authority.issue("pacs")) as port:
        own = TlsFiles(node.certificate, node.key, other.certificate)
        assert "the peer's certificate is not accepted" in refusal(files, port, ClientTls(own))
        assert "not accepted" in refusal(files, port, ClientTls(authority.files(node, ca=False)))
    with pacs(tmp_path / "old", authority, authority.expired("old pacs")) as port:
        assert "certificate has expired" in refusal(files, port, ClientTls(authority.files(node)))
    assert not list((tmp_path / "old").iterdir())


def test_a_certificate_for_another_host(tmp_path, authority, node, files):
    """Refused with the way out in the reason; taken when the destination says that names do not count."""
    with pacs(tmp_path / "pacs", authority, authority.issue("elsewhere", names="DNS:pacs.example")) as port:
        assert "tls_check_name = false" in refusal(files, port, ClientTls(authority.files(node)))
        tls = ClientTls(authority.files(node), check_name=False)
        assert all(outcome.ok for outcome in send_files(files, peer_at(port), tls=tls))


def test_a_single_devices_certificate_may_be_trusted(tmp_path, authority, node, files):
    """Its own certificate in place of a CA."""
    issued = authority.issue("pacs")
    with pacs(tmp_path / "pacs", authority, issued) as port:
        tls = ClientTls(TlsFiles(node.certificate, node.key, issued.certificate))
        assert all(outcome.ok for outcome in send_files(files, peer_at(port), tls=tls))


def test_one_side_alone_speaks_tls(tmp_path, authority, node, files):
    """TLS to a peer without it, and the other way round: an outcome with a reason, soon."""
    port = free_port()
    with storescp(tmp_path / "plain", port, tmp_path / "storescp.log"):
        assert "TLS" in refusal(files, port, ClientTls(authority.files(node)))
    with pacs(tmp_path / "pacs", authority, authority.issue("pacs")) as secure:
        assert not any(outcome.ok for outcome in send_files(files, peer_at(secure), timeouts=_FAST))


def test_a_peer_that_never_answers_the_handshake(authority, node, files):
    """It accepts the connection and is silent: given up after the connection's timeout."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        detail = refusal(files[:1], silent.getsockname()[1], ClientTls(authority.files(node)))
    assert "handshake" in detail


def test_files_that_cannot_be_used_are_a_reason(authority, node, files, tmp_path):
    """Our key is gone: the delivery fails with its name, and will be tried again."""
    tls = ClientTls(TlsFiles(node.certificate, tmp_path / "gone.key", authority.certificate))
    assert "gone.key cannot be read" in refusal(files[:1], free_port(), tls)
