"""What stands before every page: host name, session, role, form token, size of a body; and the headers of every answer.

| threat                                  | what stands against it                                                     |
|-----------------------------------------|----------------------------------------------------------------------------|
| another site sends a form               | SameSite=Strict cookie, `Sec-Fetch-Site`, a token of the session in forms  |
| a name that resolves to us (rebinding)  | the Host header must be a name of ours                                     |
| script in a DICOM string                | escaping of every value, a policy without inline script and style          |
| a page of ours in a foreign frame       | `frame-ancestors 'none'`                                                   |
| a stolen database                       | digests of sessions and tokens, argon2id of passwords                      |
| guessing passwords                      | an account is locked after some; an unknown name takes as long             |
| a huge body                             | counted while it is read                                                   |
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import parse_qsl

from starlette.concurrency import run_in_threadpool
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response

from db.errors import DatabaseUnavailable, IllegalTransition, UnknownModel, UnknownRow
from db.records import AccountRole, WebSession
from dicom_node.node.logger import get_logger
from dicom_node.node.logs import describe_error
from dicom_node.web.answers import refusal
from dicom_node.web.page_request import PageRequest, Upload
from dicom_node.web.people.secrets import digest_of, form_token, same
from dicom_node.web.site import Site

log = get_logger()

IDLE_SECONDS: Final = 30 * 60.0
LONGEST_SECONDS: Final = 10 * 3600.0
MOST_BODY_BYTES: Final = 64 * 1024
# A label map of a 3D FLAIR with 200 slices of 512 x 512 has 52 million voxels; a BINARY one an eighth of that.
MOST_UPLOAD_BYTES: Final = 64 * 1024 * 1024
_THEMES: Final = frozenset({"light", "dark"})

HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}

Handler = Callable[[PageRequest], Response]


class BodyTooLarge(Exception):
    """More came than a form of ours can hold."""


class BadForm(Exception):
    """What came is not multipart/form-data as a browser sends it."""


@dataclass(frozen=True)
class Entry:
    """One row of the table of pages.

    Attributes:
        method: GET or POST.
        path: with the parts that vary in braces.
        role: what the person needs; None: no login.
        handler: runs in a thread.
        takes_file: the form is multipart/form-data and may bring a file (RFC 7578).
    """

    method: str
    path: str
    role: AccountRole | None
    handler: Handler
    takes_file: bool = False


def cookie_name(site: Site) -> str:
    """`__Host-`: a browser takes it over TLS only, for this host only (RFC 6265bis 4.1.3.2)."""
    return "__Host-wmh-node" if site.has_tls else "wmh-node"


def login_cookie_name(site: Site) -> str:
    """Of the secret of a login at the identity provider that is not finished."""
    return f"{cookie_name(site)}-login"


def guarded(site: Site, entry: Entry) -> Callable[[Request], Awaitable[Response]]:
    """The endpoint of one row."""

    async def endpoint(http: Request) -> Response:
        try:
            return await _answer(site, entry, http)
        except BodyTooLarge:
            return refusal(PageRequest(site, http.url.path), 413, "The form is larger than any of this page.")
        except BadForm:
            return refusal(PageRequest(site, http.url.path), 400, "Expected the form of this page, got something else.")
        except ClientDisconnect:
            return Response(status_code=400)
        except DatabaseUnavailable as error:  # when the session was looked up
            return _away(PageRequest(site, http.url.path), error)

    return endpoint


async def _answer(site: Site, entry: Entry, http: Request) -> Response:
    secret = http.cookies.get(cookie_name(site))
    person = await run_in_threadpool(_person, site, secret)
    theme = http.cookies.get("theme", "auto")
    request = PageRequest(
        site=site,
        path=http.url.path,
        person=person,
        form_token=form_token(secret) if person is not None and secret else "",
        path_values={name: str(value) for name, value in http.path_params.items()},
        query=dict(http.query_params),
        secret=secret if person is not None else None,
        theme=theme if theme in _THEMES else "auto",
        login_secret=http.cookies.get(login_cookie_name(site), ""),
    )
    if (no := _refused(entry, request, http)) is not None:
        return no
    if entry.method != "POST":
        return await run_in_threadpool(_handled, entry.handler, request)
    async with AsyncExitStack() as files:
        form, uploads = await _upload(http, files) if entry.takes_file else (await _form(http), {})
        request = replace(request, form=form, uploads=uploads)
        if entry.role is not None and not same(request.form_token, request.form.get("token", "")):
            return refusal(
                request, 403, "This form is from an earlier session. Go back, load the page again, and try again."
            )
        try:
            return await run_in_threadpool(_handled, entry.handler, request)
        finally:
            site.node_look.forget()


def _person(site: Site, secret: str | None) -> WebSession | None:
    return site.accounts.session(digest_of(secret), IDLE_SECONDS) if secret else None


def _refused(entry: Entry, request: PageRequest, http: Request) -> Response | None:
    """What can be said before the body is read."""
    is_form = entry.method == "POST"
    if is_form and http.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return refusal(request, 403, "This form came from another site. Open the page itself, and try again.")
    if entry.role is None:
        return None
    if request.person is None:
        return _log_in_first(http)
    if not request.person.role.may(entry.role):
        return refusal(request, 403, f"This needs an account of role {entry.role}; yours is a {request.person.role}.")
    return None


def _log_in_first(http: Request) -> Response:
    if http.headers.get("hx-request"):
        return Response(status_code=401, headers={"HX-Redirect": "/login"})
    return RedirectResponse("/login", 303)


def _handled(handler: Handler, request: PageRequest) -> Response:
    try:
        return handler(request)
    except (UnknownRow, UnknownModel) as error:
        return refusal(request, 404, _sentence(error))
    except IllegalTransition as error:
        return refusal(request, 409, f"{_sentence(error)} Somebody else, or the node itself, was faster: look again.")
    except DatabaseUnavailable as error:
        return _away(request, error)
    except Exception as error:
        # Without the traceback's values, which may be a patient's.
        log.error("a page failed", path=request.path, error=describe_error(error))  # noqa: TRY400
        return refusal(request, 500, "This page failed. The reason is in the node's log.")


def _away(request: PageRequest, error: DatabaseUnavailable) -> Response:
    log.warning("database does not answer", detail=str(error))
    return refusal(request, 503, "The database does not answer just now. Nothing is lost; try again in a minute.")


def _sentence(error: Exception) -> str:
    text = str(error)
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")


async def _form(http: Request) -> dict[str, str]:
    body = bytearray()
    async for chunk in http.stream():
        body += chunk
        if len(body) > MOST_BODY_BYTES:
            raise BodyTooLarge
    try:
        return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=100))
    except ValueError as error:  # more fields than any form of ours has
        raise BodyTooLarge from error


async def _upload(http: Request, files: AsyncExitStack) -> tuple[dict[str, str], dict[str, Upload]]:
    """Fields and files of a form. Large files lie in the folder of temporary files until the request has ended."""
    parser = MultiPartParser(http.headers, _counted(http), max_files=1, max_fields=10, max_part_size=16 * 1024)
    try:
        found = await parser.parse()
    except (MultiPartException, KeyError, UnicodeDecodeError) as error:
        raise BadForm from error
    files.push_async_callback(found.close)
    form, uploads = {}, {}
    for name, value in found.multi_items():
        if isinstance(value, str):
            form[name] = value
        elif value.size:  # a field without a file is sent as an empty one
            uploads[name] = Upload(value.file, value.size)
    return form, uploads


async def _counted(http: Request) -> AsyncGenerator[bytes, None]:
    size = 0
    async for chunk in http.stream():
        size += len(chunk)
        if size > MOST_UPLOAD_BYTES:
            raise BodyTooLarge
        yield chunk


class Headers:
    """ASGI middleware: refuses foreign host names, and puts the headers on every answer."""

    def __init__(self, app: Any, site: Site) -> None:
        self._app = app
        self._site = site

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        names = self._site.host_names
        if names is not None and (Request(scope).url.hostname or "").strip("[]") not in names:
            plain = "Unknown host name. Set WMH_NODE_WEB_URL to the address by which people open this page.\n"
            await Response(plain, 421, dict(HEADERS), "text/plain")(scope, receive, send)
            return
        is_static = scope["path"].startswith("/static/")

        async def send_with_headers(message: Any) -> None:
            if message["type"] == "http.response.start":
                had = {name.lower() for name, _ in message["headers"]}
                more = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]
                if b"cache-control" not in had:
                    more.append((b"cache-control", b"max-age=3600" if is_static else b"no-store"))
                if self._site.has_tls:
                    more.append((b"strict-transport-security", b"max-age=31536000"))
                message["headers"] = [*message["headers"], *more]
            await send(message)

        await self._app(scope, receive, send_with_headers)
