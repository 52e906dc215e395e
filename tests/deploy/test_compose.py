"""The compose file of the try-out, read by an implementation of the compose specification."""

from __future__ import annotations

import re
from typing import Any

import compose_spec
import pytest
import yaml
from support.deployment import DEPLOY

TEXT = (DEPLOY / "compose.yaml").read_text()


def interpolated(text: str) -> str:
    """Variables as compose fills them in: ${NAME:-default}, ${NAME:?message}."""
    text = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)
    return re.sub(r"\$\{\w+:\?[^}]*\}", "word", text)


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    """Services with their merged parts filled in."""
    return yaml.safe_load(interpolated(TEXT))["services"]


def test_the_specification_takes_the_file() -> None:
    """Every key is one of the compose specification, and each network and volume that is used is there."""
    options = compose_spec.PyOptions()
    options.apply_merge = True
    compose = options.from_yaml(interpolated(TEXT))
    compose.validate()
    assert set(compose.service_names()) == {"database", "migrate", "node", "orthanc"}


def test_each_service_waits_for_one_that_is_there(services: dict[str, Any]) -> None:
    """The node starts on an upgraded schema, and the upgrade on a database that answers."""
    assert services["node"]["depends_on"] == {"migrate": {"condition": "service_completed_successfully"}}
    assert services["migrate"]["depends_on"] == {"database": {"condition": "service_healthy"}}
    assert "healthcheck" in services["database"]


def test_nothing_listens_beyond_this_machine(services: dict[str, Any]) -> None:
    """Every published port is bound to the loopback address."""
    ports = [port for service in services.values() for port in service.get("ports", [])]
    assert ports
    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []


def test_there_is_no_password_in_the_file() -> None:
    """The database's password has no default: compose stops without one, and says where to write it."""
    passwords = re.findall(r"^\s*\w*PASSWORD: (.*)$", TEXT, re.MULTILINE)
    assert passwords
    assert [value for value in passwords if not value.startswith("${DATABASE_PASSWORD:?")] == []


def test_the_node_is_confined(services: dict[str, Any]) -> None:
    """The node's root is read-only, without capabilities; its longest grace is longer than the supervisor's."""
    for name in ("node", "migrate"):
        assert services[name]["read_only"] is True
        assert services[name]["cap_drop"] == ["ALL"]
        assert services[name]["security_opt"] == ["no-new-privileges:true"]
    assert services["node"]["stop_grace_period"] == "75s"
