"""What `config check` says about who can reach the node, and where results go."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest
from support.node import clean_environment, run_here
from support.processes import free_port

from dicom_node.cli.network_check import Said, network_checks
from dicom_node.node.errors import ConfigurationError
from dicom_node.node.settings import Settings


def said(what: str, **values: Any) -> Said:
    """The outcome of the check of that name."""
    return dict(network_checks(Settings(**values)))[what]()


def names(**values: Any) -> set[str]:
    """The checks that these settings need."""
    return {what for what, _ in network_checks(Settings(**values))}


@pytest.mark.parametrize("bind", ["127.0.0.1", "::1", "localhost"])
def test_a_node_that_no_peer_can_reach(bind: str) -> None:
    """Listening on loopback only while peers names other machines: a warning that names them and what to set."""
    found = said("bind", bind=bind, peers="CT1@10.0.0.7, MR1@10.1.0.0/16, HERE@127.0.0.1, ANY")
    assert found.warning
    assert "CT1@10.0.0.7, MR1@10.1.0.0/16;" in found.words
    assert "WMH_NODE_BIND" in found.words


@pytest.mark.parametrize(
    ("bind", "peers"),
    [
        ("0.0.0.0", "CT1@10.0.0.7"),
        ("10.0.0.5", "CT1@10.0.0.7"),
        ("127.0.0.1", ""),
        ("127.0.0.1", "ANY"),
        ("127.0.0.1", "PROXY@localhost, HERE@127.0.0.0/8, SIX@::1, ALL@0.0.0.0/0"),
    ],
)
def test_a_node_that_its_peers_can_reach(bind: str, peers: str) -> None:
    """No warning where a working set-up says so: a proxy or a sender on this machine, or an address of ours."""
    assert not said("bind", bind=bind, peers=peers).warning


@pytest.mark.parametrize("bind", ["0.0.0.0", "::", "10.0.0.5"])
def test_a_node_that_everybody_may_send_to(bind: str) -> None:
    """Open to other machines without `peers`: a warning that says what to set."""
    found = said("bind", bind=bind)
    assert found.warning
    assert "WMH_NODE_PEERS" in found.words


@pytest.mark.parametrize("peers", ["CT1", "CT1@10.0.0.7, ANY@0.0.0.0/0", "SIX@::/0"])
def test_a_node_that_everybody_may_send_to_under_a_title(peers: str) -> None:
    """A title alone keeps no machine out: a warning that names the entry."""
    found = said("bind", bind="0.0.0.0", peers=peers)
    assert found.warning
    assert peers.rsplit(", ", maxsplit=1)[-1] in found.words


def test_a_taken_port() -> None:
    """A taken port is a warning that says that the node itself may hold it; a free one is said to be free."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        found = said("dicom_port", dicom_port=port)
        assert found.warning
        assert f"127.0.0.1:{port} is in use: expected when the node is already running" in found.words
    free = free_port()
    assert said("dicom_port", dicom_port=free) == Said(f"127.0.0.1:{free} is free")
    assert names(dicom_port=0, dicom_tls_port=free, tls_certificate="own.pem") >= {"dicom_tls_port"}


def test_a_port_that_this_user_cannot_open() -> None:
    """An address of another machine is a warning too: that one may run the receiver."""
    found = said("dicom_port", bind="192.0.2.1")
    assert found.warning
    assert "cannot listen on 192.0.2.1:11112" in found.words


def test_the_name_of_a_peer() -> None:
    """A host name that does not resolve refuses that peer: wrong, by name; one that does is shown with its addresses.

    An address and a network need no look.
    """
    with pytest.raises(ConfigurationError, match=r"'ct1\.invalid' does not resolve .* CT1 is refused"):
        said("peer CT1@ct1.invalid", peers="CT1@ct1.invalid")
    assert "127.0.0.1" in said("peer HERE@localhost", peers="HERE@localhost").words
    assert not [name for name in names(peers="CT1@10.0.0.7, MR1@10.1.0.0/16, SIX@fe80::1%eth0, ANY") if "peer" in name]


def test_nowhere_to_send_results() -> None:
    """Without a destination results stay in the outbox, which may be meant so: a warning."""
    found = said("destinations")
    assert found.warning
    assert "stay in the outbox" in found.words
    assert "destinations" not in names(destinations="pacs=PACS@10.0.0.5:104")


@pytest.mark.slow
def test_a_warning_is_no_failure(tmp_path: Path) -> None:
    """`config check` exits 0 where it only warns, and marks warnings in text and JSON; an unknown name exits 1."""
    environment = clean_environment() | {
        "WMH_NODE_STORAGE": str(tmp_path / "storage"),
        "WMH_NODE_DICOM_PORT": str(free_port()),
        "WMH_NODE_PEERS": "CT1@10.0.0.7",
    }
    findings = {
        entry["what"]: entry
        for entry in json.loads(run_here("config", "check", "--json", environment=environment).stdout)
    }
    assert {what for what, finding in findings.items() if finding["warning"]} == {"bind", "destinations"}
    assert all(finding["ok"] for finding in findings.values())
    lines = run_here("config", "check", environment=environment).stdout.splitlines()
    assert [line.split(":")[0] for line in lines if line.startswith("note")] == ["note  bind", "note  destinations"]
    environment["WMH_NODE_PEERS"] = "CT1@ct1.invalid"
    assert "no    peer CT1@ct1.invalid: the name" in run_here("config", "check", environment=environment, code=1).stdout
