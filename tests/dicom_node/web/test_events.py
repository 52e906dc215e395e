"""Live updates over a real connection."""

from __future__ import annotations

from collections.abc import Iterator

import httpx2
import pytest
from support.page_browser import served
from support.page_node import PASSWORD, PageNode

from db.cohorts import CohortItem, ItemState

pytestmark = pytest.mark.slow
_LONGEST_SECONDS = 120.0


@pytest.fixture
def item(node: PageNode) -> CohortItem:
    """A study that is being fetched; nothing is, while a job is queued."""
    node.setting.jobs.claim("worker", 600.0)
    item = node.site.cohorts.claim("retriever", 600.0, 21)
    assert item is not None
    return item


@pytest.fixture
def lines(node: PageNode, item: CohortItem) -> Iterator[Iterator[str]]:
    """What the stream says to a person who looks at a page."""
    with served(node) as url, httpx2.Client(base_url=url, timeout=_LONGEST_SECONDS) as client:
        client.post("/login", data={"name": "viewer", "password": PASSWORD})
        with client.stream("GET", "/events") as stream:
            assert stream.status_code == 200
            yield stream.iter_lines()


def test_a_study_of_a_cohort_that_came(node: PageNode, item: CohortItem, lines: Iterator[str]) -> None:
    """A person who looks at a cohort hears of a study that was fetched, though no job and no association says so."""
    assert next(lines).startswith("retry:")
    node.site.cohorts.end(item.id, "retriever", ItemState.DONE)
    assert "event: changed" in iter(lambda: next(lines), ": still here")
