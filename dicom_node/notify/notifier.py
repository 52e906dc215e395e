"""Looks at the node now and then, and sends what is due to people.

What was found and what has to be sent are rows of the database, so that a restart neither repeats nor forgets. While
the database itself does not answer, one message goes out without a row.
"""

from __future__ import annotations

import socket
import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

from db.alarms import AlarmPolicy, AlarmTable
from db.errors import DatabaseUnavailable
from db.notifications import NotificationTable
from db.records import AlarmNews, AlarmSeverity, News, Notification, Observed
from dicom_node.node.clock import Regularly, clock_watch, steady
from dicom_node.node.errors import WmhNodeError
from dicom_node.node.logger import get_logger
from dicom_node.node.settings import Settings
from dicom_node.notify.command import CommandChannel
from dicom_node.notify.mail import MailChannel
from dicom_node.notify.message import Message
from dicom_node.notify.webhook import WebhookChannel

log = get_logger()

_LOOK_SECONDS: Final = 30.0
_STEP_SECONDS: Final = 5.0
_SETTLED_SECONDS: Final = 600.0
_LEASE_SECONDS: Final = 300.0  # longer than any attempt at a channel may take
_FIRST_WAIT_SECONDS: Final = 30.0
_LONGEST_WAIT_SECONDS: Final = 1800.0
_GIVEN_UP_AFTER: Final = timedelta(days=7)
_LEAST_ATTEMPTS: Final = 100  # a clock that was set forward makes a message look old


class Channel(Protocol):
    """A way to people."""

    @property
    def name(self) -> str:
        """As its rows have it."""
        ...

    def check(self) -> str:
        """What it would use, in words; raises ConfigurationError when something is missing."""
        ...

    def send(self, message: Message) -> str | None:
        """Send; raises NotTaken or ConfigurationError when it is not taken."""
        ...


def channels_of(settings: Settings) -> tuple[Channel, ...]:
    """The channels that are set up."""
    mail: list[Channel] = [MailChannel.of(settings)] if settings.mail_server else []
    webhook: list[Channel] = [WebhookChannel.of(settings)] if settings.webhook_url else []
    command: list[Channel] = [CommandChannel.of(settings)] if settings.notify_command else []
    return (*mail, *webhook, *command)


def node_name(settings: Settings) -> str:
    """Which node speaks."""
    return f"{settings.ae_title}@{socket.gethostname()}"


def policy_of(settings: Settings) -> AlarmPolicy:
    """The patience of the settings."""
    return AlarmPolicy(
        after=timedelta(minutes=settings.notify_after_minutes),
        repeat=timedelta(hours=settings.notify_repeat_hours),
        digest=timedelta(minutes=settings.notify_digest_minutes),
    )


def test_message(settings: Settings) -> Message:
    """What `wmh-node notifications test` sends."""
    return Message(uuid.uuid4().hex, node_name(settings), datetime.now(UTC), (), is_test=True)


class Notifier:
    """One step looks when it is time to, and sends one message when one is due.

    Args:
        look: what is wrong now.
        now: the clock of the rows.
        still: a clock that no step moves, for the time that the database is away.
    """

    def __init__(
        self,
        alarms: AlarmTable,
        messages: NotificationTable,
        channels: Sequence[Channel],
        policy: AlarmPolicy,
        node: str,
        look: Callable[[], Sequence[Observed]],
        now: Callable[[], datetime],
        still: Callable[[], float] = steady,
    ) -> None:
        self._alarms = alarms
        self._messages = messages
        self._channels = {channel.name: channel for channel in channels}
        self._policy = policy
        self._node = node
        self._look = look
        self._now = now
        self._still = still
        self._is_due = Regularly(_LOOK_SECONDS, clock_watch(), still).is_due
        self._away_since: float | None = None
        self._said_away = False

    def step(self) -> float:
        """Returns the seconds until the next step."""
        try:
            # Right after the clock was set, how long something holds means nothing.
            if self._is_due() and clock_watch().has_settled(_SETTLED_SECONDS):
                self._alarms.observe(self._look(), self._policy, tuple(self._channels))
            message = self._messages.claim(_LEASE_SECONDS)
        except DatabaseUnavailable as error:
            self._database_away(error)
            raise
        self._away_since, self._said_away = None, False
        if message is None:
            return _STEP_SECONDS
        self._send(message)
        return 0.0

    def _send(self, row: Notification) -> None:
        channel = self._channels.get(row.channel)
        if channel is None:
            self._messages.give_up(row.id, f"{row.channel} is not in the settings any more")
            return
        try:
            words = channel.send(Message.of(row, self._node))
        except WmhNodeError as error:
            self._not_taken(row, str(error))
            return
        except Exception as error:  # a message that cannot be made must not end the deliveries beside it
            self._not_taken(row, f"it cannot be sent ({type(error).__name__}): check the channel's settings")
            return
        if words is not None:
            log.warning("a message was not taken for everybody", channel=row.channel, detail=words)
        log.info("message sent", channel=row.channel, message=row.event_id, attempts=row.attempts)
        self._messages.sent(row.id, words)

    def _not_taken(self, row: Notification, why: str) -> None:
        if row.attempts >= _LEAST_ATTEMPTS and self._now() - row.created_at > _GIVEN_UP_AFTER:
            log.error("message given up", channel=row.channel, message=row.event_id, detail=why)
            self._messages.give_up(row.id, why)
            return
        wait = min(_FIRST_WAIT_SECONDS * 2 ** min(row.attempts - 1, 20), _LONGEST_WAIT_SECONDS)
        log.warning("message not taken, it is sent again", channel=row.channel, seconds=wait, detail=why)
        self._messages.postpone(row.id, wait, why)

    def _database_away(self, error: DatabaseUnavailable) -> None:
        """One message for each time that the database is away for long; it cannot be remembered over a restart."""
        now = self._still()
        self._away_since = now if self._away_since is None else self._away_since
        if self._said_away or now - self._away_since < self._policy.after.total_seconds():
            return
        self._said_away = True
        at = datetime.now(UTC)
        since = at - timedelta(seconds=now - self._away_since)
        news = News(AlarmNews.BEGAN, "database", AlarmSeverity.CRITICAL, str(error), since)
        for channel in self._channels.values():
            try:
                channel.send(Message(uuid.uuid4().hex, self._node, at, (news,)))
            except WmhNodeError as trouble:
                log.warning("message not taken", channel=channel.name, detail=str(trouble))
            except Exception as trouble:
                log.warning("message not taken", channel=channel.name, detail=type(trouble).__name__)
