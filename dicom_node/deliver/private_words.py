"""What a peer says, without what we sent it about the patient: its words go into rows, logs and pages."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

_LONGEST: Final = 300
_LEAST: Final = 2  # a shorter piece of a name stands in many words
_HIDDEN: Final = "[hidden]"


def without(words: str, secrets: Iterable[str]) -> str:
    """One line of a peer's words, with each of these texts, and each word of them, hidden.

    Args:
        words: as the peer sent them.
        secrets: names and numbers of the patient that we sent.
    """
    line = " ".join("".join(sign if sign.isprintable() else " " for sign in words).split())
    pieces = {piece for secret in secrets for piece in (secret, *re.split(r"[\W_]+", secret)) if len(piece) >= _LEAST}
    for piece in sorted(pieces, key=len, reverse=True):
        line = re.sub(rf"(?<!\w){re.escape(piece)}(?!\w)", _HIDDEN, line, flags=re.IGNORECASE)
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 3]}..."
