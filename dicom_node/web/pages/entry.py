"""Logging in and out, the first account, and the choice of light or dark."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from db.accounts import is_locked
from dicom_node.node.errors import ConfigurationError
from dicom_node.node.logger import get_logger
from dicom_node.web.answers import page, refusal, to
from dicom_node.web.guard import IDLE_SECONDS, LONGEST_SECONDS, cookie_name
from dicom_node.web.people.passwords import fits, hash_password, require_name, require_password
from dicom_node.web.people.secrets import digest_of, new_secret
from dicom_node.web.visit import Visit

log = get_logger()

_WRONG: Final = "Name or password is wrong, or the account is locked for a quarter of an hour after too many attempts."
_YEAR: Final = 365 * 86_400


def show_login(visit: Visit) -> Response:
    """The form; without any account, how to make the first one."""
    if visit.person is not None:
        return to("/")
    return page(visit, "login.html", wrong=None, is_first=not visit.site.accounts.any())


def log_in(visit: Visit) -> Response:
    """Check name and password. Every failure gives the same answer after the same time."""
    name, password = visit.form.get("name", "")[:64], visit.form.get("password", "")
    account = visit.site.accounts.find(name)
    right = fits(password, None if account is None else account.password_hash)
    account = visit.site.accounts.find(name)  # as it is now: others may have guessed meanwhile, and locked it
    if account is None or is_locked(account, visit.site.database.clock()) or not right:
        if account is not None and not right:
            visit.site.accounts.note_failure(name)
        return page(visit, "login.html", 401, wrong=_WRONG, is_first=False)
    return with_session(visit, name, "with a password", to("/"))


def log_out(visit: Visit) -> Response:
    """End the session."""
    if visit.secret is not None:
        visit.site.accounts.close_session(digest_of(visit.secret))
    answer = to("/login")
    answer.delete_cookie(cookie_name(visit.site), path="/", secure=visit.site.has_tls, httponly=True, samesite="strict")
    return answer


def show_first(visit: Visit) -> Response:
    """The form that makes the first account, for who has the link of the log."""
    if not visit.site.first_link.fits(visit.query.get("key", "")):
        return refusal(visit, 404, "This link was used, or is not of this start. The node's log has the present one.")
    return page(visit, "first.html", key=visit.query["key"], wrong=None)


def make_first(visit: Visit) -> Response:
    """Make the first account, an administrator, and log in."""
    key, name, password = (visit.form.get(field, "") for field in ("key", "name", "password"))
    if not visit.site.first_link.fits(key):
        return refusal(visit, 404, "This link was used, or is not of this start. The node's log has the present one.")
    try:
        require_name(name)
        require_password(password)
    except ConfigurationError as error:
        return page(visit, "first.html", 422, key=key, wrong=str(error))
    made = visit.site.accounts.add_first(name, hash_password(password), by="the one-time link")
    visit.site.first_link.close()
    if made is None:
        return refusal(visit, 409, "There is an account already. Log in, or use `wmh-node accounts add`.")
    return with_session(visit, name, "with the one-time link", to("/"))


def choose_theme(visit: Visit) -> Response:
    """Remember light or dark in a cookie that says nothing else."""
    theme = visit.form.get("theme", "auto")
    answer = to("/")
    answer.set_cookie(
        "theme",
        theme if theme in ("light", "dark") else "auto",
        max_age=_YEAR,
        path="/",
        secure=visit.site.has_tls,
        samesite="strict",
        httponly=True,
    )
    return answer


def with_session(visit: Visit, name: str, how: str, answer: Response) -> Response:
    """Open a session of an account, whose cookie goes with the answer.

    Args:
        how: the person proved who they are, for the audit.
    """
    secret = new_secret()  # never one that was sent: a session cannot be planted
    visit.site.accounts.open_session(name, digest_of(secret), IDLE_SECONDS, LONGEST_SECONDS, how)
    log.info("logged in", account=name)
    answer.set_cookie(
        cookie_name(visit.site), secret, path="/", secure=visit.site.has_tls, httponly=True, samesite="strict"
    )
    return answer
