"""`wmh-node config show | check`."""

from __future__ import annotations

import json
import os
from pathlib import Path

from support.node import run_cli


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
