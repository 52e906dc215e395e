"""The first start, without accounts: a one-time link in the log, on a loopback address only."""

from __future__ import annotations

import threading

from dicom_node.web.people.secrets import digest_of, new_secret, same


class FirstLink:
    """The secret of the link that makes the first account. Held in memory: a restart gives another one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._digest: str | None = None

    def open(self) -> str:
        """A new secret, which replaces an earlier one."""
        secret = new_secret()
        with self._lock:
            self._digest = digest_of(secret)
        return secret

    def fits(self, secret: str) -> bool:
        """Whether this is the secret."""
        with self._lock:
            return self._digest is not None and same(self._digest, digest_of(secret))

    def close(self) -> None:
        """The first account is there: the link no longer works."""
        with self._lock:
            self._digest = None
