"""What every page needs: the settings, the tables, and what the node says about its health."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final
from urllib.parse import urlsplit

from db.accounts import AccountTable
from db.cohorts import CohortTable
from db.deliveries import DeliveryTable
from db.engine import Database
from db.feedback import FeedbackTable
from db.inbox import Inbox
from db.jobs import JobTable
from db.models import ModelTable
from db.retention import RetentionTable
from db.reviews import ReviewTable
from db.withdrawals import WithdrawalTable
from dicom_node.node.settings import Settings
from dicom_node.web.drift_watch import DriftWatch
from dicom_node.web.kept import Kept
from dicom_node.web.looks import Looks
from dicom_node.web.node_look import HealthLine, NodeLook, take_look
from dicom_node.web.people.first_link import FirstLink
from dicom_node.web.people.identity_provider import IdentityProvider, provider_of
from dicom_node.web.pictures.slices import SliceRoom
from dicom_node.web.uploads import UploadDesk

# A page that is open follows the node; fifty of them must not read it fifty times a second.
_LOOK_SECONDS: Final = 2.0
LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True, eq=False)
class Site:
    """One node's page.

    Attributes:
        settings: the node's.
        sources: where each of them comes from, by name.
        database: open for as long as the site is.
        health: runs the checks of `wmh-node status`.
        test_destination: calls a destination; gives what it answered, as sentences.
        stopping: set when the process ends, so that open event streams do.
    """

    settings: Settings
    sources: Mapping[str, str]
    database: Database
    health: Callable[[], Sequence[HealthLine]]
    test_destination: Callable[[Any], Sequence[str]]
    stopping: threading.Event = field(default_factory=threading.Event)
    first_link: FirstLink = field(default_factory=FirstLink)

    @cached_property
    def accounts(self) -> AccountTable:
        """Who may log in."""
        return AccountTable(self.database)

    @cached_property
    def jobs(self) -> JobTable:
        """Jobs."""
        return JobTable(self.database, self.settings.max_attempts)

    @cached_property
    def deliveries(self) -> DeliveryTable:
        """Deliveries."""
        return DeliveryTable(self.database)

    @cached_property
    def inbox(self) -> Inbox:
        """What was received."""
        return Inbox(self.database)

    @cached_property
    def models(self) -> ModelTable:
        """Models and promotions."""
        return ModelTable(self.database)

    @cached_property
    def feedback(self) -> FeedbackTable:
        """Corrections."""
        return FeedbackTable(self.database)

    @cached_property
    def reviews(self) -> ReviewTable:
        """What readers say of results."""
        return ReviewTable(self.database)

    @cached_property
    def cohorts(self) -> CohortTable:
        """Studies of archives that are fetched."""
        return CohortTable(self.database)

    @cached_property
    def uploads(self) -> UploadDesk:
        """Corrections that readers upload."""
        return UploadDesk(self.settings, self.inbox)

    @cached_property
    def withdrawals(self) -> WithdrawalTable:
        """Results that are taken back."""
        return WithdrawalTable(self.database)

    @cached_property
    def retention(self) -> RetentionTable:
        """Studies that are held."""
        return RetentionTable(self.database)

    @cached_property
    def slices(self) -> SliceRoom:
        """Pictures of slices."""
        return SliceRoom(self.settings.storage.absolute(), self.inbox)

    @cached_property
    def drift(self) -> DriftWatch:
        """How results change over time."""
        return DriftWatch(self.database)

    @cached_property
    def node_look(self) -> Kept[NodeLook]:
        """What the start page shows, two seconds old at most."""
        return Kept(lambda: take_look(self.database, self.health), _LOOK_SECONDS)

    @cached_property
    def looks(self) -> Looks:
        """Who looked at images."""
        return Looks(self.database)

    @cached_property
    def provider(self) -> IdentityProvider | None:
        """Where people log in besides; None without one."""
        return provider_of(self.settings)

    @property
    def is_on_loopback(self) -> bool:
        """Whether only this machine reaches the page directly."""
        return self.settings.web_bind in LOOPBACK_NAMES or self.settings.web_bind.startswith("127.")

    @property
    def has_tls(self) -> bool:
        """Whether people reach it over TLS, by a proxy."""
        return (self.settings.web_url or "").startswith("https://")

    @property
    def host_names(self) -> frozenset[str] | None:
        """Names by which it may be called; None: any, since it listens for other machines without `WEB_URL`."""
        own = urlsplit(self.settings.web_url or "").hostname
        if own is None:
            return LOOPBACK_NAMES if self.is_on_loopback else None
        return LOOPBACK_NAMES | {own, self.settings.web_bind}
