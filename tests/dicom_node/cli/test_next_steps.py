"""What a command says that a person does next."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.node import clean_environment, run_here


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Of a node with tables and nothing in them."""
    found = {**clean_environment(), "WMH_NODE_STORAGE": str(tmp_path / "storage")}
    run_here("db", "upgrade", environment=found)
    return found


def test_a_restored_node_needs_two_steps(environment: dict[str, str], tmp_path: Path) -> None:
    """`backup restore` says where STORAGE has to point and what lets results out; `backup release` on another STORAGE
    asks whether it is the one."""
    run_here("backup", "create", tmp_path / "backup", environment=environment)
    new = tmp_path / "new"
    done = run_here("backup", "restore", tmp_path / "backup", "--into", new, environment=environment)
    said = " ".join(done.stdout.split())
    assert f"set STORAGE to {new}" in said.replace("- ", "-") and "until `wmh-node backup release`" in said
    wrong = " ".join(run_here("backup", "release", environment=environment).stdout.split())
    assert "is this the STORAGE that was restored?" in wrong
    right = run_here("backup", "release", environment={**environment, "WMH_NODE_STORAGE": str(new)}).stdout
    assert "results are sent again" in " ".join(right.split())


def test_a_password_that_nobody_can_type(environment: dict[str, str]) -> None:
    """Without a terminal `accounts add` names the option for scripts, and makes no account."""
    done = run_here("accounts", "add", "anna", environment=environment, code=2)
    assert "--password-stdin" in " ".join(done.stderr.split())
    assert "no accounts" in run_here("accounts", "list", environment=environment).stdout


def test_nothing_is_cut_in_a_pipe(environment: dict[str, str], tmp_path: Path) -> None:
    """`config show` into a pipe has each setting whole, on one line, to be copied and searched."""
    destinations = ", ".join(
        f"pacs{number}=ARCHIVE{number}@archive{number}.hospital.example:104" for number in range(9)
    )
    long = {**environment, "WMH_NODE_DESTINATIONS": destinations}
    shown = run_here("config", "show", environment=long).stdout
    (line,) = (line for line in shown.splitlines() if "WMH_NODE_DESTINATIONS" in line)
    assert line.split(maxsplit=1)[1].strip() == destinations
    assert "WMH_NODE_DELIVERY_RETRY_LONGEST_SECONDS" in shown
