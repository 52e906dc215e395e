"""Types of the settings of notifications: mail servers and addresses, webhooks, working hours."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator

from dicom_node.node.addresses import is_host_of_url, is_loopback, shown

# RFC 5322 addr-spec without quoted parts; a line break would add a header.
_ATOM: Final = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_ADDRESS: Final = re.compile(rf"(?=.{{1,64}}@.{{1,253}}\Z){_ATOM}(\.{_ATOM})*@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*")
_SERVER: Final = re.compile(r"^(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)(:(?P<port>\d{1,5}))?$")
_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_HOURS: Final = re.compile(
    rf"^(?P<first>{'|'.join(_DAYS)})(-(?P<last>{'|'.join(_DAYS)}))? (?P<from>\d\d:\d\d)-(?P<to>\d\d:\d\d)$"
)
_MOST_DAYS: Final = 60
SUBMISSION_PORT: Final = 587  # RFC 6409
SUBMISSIONS_PORT: Final = 465  # RFC 8314


def _mail_address(value: str) -> str:
    if not _ADDRESS.fullmatch(value):
        raise ValueError("expected a mail address NAME@HOST")
    return value


def _mail_server(value: str) -> str:
    match = _SERVER.fullmatch(value)
    if match is None or not is_host_of_url(match["host"].strip("[]")) or not 0 < int(match["port"] or 1) < 65536:
        raise ValueError("expected HOST or HOST:PORT")
    return value


def _webhook_url(value: str) -> str:
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname, parts.port
    except ValueError:
        parts, host = urlsplit(""), None
    if "@" in parts.netloc or not is_host_of_url(host) or parts.fragment:
        # Not the value itself: the path of a webhook is often its secret.
        raise ValueError("expected https://HOST/PATH without a user, got another form")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(host or "")):
        raise ValueError("expected an https URL (http only to this machine), got another")
    return value


def _working_hours(value: str) -> str:
    WorkingWeek.of(value)
    return value


MailAddress = Annotated[str, AfterValidator(_mail_address)]
ServerAddress = Annotated[str, AfterValidator(_mail_server)]
WebhookUrl = Annotated[str, AfterValidator(_webhook_url)]
WorkingHours = Annotated[str, AfterValidator(_working_hours)]


def split_server(server: str, default_port: int) -> tuple[str, int]:
    """Host and port of a `ServerAddress`."""
    match = _SERVER.match(server)
    assert match is not None
    return match["host"].strip("[]"), int(match["port"] or default_port)


@dataclass(frozen=True)
class WorkingWeek:
    """When images are expected.

    Attributes:
        days: 0 is Monday.
        opens, closes: in the machine's time zone.
    """

    days: frozenset[int]
    opens: time
    closes: time

    @classmethod
    def of(cls, text: str) -> WorkingWeek:
        """From `Mon-Fri 08:00-18:00`.

        Raises:
            ValueError: another form.
        """
        match = _HOURS.match(text)
        try:
            if match is None:
                raise ValueError
            first = _DAYS.index(match["first"])
            last = _DAYS.index(match["last"] or match["first"])
            opens = time.fromisoformat(match["from"])
            closes = time(23, 59, 59, 999_999) if match["to"] == "24:00" else time.fromisoformat(match["to"])
            if not opens < closes:
                raise ValueError
        except ValueError:
            raise ValueError(f'expected a form like "Mon-Fri 08:00-18:00", got {shown(text)}') from None
        count = (last - first) % 7 + 1
        return cls(frozenset((first + day) % 7 for day in range(count)), opens, closes)

    def hours_between(self, start: datetime, end: datetime) -> float:
        """Working hours from one time to another; what lies more than two months back does not count."""
        start, end = start.astimezone(), end.astimezone()
        start = max(start, end - timedelta(days=_MOST_DAYS))
        seconds, day = 0.0, start.date()
        while day <= end.date():
            if day.weekday() in self.days:
                opens = max(start, datetime.combine(day, self.opens).astimezone())
                closes = min(end, datetime.combine(day, self.closes).astimezone())
                seconds += max(0.0, (closes - opens).total_seconds())
            day += timedelta(days=1)
        return seconds / 3600
