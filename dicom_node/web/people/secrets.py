"""Secrets that we hand out: sessions, tokens, the first link. The database has their digests only."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import Final

_BYTES: Final = 32


def new_secret() -> str:
    """256 random bits, as text for a cookie, a header or a link."""
    return secrets.token_urlsafe(_BYTES)


def digest_of(secret: str) -> str:
    """sha256 as hex. Without salt: what is guessed are 256 random bits, not a password."""
    return hashlib.sha256(secret.encode()).hexdigest()


def form_token(secret: str) -> str:
    """What a form of this session holds, so that no other site can send it."""
    return hmac.new(secret.encode(), b"form", hashlib.sha256).hexdigest()


def same(expected: str, got: str) -> bool:
    """Compare in constant time."""
    return hmac.compare_digest(expected.encode(), got.encode())
