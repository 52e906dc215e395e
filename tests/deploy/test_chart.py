"""The Helm chart, rendered by Helm's own library and checked by Kubernetes' schemas."""

from __future__ import annotations

from typing import Any

import kubernetes_validate
import pytest
import yaml
from support.deployment import DEPLOY
from support.helm import HelmRefused, helm_lint, helm_render

CHART = str(DEPLOY / "chart")
KUBERNETES = "1.31"
DATABASE = {"database": {"url": "postgresql://wmh_node@pg/wmh_node", "passwordSecret": {"name": "wmh-database"}}}
WITH_EVERYTHING = {
    **DATABASE,
    "web": {"enabled": True},
    "tls": {"secretName": "wmh-tls", "requireClientCertificate": True},
    "work": {"gpu": {"enabled": True}},
    "autoscaling": {"kind": "hpa"},
}


def rendered(values: dict[str, Any]) -> dict[tuple[str, str], Any]:
    """Manifests by kind and name."""
    texts = helm_render(CHART, values)
    documents = [
        document
        for name, text in texts.items()
        if name.endswith(".yaml")
        for document in yaml.safe_load_all(text)
        if document
    ]
    return {(document["kind"], document["metadata"]["name"]): document for document in documents}


@pytest.fixture(scope="module")
def plain() -> dict[tuple[str, str], Any]:
    """The chart with a database alone."""
    return rendered(DATABASE)


@pytest.fixture(scope="module")
def full() -> dict[tuple[str, str], Any]:
    """The chart with everything on."""
    return rendered(WITH_EVERYTHING)


def pod(document: Any) -> Any:
    """The pod's spec of a Deployment or a Job."""
    return document["spec"]["template"]["spec"]


def environment(document: Any) -> dict[str, Any]:
    """A pod's environment variables."""
    return {entry["name"]: entry.get("value") for entry in pod(document)["containers"][0]["env"]}


def test_helm_finds_no_fault() -> None:
    """helm lint reports neither an error nor a warning."""
    found = helm_lint(CHART, DATABASE)
    assert found["errors"] == []
    assert [entry for entry in found["messages"] if entry["severity"] > 1] == []


def test_kubernetes_takes_every_manifest(plain: dict[Any, Any], full: dict[Any, Any]) -> None:
    """Each manifest is valid by the strict schema, which knows every field."""
    assert len(full) > len(plain) > 8
    for document in [*plain.values(), *full.values()]:
        kubernetes_validate.validate(document, KUBERNETES, strict=True)


def test_peers_keep_their_address(plain: dict[Any, Any]) -> None:
    """The DICOM service passes on the address of the caller, which PEERS checks; no value can change that."""
    assert plain["Service", "demo-dicom"]["spec"]["externalTrafficPolicy"] == "Local"
    with pytest.raises(HelmRefused, match="HelmValuesError"):
        rendered({**DATABASE, "receive": {"service": {"externalTrafficPolicy": "Cluster"}}})


def test_pods_may_do_nothing_but_their_work(full: dict[Any, Any]) -> None:
    """Every pod runs as 10001 on a read-only root without capabilities and without a token of the cluster."""
    pods = [pod(document) for (kind, _), document in full.items() if kind in ("Deployment", "Job")]
    assert len(pods) == 5
    for spec in pods:
        assert spec["automountServiceAccountToken"] is False
        assert spec["securityContext"]["runAsUser"] == 10001
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in spec["containers"]:
            security = container["securityContext"]
            assert security["readOnlyRootFilesystem"] is True
            assert security["allowPrivilegeEscalation"] is False
            assert security["capabilities"] == {"drop": ["ALL"]}
            assert container["resources"]["limits"]["memory"]


def test_a_worker_may_finish_its_lease(plain: dict[Any, Any]) -> None:
    """The worker's grace period is longer than its lease, and a shorter one is refused with both numbers."""
    grace = pod(plain["Deployment", "demo-work"])["terminationGracePeriodSeconds"]
    assert grace > int(environment(plain["Deployment", "demo-work"])["WMH_NODE_LEASE_SECONDS"])
    with pytest.raises(HelmRefused, match=r"(?s)HelmRenderError.*more than settings\.LEASE_SECONDS \(60\), got 60"):
        rendered({**DATABASE, "work": {"terminationGracePeriodSeconds": 60}})


def test_one_receiver_a_volume(plain: dict[Any, Any]) -> None:
    """The old receiver ends before the new one starts, since a second one on the same storage is refused."""
    spec = plain["Deployment", "demo-receive"]["spec"]
    assert (spec["replicas"], spec["strategy"]["type"]) == (1, "Recreate")


def test_the_schema_is_upgraded_before_the_roles_start(plain: dict[Any, Any]) -> None:
    """The migration is a hook that needs nothing of the release: its settings are inline, its storage its own."""
    job = plain["Job", "demo-migrate"]
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    assert pod(job)["containers"][0]["args"] == ["db", "upgrade"]
    assert environment(job)["WMH_NODE_DATABASE_URL"] == DATABASE["database"]["url"]
    assert [volume for volume in pod(job)["volumes"] if "emptyDir" not in volume] == []


def test_a_drain_takes_one_pod_at_a_time(full: dict[Any, Any]) -> None:
    """Each role has a disruption budget whose selector is the one of its Deployment."""
    for role in ("receive", "work", "deliver", "web"):
        budget = full["PodDisruptionBudget", f"demo-{role}"]["spec"]
        assert budget["maxUnavailable"] == 1
        assert budget["selector"] == full["Deployment", f"demo-{role}"]["spec"]["selector"]


def test_data_outlives_an_uninstall(plain: dict[Any, Any]) -> None:
    """The volume claim stays when the release is removed."""
    claim = plain["PersistentVolumeClaim", "demo-storage"]
    assert claim["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"


def test_workers_follow_the_queue() -> None:
    """HPA and KEDA count wmh_jobs{state="queued"}, and the Deployment leaves the number of workers to them."""
    hpa = rendered({**DATABASE, "autoscaling": {"kind": "hpa"}})
    metric = hpa["HorizontalPodAutoscaler", "demo-work"]["spec"]["metrics"][0]["external"]["metric"]
    assert metric == {"name": "wmh_jobs", "selector": {"matchLabels": {"state": "queued"}}}
    assert "replicas" not in hpa["Deployment", "demo-work"]["spec"]
    keda = rendered({**DATABASE, "autoscaling": {"kind": "keda", "prometheusAddress": "http://prometheus:9090"}})
    scaled = keda["ScaledObject", "demo-work"]["spec"]
    assert scaled["triggers"][0]["metadata"]["query"] == 'max(wmh_jobs{state="queued"})'
    assert scaled["scaleTargetRef"]["name"] == "demo-work"


def test_a_gpu_worker_asks_for_a_gpu(full: dict[Any, Any]) -> None:
    """With work.gpu the worker takes the image of worker-gpu, a GPU, and the TensorFlow runtime."""
    container = pod(full["Deployment", "demo-work"])["containers"][0]
    assert container["image"].endswith("-gpu")
    assert container["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert environment(full["Deployment", "demo-work"])["WMH_NODE_RUNTIME"] == "tensorflow"


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"database": {"url": "postgresql://user:secret@pg/name"}}, "does not match pattern"),
        ({**DATABASE, "settings": {"DATABASE_URL": "x"}}, "DATABASE_URL"),
        ({**DATABASE, "recieve": {}}, "recieve"),
    ],
)
def test_wrong_values_are_refused(values: dict[str, Any], said: str) -> None:
    """A password in the URL, a setting that the chart owns, and a misspelt name are refused by the schema."""
    with pytest.raises(HelmRefused, match=rf"(?s)HelmValuesError.*{said}"):
        rendered(values)


def test_a_database_must_be_named() -> None:
    """Without a database the chart says which value is missing and what it looks like."""
    with pytest.raises(HelmRefused, match=r"(?s)HelmRenderError.*database\.url: expected postgresql://"):
        rendered({})
