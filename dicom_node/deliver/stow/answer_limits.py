"""How much of a web server's answer is read, and for how long: it may never end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import httpx2

from dicom_node.node.clock import steady

MOST_BYTES: Final = 8 * 1024 * 1024  # an answer about one object or one report has some thousand
LONGEST_SECONDS: Final = 300.0


class AnswerTooLong(httpx2.ReadError):
    """What was sent may have been taken; its answer is not read to the end."""


def limit_answer(
    answer: httpx2.Response, most_bytes: int = MOST_BYTES, longest_seconds: float = LONGEST_SECONDS
) -> None:
    """For `event_hooks`: bound the body before it is read.

    Raises:
        AnswerTooLong: it is compressed, which we do not ask for: a few bytes could become gigabytes.
    """
    if answer.headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity"):
        raise AnswerTooLong("its answer is compressed, which it was not asked for")
    assert isinstance(answer.stream, httpx2.SyncByteStream)
    answer.stream = LimitedBody(answer.stream, most_bytes=most_bytes, longest_seconds=longest_seconds)


class LimitedBody(httpx2.SyncByteStream):
    """The body of an answer, which ends with an error where it is too long.

    Args:
        body: as it comes in.
        still: seconds that only grow.
        most_bytes, longest_seconds: what an answer of its kind may need.
    """

    def __init__(
        self,
        body: httpx2.SyncByteStream,
        still: Callable[[], float] = steady,
        most_bytes: int = MOST_BYTES,
        longest_seconds: float = LONGEST_SECONDS,
    ) -> None:
        self._body = body
        self._still = still
        self._most_bytes = most_bytes
        self._longest_seconds = longest_seconds

    def __iter__(self) -> Iterator[bytes]:
        """The parts.

        Raises:
            AnswerTooLong: more bytes or more seconds than any answer needs.
        """
        until, length = self._still() + self._longest_seconds, 0
        for part in self._body:
            length += len(part)
            if length > self._most_bytes:
                raise AnswerTooLong(f"its answer has more than {self._most_bytes} bytes")
            if self._still() > until:
                raise AnswerTooLong(f"its answer did not end in {self._longest_seconds:.0f} s")
            yield part

    def close(self) -> None:
        """Release the connection."""
        self._body.close()
