"""Passwords of local accounts: argon2id with the library's parameters (RFC 9106, second recommended set)."""

from __future__ import annotations

import re
import threading
from functools import cache
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError

from dicom_node.node.errors import ConfigurationError

SHORTEST: Final = 12
LONGEST: Final = 256
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,63}")

_HASHER: Final = PasswordHasher()
# Each check takes 64 MiB: requests of strangers must not add up to gigabytes.
_AT_ONCE: Final = threading.BoundedSemaphore(2)


def require_name(name: str) -> None:
    """Refuse a name that could not be distinguished from another in a list or a log.

    Raises:
        ConfigurationError: says what was expected.
    """
    if not _NAME.fullmatch(name):
        raise ConfigurationError("expected a name of 1 to 64 letters, digits, '_', '.', '@', '-', got another one")


def require_password(password: str) -> None:
    """Refuse a password that is too short (NIST SP 800-63B 5.1.1.2: length, and no rules of composition).

    Raises:
        ConfigurationError: says what was expected.
    """
    if not SHORTEST <= len(password) <= LONGEST:
        raise ConfigurationError(f"expected a password of {SHORTEST} to {LONGEST} characters, got {len(password)}")


def hash_password(password: str) -> str:
    """What is stored of it; takes some 50 ms and 64 MiB on purpose."""
    with _AT_ONCE:
        return _HASHER.hash(password)


def fits(password: str, password_hash: str | None) -> bool:
    """Whether the password is right. Takes as long for an account that does not exist (None)."""
    try:
        with _AT_ONCE:
            _HASHER.verify(password_hash or _unusable_hash(), password[:LONGEST])
    except (VerifyMismatchError, InvalidHashError):
        return False
    return password_hash is not None


@cache
def _unusable_hash() -> str:
    return _HASHER.hash("no account has this password")
