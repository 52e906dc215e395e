"""Logging in at the identity provider: there, and back."""

from __future__ import annotations

from typing import Final

from starlette.responses import RedirectResponse, Response

from dicom_node.node.errors import ConfigurationError, LoginError
from dicom_node.node.logger import get_logger
from dicom_node.web.answers import page, refusal
from dicom_node.web.guard import login_cookie_name
from dicom_node.web.page_request import PageRequest
from dicom_node.web.pages.entry import with_session
from dicom_node.web.people.identity_provider import NoGroup
from dicom_node.web.people.secrets import new_secret

log = get_logger()

_MINUTES: Final = 10


def begin(request: PageRequest) -> Response:
    """Send the browser to the provider."""
    if request.site.provider is None:
        return refusal(request, 404, "There is no such page.")
    secret = new_secret()
    try:
        address = request.site.provider.address_for(secret)
    except (LoginError, ConfigurationError) as error:
        return _not_in(request, error)
    answer = RedirectResponse(address, 303)
    # Lax: a browser that comes back from another site would not send a strict one.
    answer.set_cookie(
        login_cookie_name(request.site),
        secret,
        max_age=_MINUTES * 60,
        path="/",
        secure=request.site.has_tls,
        httponly=True,
        samesite="lax",
    )
    return answer


def finish(request: PageRequest) -> Response:
    """Take who comes back from the provider."""
    if request.site.provider is None:
        return refusal(request, 404, "There is no such page.")
    try:
        person = request.site.provider.person_of(request.login_secret, request.query)
    except NoGroup as error:
        request.site.accounts.leave(error.subject)
        return _not_in(request, error)
    except (LoginError, ConfigurationError) as error:
        return _not_in(request, error)
    if request.site.accounts.enter(person.name, person.role, person.subject) is None:
        words = f"{person.name} is the account of another person here: an administrator has to remove or rename it."
        return _not_in(request, LoginError(words))
    # Not a redirect: one that began at another site would come without the session's strict cookie.
    answer = with_session(request, person.name, "at the identity provider", page(request, "logged_in.html"))
    answer.delete_cookie(
        login_cookie_name(request.site), path="/", secure=request.site.has_tls, httponly=True, samesite="lax"
    )
    return answer


def _not_in(request: PageRequest, error: LoginError | ConfigurationError) -> Response:
    log.warning("login at the identity provider failed", reason=str(error))
    # A setting's words are for the log: they name files of this machine.
    wrong = str(error) if isinstance(error, LoginError) else "The login is not set up: the reason is in the node's log."
    return page(request, "login.html", 403, wrong=wrong, is_first=False)
