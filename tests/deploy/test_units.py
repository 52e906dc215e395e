"""The systemd units, checked by systemd itself."""

from __future__ import annotations

import configparser
import re
import subprocess
from pathlib import Path

import pytest
from support.deployment import DEPLOY, ROLES
from support.peers import peer

UNITS = DEPLOY / "systemd"
MOST_EXPOSED = 1.5


def directives(path: Path) -> list[tuple[str, str]]:
    """Directives of a unit in order; a name may come more than once."""
    found = re.findall(r"^([A-Za-z]+)=(.*)$", path.read_text(), re.MULTILINE)
    return [(name, value) for name, value in found]


@pytest.mark.peer("systemd")
@pytest.mark.parametrize("role", ROLES)
def test_each_unit_is_closed_to_what_its_role_does_not_need(role: str) -> None:
    """systemd-analyze security scores each unit 1.5 or better."""
    unit = UNITS / f"wmh-node-{role}.service"
    command = [peer("systemd-analyze"), "security", "--offline=true", str(unit)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    score = re.search(r"Overall exposure level for \S+: ([0-9.]+)", printed)
    assert score is not None, printed
    assert float(score[1]) <= MOST_EXPOSED, printed


@pytest.mark.peer("systemd")
def test_systemd_finds_no_fault_in_the_units(tmp_path: Path) -> None:
    """systemd-analyze verify says nothing about the units and the target."""
    for unit in UNITS.glob("wmh-node*.[st]*"):
        text = unit.read_text().replace("/opt/wmh-node/bin/wmh-node", "/bin/true")  # the program is not installed here
        (tmp_path / unit.name).write_text(text)
    units = sorted(map(str, [*tmp_path.glob("*.service"), *tmp_path.glob("*.target")]))
    assert len(units) == len(ROLES) + 1
    verified = subprocess.run([peer("systemd-analyze"), "verify", *units], capture_output=True, text=True, check=False)
    assert (verified.returncode, verified.stdout + verified.stderr) == (0, "")


@pytest.mark.parametrize("role", ROLES)
def test_each_role_reports_to_systemd_and_is_restarted(role: str) -> None:
    """A role says when it is ready, is watched, and restarts for ever; only its user runs it."""
    settings = dict(directives(UNITS / f"wmh-node-{role}.service"))
    assert settings["Type"] == "notify"
    assert int(settings["WatchdogSec"]) > 0
    assert settings["Restart"] == "always"
    assert settings["StartLimitIntervalSec"] == "0"
    assert settings["User"] == "wmh-node"
    assert settings["ExecStart"].split() == ["/opt/wmh-node/bin/wmh-node", role]


def test_secrets_reach_the_roles_as_credentials_only() -> None:
    """No unit holds a password or names a secret's file in a place that its user can list."""
    for role in ROLES:
        found = directives(UNITS / f"wmh-node-{role}.service")
        credentials = [value for name, value in found if name == "LoadCredential"]
        # A relative source is looked for in /etc/credstore, and may be missing.
        of_messages = ["mail.secret:wmh-node.mail", "webhook.secret:wmh-node.webhook"] if role == "deliver" else []
        assert credentials == ["pgpass:wmh-node.pgpass", "tls-key:wmh-node.tls-key", *of_messages]
        assert not [value for name, value in found if name == "Environment" and "PASSWORD" in value]


def test_the_units_differ_only_where_a_role_needs_it() -> None:
    """Hardening is the same in all four units but for what OpenVINO and the readers of the worker need."""
    hardening = {}
    for role in ROLES:
        lines = (UNITS / f"wmh-node-{role}.service").read_text().split("CapabilityBoundingSet=")[1].splitlines()
        hardening[role] = {line for line in lines if line and not line.startswith(("#", "["))}
    assert hardening["receive"] == hardening["deliver"] == hardening["web"]
    assert hardening["work"] - hardening["receive"] == {
        "MemoryDenyWriteExecute=no",
        "ProcSubset=all",
        "SystemCallFilter=~@privileged",
    }


def test_the_roles_start_with_the_target() -> None:
    """Each unit belongs to wmh-node.target, which starts with the machine."""
    target = configparser.ConfigParser()
    target.read(UNITS / "wmh-node.target")
    assert target["Install"]["WantedBy"] == "multi-user.target"
    for role in ROLES:
        settings = dict(directives(UNITS / f"wmh-node-{role}.service"))
        assert settings["WantedBy"] == settings["PartOf"] == "wmh-node.target"
