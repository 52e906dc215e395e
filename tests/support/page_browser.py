"""The page in Chromium: at some sizes, in light and dark, with and without JavaScript, judged by axe-core."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import uvicorn
from support.data import REPOSITORY
from support.page_node import PASSWORD, PageNode
from support.peers import node_peer, peer
from support.processes import free_port

from dicom_node.node.clock import steady
from dicom_node.serve.ports import wait_until_listening
from dicom_node.web.app import build_app

SCRIPT = REPOSITORY / "tests" / "e2e" / "page.cjs"
_LONGEST_SECONDS = 1500
_STARTING_SECONDS = 120.0
_LOOK_SECONDS = 0.5


@dataclass(frozen=True)
class View:
    """A size of the window in CSS pixels; `judged`: by axe-core too."""

    name: str
    width: int
    height: int
    judged: bool = True


LAPTOP = View("1280", 1280, 800)
SCREEN = View("1920", 1920, 1080, judged=False)
TABLET = View("tablet", 820, 1180)


@dataclass(frozen=True)
class SeenPage:
    """A page as it was seen.

    Attributes:
        name: of the picture, without its ending.
        page: as in the plan.
        wide: CSS pixels that the page is wider than the window.
        heading: its first heading.
        owned: what a script of a DICOM string would have set; None as long as none ran.
        complaints: errors of the browser's console, and addresses of other machines.
        violations: what axe-core found.
    """

    name: str
    page: str
    status: int
    wide: int
    heading: str
    owned: Any
    complaints: tuple[str, ...]
    violations: tuple[str, ...]


@contextmanager
def served(node: PageNode) -> Iterator[str]:
    """The node's page on a port of this machine; gives its address."""
    port, stop = free_port(), threading.Event()
    config = uvicorn.Config(
        build_app(node.site), host="127.0.0.1", port=port, http="h11", ws="none", lifespan="off", log_config=None,
        access_log=False, timeout_graceful_shutdown=2,
    )  # fmt: skip
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        assert wait_until_listening("127.0.0.1", port, _STARTING_SECONDS, stop.is_set)
        yield f"http://127.0.0.1:{port}"
    finally:
        node.site.stopping.set()
        server.should_exit = True
        thread.join(60)


def pages_of(node: PageNode) -> dict[str, str]:
    """Every page with its address: one of each kind of job, and a model when there is one."""
    pages = {
        "start": "/", "jobs": "/jobs", "series": "/series", "review": "/review", "models": "/models",
        "model-shipped": "/models/shipped",
        "cohorts": "/cohorts", "cohort": "/cohorts/1",
        "destinations": "/destinations", "settings": "/settings", "audit": "/audit", "missing": "/nowhere",
        "slices": f"/jobs/{node.jobs['late']}/slices",
    }  # fmt: skip
    pages |= {f"job-{name}": f"/jobs/{number}" for name, number in node.jobs.items()}
    for model in node.site.models.list()[:1]:
        pages["model"] = f"/models/{model.digest}"
    return pages


def look(
    url: str,
    folder: Path,
    pages: dict[str, str],
    views: Sequence[View] = (LAPTOP, SCREEN, TABLET),
    themes: Sequence[str] = ("light", "dark"),
    scripts: Sequence[bool] = (True,),
    steps: Sequence[dict[str, Any]] = (),
    *,
    whole: bool = True,
) -> tuple[list[SeenPage], list[str]]:
    """Open the pages as the administrator; what was seen, and what the page said after each step.

    Args:
        folder: for the pictures; is made.
        scripts: with JavaScript, without.
        steps: of a person without JavaScript: `go`, `unfold`, `fill`, `file`, `press`.
        whole: pictures of the whole page, not of the window.
    """
    document = {
        "pages": [{"name": name, "path": path, "whole": whole} for name, path in pages.items()],
        "views": [asdict(view) for view in views], "themes": list(themes), "scripts": list(scripts),
        "steps": list(steps), "photograph": True,
    }  # fmt: skip
    answer = _answer(url, folder, document)
    seen = [
        SeenPage(**{**one, "complaints": tuple(one["complaints"]), "violations": tuple(one["violations"])})
        for one in answer["seen"]
    ]
    return seen, answer["steps"]


def watch(url: str, folder: Path, path: str, words: str, change: Callable[[], None]) -> str:
    """Look at a page as the administrator until it says these words by itself; what it says then.

    Args:
        change: on the node, made again and again once the page is open: its stream may begin a moment later.
    """
    return str(_answer(url, folder, {"watch": {"path": path, "words": words}}, change)["watched"])


def _answer(
    url: str, folder: Path, document: dict[str, Any], change: Callable[[], None] = lambda: None
) -> dict[str, Any]:
    """What Chromium answers to a plan."""
    folder.mkdir(parents=True, exist_ok=True)
    plan = {
        "playwright": str(node_peer("playwright-core")), "axe": str(node_peer("axe-core")),
        "chromium": peer("chromium"), "out": str(folder), "url": url, "account": "admin", "password": PASSWORD,
        "pages": [], "views": [], "themes": [], "scripts": [], "steps": [], **document,
    }  # fmt: skip
    (folder / "plan.json").write_text(json.dumps(plan))
    said = folder / "said.txt"
    with said.open("wb") as stream:
        running = subprocess.Popen([peer("node"), SCRIPT, folder / "plan.json"], stdout=stream, stderr=stream)
    until = steady() + _LONGEST_SECONDS
    try:
        while running.poll() is None and steady() < until:
            if (folder / "watching").exists():
                change()
            time.sleep(_LOOK_SECONDS)
    finally:
        running.kill()
        running.wait()
    assert running.returncode == 0, said.read_text()[-4000:]
    answer: dict[str, Any] = json.loads((folder / "answer.json").read_text())
    return answer
