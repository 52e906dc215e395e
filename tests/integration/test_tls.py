"""End to end over TLS alone: Orthanc routes a series to the node, SEG and SR come back, and nothing is in clear."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pydicom
import pytest
from support import orthanc as pacs
from support.certificates import Authority
from support.models import tiny_bundle
from support.node import AE_TITLE, Node
from support.peers import peer
from support.phantoms import phantom_files
from support.processes import free_port, listens, program, until

from dicom_node.deliver.send import send_files
from dicom_node.demo.phantom.phantom import PhantomSpec
from dicom_node.node.tls import ClientTls

pytestmark = [pytest.mark.peer("Orthanc"), pytest.mark.peer("openssl"), pytest.mark.slow, pytest.mark.timeout(600)]


class TlsNode(Node):
    """A node whose port without TLS is closed; `port` is its TLS port."""

    def __init__(self, folder: Path, destinations: str, model: Path, authority: Authority) -> None:
        super().__init__(folder, destinations, model)
        own = authority.issue("node")
        secure = {
            "dicom_port": 0,
            "dicom_tls_port": self.port,
            "tls_certificate": own.certificate,
            "tls_key": own.key,
            "tls_ca": authority.certificate,
        }
        self.environment |= {f"WMH_NODE_{name.upper()}": str(value) for name, value in secure.items()}


def send(files: list[Path], ae_title: str, port: int, authority: Authority) -> None:
    """Send as a scanner with a certificate."""
    to = SimpleNamespace(ae_title=ae_title, host="127.0.0.1", port=port)
    outcomes = send_files(files, to, tls=ClientTls(authority.files(authority.issue("scanner"))))
    assert all(outcome.ok for outcome in outcomes), outcomes[0].detail


def test_orthanc_and_the_node_over_tls(tmp_path: Path) -> None:
    """A scanner to Orthanc, Orthanc to the node, the node's results to Orthanc: both sides show certificates."""
    authority = Authority(tmp_path / "ca")
    files = phantom_files(PhantomSpec(slices=12, matrix=128), tmp_path / "series")
    pacs_port, model = free_port(), tiny_bundle(tmp_path / "model")
    results = f"pacs={pacs.AE_TITLE}@127.0.0.1:{pacs_port}+tls"
    with (
        TlsNode(tmp_path / "node", results, model, authority) as node,
        pacs.orthanc(
            tmp_path / "pacs",
            {"wmhnode": (AE_TITLE, node.port)},
            lua=pacs.AUTOROUTING,
            dicom_port=pacs_port,
            tls=authority.files(authority.issue("pacs")),
        ) as archive,
    ):
        send(files, pacs.AE_TITLE, pacs_port, authority)
        (job,) = node.ended_jobs()
        assert str(job.state) == "done", job.reason
        stored = until(
            lambda: archive.find("Series", Modality="SEG") and archive.find("Series", Modality="SR"), "SR", 60
        )
        assert len(stored) == 1


def test_a_destination_whose_certificate_ran_out(tmp_path: Path) -> None:
    """Nothing is sent to it; the job waits, and says why; with a good certificate the results arrive."""
    authority = Authority(tmp_path / "ca")
    files = phantom_files(PhantomSpec(slices=12, matrix=128), tmp_path / "series")
    port, folder = free_port(), tmp_path / "pacs"
    folder.mkdir()

    def storescp(issued, log):
        options = ["+tls", issued.key, issued.certificate, "+cf", authority.certificate, "-od", folder]
        return program([peer("storescp"), *map(str, options), str(port)], tmp_path / log, port)

    results = f"pacs=PACS@127.0.0.1:{port}+tls"
    with TlsNode(tmp_path / "node", results, tiny_bundle(tmp_path / "model"), authority) as node:
        with storescp(authority.expired("old"), "old.log"):
            send(files, AE_TITLE, node.port, authority)
            job = node.wait_for_state("delivering")
            until(lambda: "has expired" in node.log.read_text(), "the reason", 60, node.log)
            assert "certificate has expired" in node.cli("jobs", "explain", job.id).stdout
            assert not list(folder.iterdir())
        until(lambda: not listens(port), "port free")
        with storescp(authority.issue("renewed"), "renewed.log"):
            (job,) = node.ended_jobs()
            assert str(job.state) == "done", job.reason
    sent = [pydicom.dcmread(file, stop_before_pixels=True) for file in folder.iterdir()]
    assert {dataset.Modality for dataset in sent} == {"OT", "SEG", "SR"}
