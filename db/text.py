"""Text from outside, such as an exception's words, made safe to store on both databases."""

from __future__ import annotations

_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def storable(text: str) -> str:
    """The text without what PostgreSQL's text or UTF-8 cannot hold: NUL and lone surrogates become U+FFFD.

    A reason that could not be written down would leave its job without an end.
    """
    return text.replace("\x00", _REPLACEMENT).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
