"""Health and metrics over HTTP, with a real database."""

from __future__ import annotations

import json
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from support.databases import with_schema
from support.deployment import METRICS
from support.processes import free_port
from support.received import series_uid

from db.engine import open_database
from db.jobs import JobTable
from db.records import NewDelivery
from db.roles import RoleTable
from dicom_node.node import metrics
from dicom_node.node.errors import ConfigurationError
from dicom_node.node.settings import Settings, load_settings
from dicom_node.serve.endpoints import Endpoints

pytestmark = pytest.mark.slow


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    settings = load_settings(None, storage=tmp_path, metrics_port=free_port(), destinations="pacs=PACS@10.0.0.5:104")
    with_schema(settings.database_url)
    return settings


def get(settings: Settings, path: str) -> tuple[int, str]:
    """Status and body."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{settings.metrics_port}{path}", timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def start_roles(settings: Settings, **model: Any) -> None:
    with closing(open_database(settings.database_url)) as database:
        roles = RoleTable(database)
        for name in ("receive", "work", "deliver"):
            roles.beat(roles.start(name, "node1", 7, "0.2.0"), **(model if name == "work" else {}))


def test_alive_means_that_the_loops_move(settings: Settings) -> None:
    """/livez answers 200, and 503 with the words once a loop is stuck, whatever the database does."""
    trouble: list[str] = []
    with Endpoints("work", settings, lambda: "; ".join(trouble) or None):
        assert get(settings, "/livez") == (200, "ok\n")
        trouble.append("analysis has not moved for 2500 s")
        assert get(settings, "/livez") == (503, "analysis has not moved for 2500 s\n")


def test_ready_means_that_the_role_can_do_its_work(settings: Settings) -> None:
    """A receiver is ready without a worker; a worker only once it holds a model; a node once all roles run."""
    with Endpoints("receive", settings):
        assert get(settings, "/readyz") == (200, "ok\n")
    with Endpoints("work", settings):
        assert get(settings, "/readyz")[0] == 503
    start_roles(settings)
    with Endpoints("serve", settings):
        status, words = get(settings, "/readyz")
        assert (status, words.startswith("model: ")) == (503, True)
    start_roles(settings, model_digest="ab" * 32)
    with Endpoints("serve", settings):
        assert get(settings, "/readyz") == (200, "ok\n")


def test_a_database_that_is_away_makes_a_role_unready_but_not_dead(settings: Settings, tmp_path: Path) -> None:
    """Without its database a role is not ready, still alive, and its metrics are those that need none."""
    away = settings.model_copy(update={"database_url": f"sqlite:///{tmp_path}/missing/node.sqlite"})
    with Endpoints("receive", away):
        assert get(away, "/livez")[0] == 200
        status, words = get(away, "/readyz")
        assert (status, words.startswith("database: ")) == (503, True)
        families = {family.name for family in text_string_to_metric_families(get(away, "/metrics")[1])}
        assert "wmh_storage_free_bytes" in families
        assert "wmh_jobs" not in families


def test_health_has_one_result_a_check(settings: Settings) -> None:
    """/health lists every check with its state, and is 503 as long as one is critical."""
    with Endpoints("serve", settings):
        status, body = get(settings, "/health")
    found = json.loads(body)
    assert (status, found["state"]) == (503, "critical")
    assert found["checks"]["database"]["state"] == "ok"
    assert found["checks"]["work"]["state"] == "critical"


def test_the_metrics_are_the_promised_ones_with_their_labels(settings: Settings) -> None:
    """Every metric has a promised name and its labels, and says what the tables say."""
    start_roles(settings, model_digest="ab" * 32)
    with closing(open_database(settings.database_url)) as database:
        jobs = JobTable(database)
        jobs.enqueue(series_uid(1), "a" * 64, 24)
        jobs.enqueue(series_uid(2), "b" * 64, 24)
        job = jobs.claim("w", 60)
        assert job is not None
        jobs.deliver(job.id, "w", {"wmh_volume_ml": 1.0}, [NewDelivery("pacs", ["x"])], {})
    metrics.instance_received("MR1", "new")
    metrics.association_ended("other", "rejected")
    metrics.series_rejected("not_flair")
    metrics.delivery_attempted("pacs", "sent")
    metrics.analysed({"seconds": {"infer": 1.5}})
    metrics.result_proven(42)
    with Endpoints("serve", settings):
        families = {family.name: family for family in text_string_to_metric_families(get(settings, "/metrics")[1])}
    ours = {name: family for name, family in families.items() if name.startswith("wmh_")}
    totals = {name.removesuffix("_total") for name in METRICS}
    assert set(ours) <= totals
    for name, family in ours.items():
        labels = METRICS.get(name, METRICS.get(f"{name}_total"))
        for sample in family.samples:
            assert set(sample.labels) - {"le"} == labels, sample
    assert totals - set(ours) == {"wmh_certificate_expiry_timestamp_seconds", "wmh_last_backup_timestamp_seconds"}
    assert {sample.labels["state"]: sample.value for sample in ours["wmh_jobs"].samples} == {
        "queued": 1, "delivering": 1,
    }  # fmt: skip
    assert [sample.labels for sample in ours["wmh_model_info"].samples] == [{"digest": "ab" * 32}]


def test_nothing_listens_until_a_port_is_set(settings: Settings) -> None:
    """Without METRICS_PORT there is no socket."""
    with Endpoints("serve", settings.model_copy(update={"metrics_port": None})) as endpoints:
        assert endpoints.port == 0


def test_it_listens_on_the_loopback_address(settings: Settings) -> None:
    """With a port alone, other machines cannot reach it."""
    assert settings.metrics_bind == "127.0.0.1"


def test_a_taken_port_is_said_with_a_remedy(settings: Settings) -> None:
    """The settings to change are named."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", settings.metrics_port))
        taken.listen()
        with pytest.raises(ConfigurationError, match="WMH_NODE_METRICS_PORT"), Endpoints("serve", settings):
            pass


def test_other_paths_and_methods_give_nothing_away(settings: Settings) -> None:
    """There is nothing but the four pages, and nothing can be written."""
    with Endpoints("serve", settings):
        assert get(settings, "/")[0] == 404
        assert get(settings, "/../etc/passwd")[0] == 404
        request = urllib.request.Request(f"http://127.0.0.1:{settings.metrics_port}/livez", data=b"x", method="POST")
        with pytest.raises(urllib.error.HTTPError, match="501"):
            urllib.request.urlopen(request, timeout=30)
