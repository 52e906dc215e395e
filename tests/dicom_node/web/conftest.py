"""One page with real jobs for the tests of this folder."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from starlette.testclient import TestClient
from support.models import tiny_bundle
from support.page_node import PASSWORD, PageNode, close_page_node, make_page_node
from support.worker_setting import READER

from dicom_node.web.app import build_app
from segmentation.bundle import load_bundle
from segmentation.ensemble import open_ensemble


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageNode]:
    """A page with a job of each kind; a file has its own, since its tests change it."""
    ensemble = open_ensemble(load_bundle(tiny_bundle(tmp_path_factory.mktemp("model"), sure=True)), "openvino")
    made = make_page_node(tmp_path_factory.mktemp("node"), ensemble)
    yield made
    close_page_node(made)
    READER.close()


class Browser:
    """A person in front of the page."""

    def __init__(self, node: PageNode) -> None:
        self.client = TestClient(build_app(node.site), base_url="http://127.0.0.1:8080", follow_redirects=False)

    def log_in(self, name: str) -> Browser:
        """As that account."""
        answer = self.client.post("/login", data={"name": name, "password": PASSWORD})
        assert answer.status_code == 303, answer.text
        return self

    def get(self, path: str, status: int = 200) -> str:
        """The page at a path."""
        answer = self.client.get(path)
        assert answer.status_code == status, (path, answer.status_code, answer.text)
        return answer.text

    def token(self) -> str:
        """What the forms of the session hold."""
        return re.search(r'name="token" value="([0-9a-f]{64})"', self.get("/")).group(1)

    def post(self, path: str, status: int = 303, **fields: str) -> str:
        """Send a form as the page would."""
        answer = self.client.post(path, data={"token": self.token(), **fields})
        assert answer.status_code == status, (path, answer.status_code, answer.text)
        return answer.text


@pytest.fixture
def browser_of() -> Callable[[PageNode, str], Browser]:
    """A browser in front of any node, logged in as the account of that name."""
    return lambda node, name: Browser(node).log_in(name)


@pytest.fixture
def browser(node: PageNode) -> Callable[[str | None], Browser]:
    """A browser that is logged in as the account of that name; without one, not."""

    def make(name: str | None = None) -> Browser:
        return Browser(node) if name is None else Browser(node).log_in(name)

    return make
