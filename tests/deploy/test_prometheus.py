"""Alert rules and dashboard, checked by promtool."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml
from support.deployment import DEPLOY, METRICS
from support.peers import peer

RULES = DEPLOY / "prometheus" / "rules.yml"
RULES_TEST = DEPLOY / "prometheus" / "rules_test.yml"
DASHBOARD = DEPLOY / "grafana" / "wmh-node.json"


def promtool(*arguments: str) -> str:
    """What promtool prints; fails with it when it finds a fault."""
    done = subprocess.run([peer("promtool"), *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def alerts() -> list[dict[str, object]]:
    """Every alert rule."""
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def dashboard_expressions() -> list[str]:
    """Every query of the dashboard, with Grafana's variable replaced by a duration."""
    panels = json.loads(DASHBOARD.read_text())["panels"]
    return [target["expr"].replace("$__rate_interval", "5m") for panel in panels for target in panel["targets"]]


def metrics_of(expression: str) -> set[str]:
    """Our metrics in an expression, a histogram's series under its own name."""
    names = set(re.findall(r"\bwmh_[a-z_]+", expression))
    return {re.sub(r"_(bucket|sum|count)$", "", name) if name not in METRICS else name for name in names}


@pytest.mark.peer("prometheus")
def test_the_alerts_fire_when_they_should_and_only_then() -> None:
    """promtool finds the rules valid and its unit tests pass."""
    promtool("check", "rules", str(RULES))
    promtool("test", "rules", str(RULES_TEST))


def test_each_alert_has_a_unit_test_that_makes_it_fire() -> None:
    """No alert is without a case in which it is expected to fire."""
    cases = [case for test in yaml.safe_load(RULES_TEST.read_text())["tests"] for case in test["alert_rule_test"]]
    fired = {case["alertname"] for case in cases if case["exp_alerts"]}
    assert {rule["alert"] for rule in alerts()} == fired


def test_each_alert_says_what_to_do() -> None:
    """Every alert has a severity, a summary, and a next step."""
    for rule in alerts():
        assert rule["labels"]["severity"] in ("info", "warning", "critical")  # type: ignore[index]
        assert set(rule["annotations"]) == {"summary", "action"}  # type: ignore[call-overload]


@pytest.mark.peer("prometheus")
def test_each_query_of_the_dashboard_parses(tmp_path: Path) -> None:
    """promtool reads every expression of the dashboard."""
    rules = [{"record": f"panel:{index}", "expr": text} for index, text in enumerate(dashboard_expressions())]
    written = tmp_path / "dashboard.yml"
    written.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    assert f"{len(rules)} rules found" in promtool("check", "rules", str(written))


def test_only_metrics_that_the_node_has_are_asked_for() -> None:
    """Rules and dashboard name no metric that the node lacks, and the dashboard shows every one that it has."""
    shown = {name for expression in dashboard_expressions() for name in metrics_of(expression)}
    asked = {name for rule in alerts() for name in metrics_of(str(rule["expr"]))}
    assert shown | asked <= set(METRICS)
    assert shown == set(METRICS)


def test_only_labels_that_a_metric_has_are_asked_for() -> None:
    """A selector in a rule or in the dashboard names labels of its metric, and nothing else."""
    selectors = [
        (name, label)
        for expression in [*dashboard_expressions(), *(str(rule["expr"]) for rule in alerts())]
        for name, inner in re.findall(r"\b(wmh_[a-z_]+)\{([^}]*)\}", expression)
        for label in re.findall(r"([a-z]+)[=!]", inner)
    ]
    assert selectors
    assert [(name, label) for name, label in selectors if label not in METRICS[name]] == []


def test_the_dashboard_can_be_imported() -> None:
    """Panels have numbers of their own and places that do not overlap; the data source is Grafana's to choose."""
    board = json.loads(DASHBOARD.read_text())
    assert board["title"] == board["uid"] == "wmh-node"
    numbers = [panel["id"] for panel in board["panels"]]
    assert len(set(numbers)) == len(numbers)
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= 24
        assert not cells & taken
        taken |= cells
        assert panel["datasource"]["uid"] == "${datasource}"
