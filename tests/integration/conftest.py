"""What several integration tests share."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from support.interop import ALL, WrittenSet


@pytest.fixture(scope="session")
def result_set_on_disk(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], WrittenSet]:
    """Gives a result set of `support.interop` by name; each is written once a session."""
    written: dict[str, WrittenSet] = {}

    def get(name: str) -> WrittenSet:
        if name not in written:
            written[name] = ALL[name].write(tmp_path_factory.mktemp("results") / "case")
        return written[name]

    return get
