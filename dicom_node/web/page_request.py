"""One request, after it was checked: who sends it, and what it holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import BinaryIO

from db.errors import UnknownRow
from db.records import AccountRole, WebSession
from dicom_node.web.site import Site


@dataclass(frozen=True)
class Upload:
    """A file that a form brought.

    Attributes:
        file: open until the request has ended.
        size: bytes.
    """

    file: BinaryIO
    size: int


@dataclass(frozen=True)
class PageRequest:
    """A request to a page.

    Attributes:
        person: who sends it; None on the few pages that need no login.
        form_token: what every form of this session must hold.
        path: of the URL.
        path_values: the parts of the path that vary.
        query, form: as sent; the last one of a name.
        secret: of the session; None without.
        theme: "auto", "light" or "dark".
        uploads: files of the form, by field.
        body: of a request to the API.
        login_secret: of a login at the identity provider that is not finished; "" without.
    """

    site: Site
    path: str
    person: WebSession | None = None
    form_token: str = ""
    path_values: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    form: Mapping[str, str] = field(default_factory=dict)
    secret: str | None = None
    theme: str = "auto"
    uploads: Mapping[str, Upload] = field(default_factory=dict)
    body: bytes = b""
    login_secret: str = field(default="", repr=False)

    @property
    def who(self) -> str:
        """The person, for the audit."""
        return "unknown" if self.person is None else f"{self.person.account} (page)"

    def may(self, role: AccountRole) -> bool:
        """Whether the person may do what needs this role."""
        return self.person is not None and self.person.role.may(role)

    def number(self, name: str) -> int | None:
        """A whole number of the query or the path; None when it is missing or no number."""
        text = self.path_values.get(name) or self.query.get(name) or ""
        return int(text) if text.isascii() and text.isdecimal() and len(text) < 12 else None

    def row(self, name: str) -> int:
        """The number of the row that the path names.

        Raises:
            UnknownRow: it is no number of a row.
        """
        number = self.number(name)
        if number is None:
            raise UnknownRow(f"there is no such {name}")
        return number
