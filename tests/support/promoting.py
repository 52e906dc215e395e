"""What processes of the registry's tests do; in its own module, so that `spawn` can import it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest

from db.engine import open_database
from db.errors import LiveModelChanged
from db.models import ModelTable


def promote_at_once(url: str, digest: str) -> str | None:
    """Promote as the first; the digest, or None when another process was first."""
    with closing(open_database(url)) as database:
        try:
            return ModelTable(database).promote(digest, "alice@lab", None).digest
        except LiveModelChanged:
            return None


def promote_after_first_look(monkeypatch: pytest.MonkeyPatch, url: str, digest: str) -> None:
    """Somebody else promotes `digest` as soon as this process has read anything about promotions for the first time."""
    looks = {name: getattr(ModelTable, name) for name in ("live", "live_digest", "earlier", "promotions")}
    left = [digest]

    def and_then_promote(look: Callable[..., Any]) -> Callable[..., Any]:
        def looked(*arguments: Any) -> Any:
            seen = look(*arguments)
            if left:
                with closing(open_database(url)) as database:
                    other = ModelTable(database)
                    other.promote(left.pop(), "bob@lab", looks["live_digest"](other))
            return seen

        return looked

    for name, look in looks.items():
        monkeypatch.setattr(ModelTable, name, and_then_promote(look))
