"""Helm's own library, in its own process: it is a Go runtime, which ended test processes that also run TensorFlow,
PostgreSQL's client and child processes ("node down: Not properly terminated").

    python -m support.helm lint|render CHART   values as JSON on stdin, what Helm says as JSON on stdout
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

_TESTS = Path(__file__).parents[1]


class HelmRefused(Exception):
    """What Helm raised, as `Type: message`."""


def helm_lint(chart: str, values: dict[str, Any]) -> dict[str, Any]:
    """What `helm lint` finds."""
    found: dict[str, Any] = _call("lint", chart, values)
    return found


def helm_render(chart: str, values: dict[str, Any]) -> dict[str, str]:
    """Manifests by the name of their template, after the values were held against the chart's schema.

    Raises:
        HelmRefused: the values are not those of the schema, or a template refused them.
    """
    texts: dict[str, str] = _call("render", chart, values)
    return texts


def _call(what: str, chart: str, values: dict[str, Any]) -> Any:
    done = subprocess.run(
        [sys.executable, "-m", "support.helm", what, chart],
        input=json.dumps(values), cwd=_TESTS, capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    answer = json.loads(done.stdout)
    if "refused" in answer:
        raise HelmRefused(answer["refused"])
    return answer["found"]


def _in_this_process(what: str, chart: str, values: dict[str, Any]) -> Any:
    import helm_python

    if what == "lint":
        return helm_python.lint(chart, values=values)
    with helm_python.Chart.load(chart) as loaded:
        loaded.validate_schema(values)
        return loaded.render(values, name="demo", namespace="radiology")


def _main() -> None:
    import helm_python

    what, chart = sys.argv[1:]
    try:
        answer = {"found": _in_this_process(what, chart, json.load(sys.stdin))}
    except helm_python.HelmError as error:
        answer = {"refused": f"{type(error).__name__}: {error}"}
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    _main()
