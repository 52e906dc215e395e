"""How the role `deliver` calls destinations: with our AE title, TLS and secrets filled in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from db.records import CommitmentAnswer
from dicom_node.deliver.commit.ask import TakeReport, ask_commitment
from dicom_node.deliver.commit.reporter import report_commitment
from dicom_node.deliver.send import SendOutcome, send_files
from dicom_node.deliver.send.association import Call, Timeouts
from dicom_node.deliver.stow import WebCall, find_missing_by_web, store_files
from dicom_node.deliver.verify.find import find_missing
from dicom_node.deliver.verify.sent_object import SentObject
from dicom_node.node.commitment import Reference
from dicom_node.node.destinations import Destination, WebDestination
from dicom_node.node.settings import Settings


class PeerCalls:
    """Calls to destinations, by the settings."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def send(
        self, paths: Sequence[Path], destination: Destination | WebDestination, go_on: Callable[[SendOutcome], bool]
    ) -> list[SendOutcome]:
        """Store files, by C-STORE or STOW-RS."""
        if isinstance(destination, WebDestination):
            return store_files(paths, self.web_call(destination), go_on)
        tls = self._settings.client_tls(destination)
        return send_files(paths, destination, go_on=go_on, calling_ae_title=self._settings.ae_title, tls=tls)

    def ask(
        self, destination: Destination, transaction_uid: str, objects: Sequence[Reference], take: TakeReport
    ) -> bool:
        """Ask for storage commitment."""
        return ask_commitment(self._call(destination), transaction_uid, objects, take)

    def report(self, destination: Destination, answer: CommitmentAnswer) -> None:
        """Report storage commitment to a sender."""
        report_commitment(self._call(destination), answer)

    def find_missing(
        self, destination: Destination | WebDestination, objects: Sequence[SentObject]
    ) -> list[SentObject]:
        """The objects that a destination does not list."""
        if isinstance(destination, WebDestination):
            return find_missing_by_web(self.web_call(destination), objects)
        return find_missing(self._call(destination), objects)

    def web_call(self, destination: WebDestination) -> WebCall:
        """How a web server is called."""
        return WebCall(destination, self._settings.client_tls(destination))

    def _call(self, destination: Destination) -> Call:
        return Call(destination, self._settings.ae_title, Timeouts(), self._settings.client_tls(destination))
