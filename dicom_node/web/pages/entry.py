"""Logging in and out, the first account, and the choice of light or dark."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from db.accounts import is_locked
from dicom_node.node.errors import ConfigurationError
from dicom_node.node.logger import get_logger
from dicom_node.web.answers import page, refusal, to
from dicom_node.web.guard import IDLE_SECONDS, LONGEST_SECONDS, cookie_name
from dicom_node.web.page_request import PageRequest
from dicom_node.web.people.passwords import fits, hash_password, require_name, require_password
from dicom_node.web.people.secrets import digest_of, new_secret

log = get_logger()

_WRONG: Final = "Name or password is wrong, or the account is locked for a quarter of an hour after too many attempts."
_YEAR: Final = 365 * 86_400


def show_login(request: PageRequest) -> Response:
    """The form; without any account, how to make the first one."""
    if request.person is not None:
        return to("/")
    return page(request, "login.html", wrong=None, is_first=not request.site.accounts.any())


def log_in(request: PageRequest) -> Response:
    """Check name and password. Every failure gives the same answer after the same time."""
    name, password = request.form.get("name", "")[:64], request.form.get("password", "")
    account = request.site.accounts.find(name)
    right = fits(password, None if account is None else account.password_hash)
    account = request.site.accounts.find(name)  # as it is now: others may have guessed meanwhile, and locked it
    if account is None or is_locked(account, request.site.database.clock()) or not right:
        if account is not None and not right:
            request.site.accounts.note_failure(name)
        return page(request, "login.html", 401, wrong=_WRONG, is_first=False)
    return with_session(request, name, "with a password", to("/"))


def log_out(request: PageRequest) -> Response:
    """End the session."""
    if request.secret is not None:
        request.site.accounts.close_session(digest_of(request.secret))
    answer = to("/login")
    answer.delete_cookie(
        cookie_name(request.site), path="/", secure=request.site.has_tls, httponly=True, samesite="strict"
    )
    return answer


def show_first(request: PageRequest) -> Response:
    """The form that makes the first account, for who has the link of the log."""
    if not request.site.first_link.fits(request.query.get("key", "")):
        return refusal(request, 404, "This link was used, or is not of this start. The node's log has the present one.")
    return page(request, "first.html", key=request.query["key"], wrong=None)


def make_first(request: PageRequest) -> Response:
    """Make the first account, an administrator, and log in."""
    key, name, password = (request.form.get(field, "") for field in ("key", "name", "password"))
    if not request.site.first_link.fits(key):
        return refusal(request, 404, "This link was used, or is not of this start. The node's log has the present one.")
    try:
        require_name(name)
        require_password(password)
    except ConfigurationError as error:
        return page(request, "first.html", 422, key=key, wrong=str(error))
    made = request.site.accounts.add_first(name, hash_password(password), by="the one-time link")
    request.site.first_link.close()
    if made is None:
        return refusal(request, 409, "There is an account already. Log in, or use `wmh-node accounts add`.")
    return with_session(request, name, "with the one-time link", to("/"))


def choose_theme(request: PageRequest) -> Response:
    """Remember light or dark in a cookie that says nothing else."""
    theme = request.form.get("theme", "auto")
    answer = to("/")
    answer.set_cookie(
        "theme",
        theme if theme in ("light", "dark") else "auto",
        max_age=_YEAR,
        path="/",
        secure=request.site.has_tls,
        samesite="strict",
        httponly=True,
    )
    return answer


def with_session(request: PageRequest, name: str, how: str, answer: Response) -> Response:
    """Open a session of an account, whose cookie goes with the answer.

    Args:
        how: the person proved who they are, for the audit.
    """
    secret = new_secret()  # never one that was sent: a session cannot be planted
    request.site.accounts.open_session(name, digest_of(secret), IDLE_SECONDS, LONGEST_SECONDS, how)
    log.info("logged in", account=name)
    answer.set_cookie(
        cookie_name(request.site), secret, path="/", secure=request.site.has_tls, httponly=True, samesite="strict"
    )
    return answer
