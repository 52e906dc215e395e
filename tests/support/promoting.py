"""What processes of the registry's tests do; in a module of its own, so that `spawn` can import it."""

from __future__ import annotations

from contextlib import closing

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
