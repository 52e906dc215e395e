"""`wmh-node config show | check`."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from support.node import run_cli
from support.processes import free_port

from dicom_node.cli import config
from dicom_node.cli.config import _check_storage

VERIFICATION = "1.2.840.10008.1.1"
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
PRESENTATION_STATE = "1.2.840.10008.5.1.4.1.1.11.1"
PDF = "1.2.840.10008.5.1.4.1.1.104.1"


def _environment(**variables: object) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("WMH_NODE_")}
    return clean | {f"WMH_NODE_{name.upper()}": str(value) for name, value in variables.items()}


def test_show_prints_what_is_set() -> None:
    """`config show` prints every setting under the name of its variable; `--json` prints them for scripts."""
    environment = _environment(ae_title="HOSPITAL", destinations="pacs=ORTHANC@10.0.0.5:4242")
    text = run_cli("config", "show", environment=environment).stdout
    assert "WMH_NODE_AE_TITLE" in text
    assert "HOSPITAL" in text
    values = json.loads(run_cli("config", "show", "--json", environment=environment).stdout)
    assert values["ae_title"] == "HOSPITAL"
    assert values["destinations"][0]["port"] == 4242


def test_a_wrong_setting_is_a_usage_error() -> None:
    """A setting that cannot be read ends every command with exit 2 and its name on stderr."""
    done = run_cli("config", "show", environment=_environment(dicom_port="abc"), code=2)
    assert "WMH_NODE_DICOM_PORT" in done.stderr
    assert done.stdout == ""


def test_check_finds_what_does_not_work(tmp_path: Path) -> None:
    """`config check` exits 1 and names a destination that does not answer, a model that is not there, and a variable
    that no setting has."""
    environment = _environment(
        storage=tmp_path / "storage", destinations="pacs=NOBODY@127.0.0.1:1", model=tmp_path / "absent", agetitle="x"
    )
    done = run_cli("config", "check", "--json", environment=environment, code=1)
    findings = {finding["what"]: finding for finding in json.loads(done.stdout)}
    assert not findings["destination pacs"]["ok"]
    assert not findings["model"]["ok"]
    assert not findings["WMH_NODE_AGETITLE"]["ok"]
    assert findings["storage"]["ok"]
    assert findings["database"]["ok"]


@pytest.mark.parametrize(
    ("choice", "why", "words", "warns"),
    [
        ("auto", None, "the GPU, with TensorFlow", False),
        ("auto", "no GPU here", "the CPU, with OpenVINO; no GPU here", False),
        ("auto", "there is a GPU, but TensorFlow sees none", "the CPU, with OpenVINO; there is a GPU, but", True),
        ("tensorflow", "there is a GPU, but TensorFlow sees none", "the CPU, with TensorFlow; there is a GPU", True),
        ("openvino", None, "as the setting RUNTIME says", False),
    ],
)
def test_check_says_which_device_computes(
    choice: Any, why: str | None, words: str, warns: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The GPU, or the CPU and why; a GPU that lies idle although it could compute is a note."""
    monkeypatch.setattr(config, "why_no_gpu", lambda: why)
    said = config._check_device(choice)
    assert words in said.words
    assert said.warning is warns


def test_check_names_what_a_destination_rejects(tmp_path: Path) -> None:
    """A destination that answers C-ECHO and takes no SEG would fail every job: found before the first, by name."""
    from pynetdicom import AE

    ae = AE(ae_title="OLDPACS")
    for accepted in (VERIFICATION, SECONDARY_CAPTURE, PRESENTATION_STATE, PDF):
        ae.add_supported_context(accepted)
    port = free_port()
    server = ae.start_server(("127.0.0.1", port), block=False)
    places = {"full": "", "old": "+legacy", "map": "+legacy+probability"}
    destinations = ", ".join(f"{name}=OLDPACS@127.0.0.1:{port}{profile}" for name, profile in places.items())
    environment = _environment(storage=tmp_path / "storage", destinations=destinations)
    try:
        done = run_cli("config", "check", "--json", environment=environment, code=1)
    finally:
        server.shutdown()
    findings = {finding["what"]: finding for finding in json.loads(done.stdout)}
    assert findings["destination old"]["ok"]
    assert not findings["destination full"]["ok"]
    told = findings["destination full"]["detail"]
    assert "accepts no segmentations (Segmentation Storage), no reports (Comprehensive 3D SR Storage)" in told
    assert "the profile +legacy" in told
    told = findings["destination map"]["detail"]
    assert "accept the SOP class there; or leave out +probability, which counts" in told
    assert "profile" not in told


def test_check_warns_of_a_storage_that_everybody_may_write_to(tmp_path: Path) -> None:
    """Who else may change received images is said with the command that ends it; a folder of ours is no warning."""
    storage = tmp_path / "storage"
    storage.mkdir(mode=0o750)
    assert not _check_storage(storage).warning
    storage.chmod(0o777)
    found = _check_storage(storage)
    assert found.warning
    assert f"chmod o-w {storage}" in found.words
    storage.chmod(0o750)
    kept = storage / "instances"
    kept.mkdir()
    kept.chmod(0o777)
    assert f"chmod o-w {kept}" in _check_storage(storage).words
    kept.chmod(0o750)
    tmp_path.chmod(0o777)
    assert f"chmod o-w {tmp_path}" in _check_storage(storage).words
    tmp_path.chmod(0o1777)  # as /tmp: only owners take away
    assert not _check_storage(storage).warning
