"""`wmh-node status` as a person and as a monitoring program call it."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

from support.databases import with_schema
from support.node import clean_environment, run_cli, run_here

from db.engine import open_database
from db.roles import RoleTable


def url_of(folder: Path) -> str:
    return f"sqlite:///{folder}/node.sqlite"


def environment(folder: Path) -> dict[str, str]:
    return {
        **clean_environment(), "WMH_NODE_STORAGE": str(folder), "WMH_NODE_DATABASE_URL": url_of(folder),
        "WMH_NODE_DESTINATIONS": "pacs=PACS@10.0.0.5:104",
    }  # fmt: skip


def test_a_node_that_is_stopped_looks_stopped(tmp_path: Path) -> None:
    """With the roles stopped the exit code is 2 and each role says how to start it; nothing is cut when piped."""
    with_schema(url_of(tmp_path))
    done = run_cli("status", environment=environment(tmp_path), code=2)
    assert done.stdout.startswith("wmh-node: the node does not do its work")
    for role in ("receive", "work", "deliver"):
        assert f"start `wmh-node serve`, or `systemctl start wmh-node-{role}`" in done.stdout


def test_the_json_holds_what_the_screen_shows(tmp_path: Path) -> None:
    """--json gives state, checks, roles and counts, and the same exit code."""
    with_schema(url_of(tmp_path))
    with closing(open_database(url_of(tmp_path))) as database:
        RoleTable(database).start("receive", "node1", 7, "0.2.0")
    found = json.loads(run_here("status", "--json", environment=environment(tmp_path), code=2).stdout)
    assert found["state"] == "critical"
    assert [role["role"] for role in found["roles"]] == ["receive"]
    assert {check["name"]: check["state"] for check in found["checks"]}["receive"] == "ok"
    assert (found["jobs"], found["deliveries"], found["waiting_series"]) == ({}, [], 0)


def test_status_makes_nothing(tmp_path: Path) -> None:
    """Asked about a node that was never started, it makes neither a database nor a folder."""
    run_cli("status", environment=environment(tmp_path / "never"), code=2)
    assert not (tmp_path / "never").exists()
