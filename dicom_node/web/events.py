"""Live updates: a server-sent event each time that something happened (WHATWG HTML 9.2).

One look at the database serves every open page: fifty people who look cost as much as one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from db.browse import newest_marks
from db.errors import DatabaseError
from dicom_node.web.guard import cookie_name
from dicom_node.web.people.secrets import digest_of
from dicom_node.web.site import Site

_LOOK_SECONDS: Final = 1.0
# So that a proxy does not end a quiet stream, and a session that ended is noticed.
_QUIET_SECONDS: Final = 15.0
MOST_STREAMS: Final = 200


class _Watch:
    """The newest marks of the database, read once for all streams."""

    def __init__(self) -> None:
        self.streams = 0
        self.marks: tuple[int, int, int] = (0, 0, 0)
        self._read_at = -1.0
        self._lock = asyncio.Lock()

    async def look(self, site: Site) -> tuple[int, int, int]:
        async with self._lock:
            now = asyncio.get_running_loop().time()
            if now - self._read_at >= _LOOK_SECONDS:
                with suppress(DatabaseError):  # as before: the page itself says what is wrong
                    self.marks = await run_in_threadpool(newest_marks, site.database)
                self._read_at = now
            return self.marks


_WATCHES: dict[int, _Watch] = {}


async def event_stream(site: Site, request: Request) -> Response:
    """A stream for a person who is logged in."""
    secret = request.cookies.get(cookie_name(site))
    watch = _WATCHES.setdefault(id(site), _Watch())
    try:
        if not await run_in_threadpool(_is_open, site, secret):
            return Response(status_code=401)
    except DatabaseError:
        return Response(status_code=503, headers={"Retry-After": "60"})
    if watch.streams >= MOST_STREAMS:
        return Response(status_code=503, headers={"Retry-After": "60"})
    return StreamingResponse(_events(site, watch, secret, request), media_type="text/event-stream")


def _is_open(site: Site, secret: str | None) -> bool:
    return bool(secret) and site.accounts.session(digest_of(str(secret)), 0.0) is not None


async def _events(site: Site, watch: _Watch, secret: str | None, request: Request) -> AsyncIterator[str]:
    watch.streams += 1
    try:
        seen = await watch.look(site)
        quiet = 0.0
        yield "retry: 5000\n\n"
        while not site.stopping.is_set() and not await request.is_disconnected():
            await asyncio.sleep(_LOOK_SECONDS)
            marks = await watch.look(site)
            quiet += _LOOK_SECONDS
            if marks != seen:
                seen, quiet = marks, 0.0
                yield "event: changed\ndata: 1\n\n"
            elif quiet >= _QUIET_SECONDS:
                quiet = 0.0
                with suppress(DatabaseError):  # it is asked again
                    if not await run_in_threadpool(_is_open, site, secret):
                        return
                yield ": still here\n\n"
    finally:
        watch.streams -= 1
