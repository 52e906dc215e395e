"""Who may use the page: local accounts, their sessions, and tokens for scripts. Secrets are here as hashes only."""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from db.audit import record_action
from db.engine.database import Database
from db.engine.upsert import upsert
from db.engine.values import storable
from db.errors import UnknownRow
from db.records import Account, AccountRole, WebSession
from db.schema import accounts, web_sessions, web_tokens

MOST_FAILURES: Final = 5
LOCK_SECONDS: Final = 900.0
# A session's time is written at most so often: a look at a page is no write.
_TOUCH_SECONDS: Final = 60.0


class AccountTable:
    """Accounts, sessions and tokens. Safe to use from several threads, processes and machines.

    Each method is one transaction, and each change is in the audit.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    # Accounts

    def add(self, name: str, password_hash: str | None, role: AccountRole, by: str) -> Account:
        """Make an account, or give an existing one this password and role; its sessions end.

        Args:
            password_hash: from argon2; None for an account that logs in elsewhere.
            by: who, for the audit.
        """
        now = self._database.clock()
        values = {
            "password_hash": password_hash, "role": role.value, "failures": 0, "locked_until": None, "subject": None,
        }  # fmt: skip
        with self._database.write() as connection:
            known = connection.execute(update(accounts).where(accounts.c.name == name).values(values)).rowcount
            if not known:
                connection.execute(insert(accounts).values(name=name, created_at=now, **values))
            connection.execute(delete(web_sessions).where(web_sessions.c.account == name))
            what = "change account" if known else "add account"
            record_action(connection, now, by, what, None, f"{name}, role {role}")
            return _account(connection, name)

    def add_first(self, name: str, password_hash: str, by: str) -> Account | None:
        """The first account, an administrator; None when there is an account already."""
        now = self._database.clock()
        values = {"password_hash": password_hash, "role": AccountRole.ADMIN.value, "failures": 0}
        with self._database.write() as connection:
            if connection.execute(select(accounts.c.name).limit(1)).first() is not None:
                return None
            connection.execute(insert(accounts).values(name=name, created_at=now, **values))
            record_action(connection, now, by, "add account", None, f"{name}, role {AccountRole.ADMIN}, the first one")
            return _account(connection, name)

    def enter(self, name: str, role: AccountRole, subject: str) -> Account | None:
        """The account of a person who logs in at the identity provider, with the role that it gives now.

        It is made at the first login.

        Args:
            subject: digest of who it is there.

        Returns:
            None when the name is that of another person, or of an account with a password.
        """
        now, by = self._database.clock(), "the identity provider"
        with self._database.write() as connection:
            values = {"name": name, "role": role.value, "failures": 0, "created_at": now, "subject": subject}
            added = upsert(connection.dialect.name)(accounts).values(values).on_conflict_do_nothing()
            if connection.execute(added).rowcount:
                record_action(connection, now, by, "add account", None, f"{name}, role {role}")
                return _account(connection, name)
            row = connection.execute(select(accounts).where(accounts.c.name == name).with_for_update()).one()
            if row.subject != subject:
                return None
            if row.role != role.value:
                connection.execute(update(accounts).where(accounts.c.name == name).values(role=role.value))
                record_action(connection, now, by, "change account", None, f"{name}, role {role}")
            return _account(connection, name)

    def leave(self, subject: str) -> bool:
        """A person of the identity provider is in no group any more that may use the page: sessions and tokens end.

        Args:
            subject: digest of who it is there.

        Returns:
            whether there is an account of that person.
        """
        with self._database.write() as connection:
            name = connection.execute(select(accounts.c.name).where(accounts.c.subject == subject)).scalar()
            if name is None:
                return False
            ended = [
                connection.execute(delete(table).where(table.c.account == name)).rowcount
                for table in (web_sessions, web_tokens)
            ]
            if any(ended):
                words = f"{name} is in none of the groups any more: {ended[0]} sessions and {ended[1]} tokens end"
                record_action(connection, self._database.clock(), "the identity provider", "end access", None, words)
            return True

    def remove(self, name: str, by: str) -> None:
        """Remove an account with its sessions and tokens.

        Raises:
            UnknownRow: there is none of that name.
        """
        with self._database.write() as connection:
            _account(connection, name)
            for table in (web_sessions, web_tokens):
                connection.execute(delete(table).where(table.c.account == name))
            connection.execute(delete(accounts).where(accounts.c.name == name))
            record_action(connection, self._database.clock(), by, "remove account", None, name)

    def unlock(self, name: str, by: str) -> None:
        """Let an account log in again that was locked.

        Raises:
            UnknownRow: there is none of that name.
        """
        with self._database.write() as connection:
            _account(connection, name)
            connection.execute(update(accounts).where(accounts.c.name == name).values(failures=0, locked_until=None))
            record_action(connection, self._database.clock(), by, "unlock account", None, name)

    def list(self) -> builtins.list[Account]:
        """Every account, by name."""
        with self._database.read() as connection:
            return [_account_of(row) for row in connection.execute(select(accounts).order_by(accounts.c.name))]

    def find(self, name: str) -> Account | None:
        """The account of that name; None when there is none."""
        with self._database.read() as connection:
            row = connection.execute(select(accounts).where(accounts.c.name == name)).first()
            return None if row is None else _account_of(row)

    def any(self) -> bool:
        """Whether there is an account at all."""
        with self._database.read() as connection:
            return connection.execute(select(accounts.c.name).limit(1)).first() is not None

    # Logging in

    def note_failure(self, name: str) -> None:
        """A wrong password: after some in sequence the account is locked for a while."""
        now = self._database.clock()
        with self._database.write() as connection:
            row = connection.execute(select(accounts).where(accounts.c.name == name).with_for_update()).first()
            if row is None:
                return
            failures = row.failures + 1
            is_locked = failures >= MOST_FAILURES
            values: dict[str, Any] = {"failures": 0 if is_locked else failures}
            if is_locked:
                values["locked_until"] = now + timedelta(seconds=LOCK_SECONDS)
                words = f"after {failures} wrong passwords, for {LOCK_SECONDS / 60:.0f} min"
                record_action(connection, now, name, "account locked", None, words)
            connection.execute(update(accounts).where(accounts.c.name == name).values(values))

    def open_session(self, name: str, digest: str, idle_seconds: float, longest_seconds: float, how: str) -> None:
        """A person has logged in.

        Args:
            digest: sha256 of the session's secret.
            idle_seconds: it ends after so long without a request.
            longest_seconds: it ends after so long in any case.
            how: how they proved who they are, for the audit.
        """
        now = self._database.clock()
        with self._database.write() as connection:
            connection.execute(delete(web_sessions).where(web_sessions.c.idle_until < now))
            connection.execute(
                update(accounts).where(accounts.c.name == name).values(failures=0, locked_until=None, last_login_at=now)
            )
            connection.execute(
                insert(web_sessions).values(
                    digest=digest,
                    account=name,
                    opened_at=now,
                    idle_until=now + timedelta(seconds=idle_seconds),
                    ends_at=now + timedelta(seconds=longest_seconds),
                )
            )
            record_action(connection, now, name, "log in", None, how)

    def session(self, digest: str, idle_seconds: float) -> WebSession | None:
        """The session of that secret, prolonged; None when there is none or it has ended."""
        now = self._database.clock()
        query = (
            select(web_sessions, accounts.c.role)
            .join(accounts, accounts.c.name == web_sessions.c.account)
            .where(web_sessions.c.digest == digest, web_sessions.c.idle_until > now, web_sessions.c.ends_at > now)
        )
        with self._database.read() as connection:
            row = connection.execute(query).first()
        if row is None:
            return None
        until = now + timedelta(seconds=idle_seconds)
        if (until - row.idle_until).total_seconds() > _TOUCH_SECONDS:
            with self._database.write() as connection:
                connection.execute(update(web_sessions).where(web_sessions.c.digest == digest).values(idle_until=until))
        return WebSession(row.account, AccountRole(row.role), row.ends_at)

    def close_session(self, digest: str) -> None:
        """A person has logged out."""
        now = self._database.clock()
        with self._database.write() as connection:
            row = connection.execute(
                delete(web_sessions).where(web_sessions.c.digest == digest).returning(web_sessions.c.account)
            ).first()
            if row is not None:
                record_action(connection, now, row.account, "log out", None, "")

    # Tokens

    def add_token(self, account: str, label: str, digest: str, by: str) -> None:
        """A token for scripts, with the account's role.

        Raises:
            UnknownRow: there is no such account.
        """
        now = self._database.clock()
        with self._database.write() as connection:
            _account(connection, account)
            values = {"digest": digest, "account": account, "label": storable(label)[:255], "created_at": now}
            connection.execute(insert(web_tokens).values(values))
            record_action(connection, now, by, "add token", None, f"for {account}: {label}")

    def tokens(self) -> builtins.list[Mapping[str, Any]]:
        """Every token without its secret: account, label, times and the first digits of its digest."""
        columns = (web_tokens.c.account, web_tokens.c.label, web_tokens.c.created_at, web_tokens.c.used_at)
        first = func.substr(web_tokens.c.digest, 1, 8).label("digest")
        with self._database.read() as connection:
            rows = connection.execute(select(first, *columns).order_by(web_tokens.c.created_at))
            return [dict(row._mapping) for row in rows]

    def remove_token(self, first_digits: str, by: str) -> None:
        """Revoke a token.

        Args:
            first_digits: of its digest, as `tokens` gives them.

        Raises:
            UnknownRow: there is none, or more than one.
        """
        now = self._database.clock()
        with self._database.write() as connection:
            found = func.substr(web_tokens.c.digest, 1, len(first_digits)) == first_digits
            rows = connection.execute(select(web_tokens.c.digest, web_tokens.c.account).where(found)).all()
            if not first_digits or len(rows) != 1:
                raise UnknownRow(
                    f"expected the first digits of one token, got {first_digits!r}, which fits {len(rows)}"
                )
            connection.execute(delete(web_tokens).where(web_tokens.c.digest == rows[0].digest))
            record_action(connection, now, by, "remove token", None, f"of {rows[0].account}")

    def holder(self, digest: str, provider_days: float) -> WebSession | None:
        """Whose token it is; None when it is no token of ours, or counts no more.

        Args:
            digest: of the token.
            provider_days: a token of an account of the identity provider counts for so many days from the last login
                on: only a login says what groups the person is in.
        """
        now = self._database.clock()
        query = (
            select(
                web_tokens.c.account,
                web_tokens.c.used_at,
                accounts.c.role,
                accounts.c.subject,
                accounts.c.last_login_at,
            )
            .join(accounts, accounts.c.name == web_tokens.c.account)
            .where(web_tokens.c.digest == digest)
        )
        with self._database.read() as connection:
            row = connection.execute(query).first()
        if row is None or (row.subject is not None and _is_before(row.last_login_at, now, provider_days)):
            return None
        if row.used_at is None or (now - row.used_at).total_seconds() > _TOUCH_SECONDS:
            with self._database.write() as connection:
                connection.execute(update(web_tokens).where(web_tokens.c.digest == digest).values(used_at=now))
        return WebSession(row.account, AccountRole(row.role), None)


def _is_before(last_login_at: datetime | None, now: datetime, days: float) -> bool:
    return last_login_at is None or last_login_at < now - timedelta(days=days)


def is_locked(account: Account, now: datetime) -> bool:
    """Whether an account may not log in yet."""
    # No lock lasts longer: one that seems to was written while the clock was ahead.
    longest = now + timedelta(seconds=LOCK_SECONDS + 60)
    return account.locked_until is not None and now < account.locked_until <= longest


def _account(connection: Connection, name: str) -> Account:
    row = connection.execute(select(accounts).where(accounts.c.name == name)).first()
    if row is None:
        raise UnknownRow(f"there is no account {name}; `wmh-node accounts list` lists them")
    return _account_of(row)


def _account_of(row: Row[Any]) -> Account:
    return Account(
        name=row.name,
        role=AccountRole(row.role),
        password_hash=row.password_hash,
        created_at=row.created_at,
        last_login_at=row.last_login_at,
        locked_until=row.locked_until,
        subject=row.subject,
    )
