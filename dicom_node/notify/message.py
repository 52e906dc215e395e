"""A message in words: what began, what lasts, what is over. Nothing of a patient is in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote

from db.records import AlarmNews, AlarmSeverity, News, Notification

_WORDS: Final = {
    AlarmNews.BEGAN: "New",
    AlarmNews.WORSE: "Worse",
    AlarmNews.LASTS: "Still so",
    AlarmNews.OVER: "Over",
}
_TYPE: Final = "org.wmh-node.alarm"
_TEST_TYPE: Final = "org.wmh-node.test"
_NEXT: Final = "`wmh-node status` on the node shows how it is now; docs/administrator/operate.md says what to do."


@dataclass(frozen=True)
class Message:
    """What a channel sends.

    Attributes:
        event_id: the same at every attempt.
        node: which node speaks: its AE title and its machine.
        severity: the worst of the lines that go on; None: all is over, or it is a test.
    """

    event_id: str
    node: str
    at: datetime
    news: tuple[News, ...]
    is_test: bool = False

    @classmethod
    def of(cls, notification: Notification, node: str) -> Message:
        """From its row."""
        return cls(notification.event_id, node, notification.created_at, notification.news)

    @property
    def severity(self) -> AlarmSeverity | None:
        """The worst of what goes on."""
        lasting = [piece.severity for piece in self.news if piece.what is not AlarmNews.OVER]
        return max(lasting, key=list(AlarmSeverity).index, default=None)

    @property
    def subject(self) -> str:
        """One line: the node, how bad it is, and the first conditions."""
        if self.is_test:
            return f"[{self.node}] test message"
        names = _names([news for news in self.news if news.what is not AlarmNews.OVER] or self.news)
        return f"[{self.node}] {self.severity or 'over'}: {names}"

    @property
    def text(self) -> str:
        """The whole message as lines of text."""
        if self.is_test:
            return f"This is a test of the notifications of {self.node}. Nothing is wrong.\n"
        lines = [f"Node {self.node}", ""]
        for piece in sorted(self.news, key=lambda news: list(AlarmNews).index(news.what)):
            since = f"{piece.since:%Y-%m-%d %H:%M} UTC"
            if piece.what is AlarmNews.OVER:
                lines.append(f"{_WORDS[piece.what]}: {piece.key} (since {since} it was: {piece.words})")
            else:
                lines.append(f"{_WORDS[piece.what]}, {piece.severity}: {piece.key}, since {since}: {piece.words}")
        return "\n".join([*lines, "", _NEXT, ""])

    @property
    def data(self) -> dict[str, Any]:
        """The message for programs."""
        return {
            "node": self.node,
            "severity": None if self.severity is None else self.severity.value,
            "test": self.is_test,
            "subject": self.subject,
            "text": self.text,
            "conditions": [piece.as_json() for piece in self.news],
        }

    @property
    def event(self) -> dict[str, Any]:
        """The message as a CloudEvent (CloudEvents 1.0), for JSON."""
        return {
            "specversion": "1.0",
            "id": self.event_id,
            "source": f"/wmh-node/{quote(self.node, safe='@')}",
            "type": _TEST_TYPE if self.is_test else _TYPE,
            "time": self.at.isoformat(),
            "datacontenttype": "application/json",
            "data": self.data,
        }


def _names(news: Sequence[News]) -> str:
    first = ", ".join(piece.key for piece in news[:3])
    return first if len(news) <= 3 else f"{first} and {len(news) - 3} more"
